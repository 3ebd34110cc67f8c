/* An S3 bucket as a store: AWS's, or of a server that speaks like it. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "s3_address.h"
#include "s3_answers.h"
#include "s3_get.h"
#include "s3_multipart.h"
#include "s3_object.h"
#include "s3_upload.h"

#define COPY_LIMIT ((int64_t)5 << 30) /* bytes that CopyObject copies (S3 API Reference) */

static bool
open_store(const struct store_settings *settings, struct store **ret, struct failure *why)
{
	static const struct s3_schedule schedule = S3_SCHEDULE;
	if (!s3_address_check(settings, why))
		return false;
	scoped_free char *url = s3_bucket_url(settings);
	struct s3_store *store = allocate(sizeof *store);
	store->store.body = &store_s3;
	store->store.description = format("s3 %s%s%s", url, settings->prefix ? "/" : "",
	                                  settings->prefix ? settings->prefix : "");
	store->s3 = s3_new(settings, &schedule);
	*ret = &store->store;
	return true;
}

static void
close_store(struct store *base)
{
	struct s3_store *store = s3_store_of(base);
	s3_free(&store->s3);
	free(store);
}

/* ---- reading ---- */

static bool
head(struct store *base, const char *key, struct store_object *ret_object, struct failure *why)
{
	struct s3_head seen = S3_HEAD_INIT;
	if (!s3_head_object(s3_store_of(base), key, &base->tick, &seen, why))
		return false;
	*ret_object = (struct store_object){.size = seen.size};
	memcpy(ret_object->sha256, seen.sha256, sizeof seen.sha256);
	memcpy(ret_object->version, seen.etag, sizeof seen.etag);
	return true;
}

static bool
get(struct store *base, const char *key, int fd, const struct tick *tick,
    struct store_object *ret_object, struct failure *why)
{
	struct s3_head seen = S3_HEAD_INIT;
	return s3_get_object(s3_store_of(base), key, fd, tick, &seen, ret_object, why);
}

static bool
open_object(struct store *base, const char *key, const struct tick *tick, int *ret_fd,
            struct failure *why)
{
	struct s3_head seen = S3_HEAD_INIT;
	struct store_object object;
	scoped_fd int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(why, "cannot make a temporary file in /var/tmp");
	if (!s3_get_object(s3_store_of(base), key, fd, tick, &seen, &object, why))
		return false;
	if (seen.sha256[0] && !strings_equal(seen.sha256, object.sha256))
		return fail(why, FAILURE_HASH_MISMATCH,
		            "%s in the store (%s) hashes to %s, not to %s", key, base->description,
		            object.sha256, seen.sha256);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return fail_errno(why, "cannot rewind a temporary file");
	*ret_fd = take_fd(&fd);
	return true;
}

/* ---- metadata ---- */

/*
 * Metadata cannot be changed but by a copy of the object onto itself. That it is still the same is
 * said by If-Match: source and destination are one, and x-amz-copy-source-if-match beside
 * x-amz-copy-source is put into a wrong order by libcurl 7.88 when it signs them. So might be
 * metadata of others, which is not kept.
 */
static bool
copy_with_sha256(struct s3_store *store, const char *key, const struct s3_head *seen,
                 const char *sha256, struct failure *why)
{
	const struct store_settings *settings = s3_settings(store->s3);
	scoped(http_answer_done) struct http_answer answer = HTTP_ANSWER_INIT;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	scoped(text_done) struct text source = TEXT_INIT;
	scoped_free char *full = s3_full_key(settings, key);
	text_addf(&source, "x-amz-copy-source: /%s/", settings->bucket);
	s3_encode(&source, full, true);
	strings_add(&headers, text_string(&source));
	strings_add(&headers, "x-amz-metadata-directive: REPLACE");
	strings_addf(&headers, S3_META_SHA256 ": %s", sha256);
	if (seen->upload[0])
		strings_addf(&headers, S3_META_UPLOAD ": %s", seen->upload);
	if (seen->type[0])
		strings_addf(&headers, "Content-Type: %s", seen->type);
	if (!store->unconditional)
		strings_addf(&headers, "If-Match: %s", seen->etag);
	const struct s3_request request = {
	    .operation = "CopyObject", .method = "PUT", .key = key, .headers = &headers};
	if (s3_ask(store->s3, &request, &store->store.tick, &answer, why))
		return true;
	if (store->unconditional || !s3_refuses_conditions(answer.status, why))
		return false;
	store->unconditional = true;
	failure_clear(why);
	return copy_with_sha256(store, key, seen, sha256, why);
}

/* The hash, of the bytes that were there: an ETag of one PUT is the same after the copy. */
static bool
has_sha256(const char *key, const struct s3_head *before, const struct s3_head *seen,
           const char *sha256, struct failure *why)
{
	if (!strings_equal(seen->sha256, sha256))
		return fail(why, FAILURE_EXISTS, "%s has the SHA-256 %s in the store, not %s", key,
		            seen->sha256[0] ? seen->sha256 : "of nobody", sha256);
	return (seen->size == before->size
	        && (strchr(before->etag, '-') || strings_equal(seen->etag, before->etag)))
	       || fail(why, FAILURE_EXISTS, "%s was replaced while it got its SHA-256", key);
}

static bool
set_sha256(struct store *base, const char *key, const char *sha256, struct failure *why)
{
	struct s3_store *store = s3_store_of(base);
	struct s3_head before = S3_HEAD_INIT, after = S3_HEAD_INIT;
	if (!s3_head_object(store, key, &base->tick, &before, why))
		return false;
	if (before.sha256[0])
		return has_sha256(key, &before, &before, sha256, why);
	if (before.size > COPY_LIMIT)
		return fail(why, FAILURE_REJECTED,
		            "%s: S3 changes the metadata of objects up to 5 GiB only", key);
	/* Changed meanwhile: by who did the same, it may be. */
	if (!copy_with_sha256(store, key, &before, sha256, why)) {
		if (why->code != FAILURE_EXISTS)
			return false;
		failure_clear(why);
	}
	return s3_head_object(store, key, &base->tick, &after, why)
	       && has_sha256(key, &before, &after, sha256, why);
}

/* ---- what others left ---- */

static bool
end_uploads(struct store *base, const char *key, struct failure *why)
{
	return s3_multipart_end_all(s3_store_of(base), key, why);
}

const struct store_body store_s3 = {
    .type = "s3",
    .check = s3_address_check,
    .server = s3_bucket_url,
    .open = open_store,
    .close = close_store,
    .head = head,
    .get = get,
    .open_object = open_object,
    .set_sha256 = set_sha256,
    .begin = s3_upload_begin,
    .write = s3_upload_write,
    .send = s3_upload_send,
    .finish = s3_upload_finish,
    .drop = s3_upload_drop,
    .end_uploads = end_uploads,
};
