/*
 * A file as an upload: hashed as a whole first, for its metadata must be there when a multipart
 * upload begins, then sent in parts that are read as they go. A part is hashed while those before
 * it are under way.
 *
 * Of the first part nothing needs to be hashed again: its hash is that of the whole on the way to
 * its end. So it is twice as large as the others.
 */
#include <string.h>
#include <unistd.h>

#include "s3_upload_private.h"

#define CHUNK     ((size_t)256 << 10) /* hashed between two looks at the connections */
#define MOST      ((int64_t)64 << 20) /* bytes of a part: what a broken connection costs */
#define PER_PLACE 2                   /* parts, about, for each that is under way at a time */

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The length of the parts, but the first and the last one's. */
static int64_t
part_length(const struct s3_upload *upload)
{
	int64_t least = (int64_t)upload->part_size;
	int64_t parts = PER_PLACE * (int64_t)(upload->concurrency > 2 ? upload->concurrency : 2);
	int64_t length = smaller((upload->size + parts - 1) / parts, MOST);
	return length < least ? least : length;
}

/* ---- hashed ---- */

/* Hashes the next bytes up to `end`; FAILURE_HASH_MISMATCH: there are none. */
static bool
hash_some(const struct s3_upload *upload, struct digest *digest, int64_t end, int64_t *at,
          struct failure *why)
{
	char bytes[CHUNK];
	ssize_t got = pread(upload->file.fd, bytes, (size_t)smaller(end - *at, CHUNK), *at);
	if (got < 0)
		return fail_errno(why, "cannot read what is to be stored");
	if (got == 0)
		return fail(why, FAILURE_HASH_MISMATCH, "%s became shorter while it was stored",
		            upload->key);
	digest_update(digest, bytes, (size_t)got);
	*at += got;
	return true;
}

static bool
hash_to(const struct s3_upload *upload, int64_t *at, int64_t end, struct failure *why)
{
	while (*at < end) {
		if (!hash_some(upload, upload->digest, end, at, why))
			return false;
		if (!tick_tell(upload_tick(upload), 0, 0))
			return fail(why, FAILURE_CANCELLED, "stopped while hashing");
	}
	return true;
}

/* The whole, and the first part, which ends at `first`. */
static bool
hash_file(struct s3_upload *upload, int64_t first, struct failure *why)
{
	char sha256[SHA256_TEXT];
	int64_t at = 0;
	if (!hash_to(upload, &at, first, why))
		return false;
	struct digest *start = digest_copy(upload->digest);
	digest_finish(&start, upload->slot[0].sha256);
	if (!hash_to(upload, &at, upload->size, why))
		return false;
	digest_finish(&upload->digest, sha256);
	if (upload->sha256 && !strings_equal(upload->sha256, sha256))
		return fail(why, FAILURE_HASH_MISMATCH, "%s hashes to %s, not to %s", upload->key,
		            sha256, upload->sha256);
	replace_string(&upload->sha256, sha256);
	return true;
}

/* A part other than the first; what is under way goes on. */
static bool
hash_part(struct s3_upload *upload, int64_t from, int64_t end, char ret_sha256[SHA256_TEXT],
          struct failure *why)
{
	scoped(digest_drop) struct digest *digest = digest_new();
	while (from < end)
		if (!hash_some(upload, digest, end, &from, why) || !upload_go_on(upload, 0, why))
			return false;
	digest_finish(&digest, ret_sha256);
	return true;
}

/* ---- sent ---- */

static bool
send_part(struct s3_upload *upload, int64_t from, int64_t end, const char *sha256,
          struct failure *why)
{
	upload_find_slot(upload);
	struct slot *slot = &upload->slot[upload->current];
	slot->file = (struct http_range){.fd = upload->file.fd, .from = from};
	slot->length = (size_t)(end - from);
	memcpy(slot->sha256, sha256, SHA256_TEXT);
	return upload_send_part(slot, why);
}

static bool
send_parts(struct s3_upload *upload, int64_t first, int64_t length, struct failure *why)
{
	char sha256[SHA256_TEXT];
	memcpy(sha256, upload->slot[0].sha256, SHA256_TEXT);
	if (!upload_create(upload, why) || !send_part(upload, 0, first, sha256, why))
		return false;
	for (int64_t from = first, end; from < upload->size; from = end) {
		end = smaller(from + length, upload->size);
		if (!hash_part(upload, from, end, sha256, why)
		    || !send_part(upload, from, end, sha256, why))
			return false;
	}
	return upload_wait(upload, 0, why);
}

bool
s3_upload_send(struct store_upload *base, int fd, int64_t size, struct failure *why)
{
	struct s3_upload *upload = (struct s3_upload *)base;
	upload->file.fd = fd;
	upload->size = size;
	int64_t length = part_length(upload), first = smaller(2 * length, size);
	return hash_file(upload, first, why)
	       && (size <= (int64_t)SINGLE_LIMIT || send_parts(upload, first, length, why));
}
