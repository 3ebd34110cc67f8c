#include "s3_upload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "s3_upload_private.h"

/* Bytes between two looks at the connections; what was just read is hashed while it is still in the
 * processor's cache. */
#define CHUNK       ((size_t)256 << 10)
#define PARTS_LIMIT 10000 /* S3's (User Guide, "multipart upload limits") */

/* ---- begun ---- */

/* One is filled while others are under way; and together they hold what goes as one. */
static size_t
slots_for(const struct store_settings *settings)
{
	size_t part_size = (size_t)settings->part_size, wanted = (size_t)settings->concurrency + 1;
	size_t of_one = (SINGLE_LIMIT + part_size - 1) / part_size;
	return wanted > of_one ? wanted : of_one;
}

bool
s3_upload_begin(struct store *base, const char *key, const struct store_put *put,
                struct store_upload **ret, struct failure *why)
{
	struct s3_store *store = s3_store_of(base);
	const struct store_settings *settings = s3_settings(store->s3);
	struct s3_upload *upload = allocate(sizeof *upload);
	(void)why;
	*upload = (struct s3_upload){.upload = {.store = base},
	                             .store = store,
	                             .key = copy_string(key),
	                             .once = put->once,
	                             .replaces = copy_string(put->replaces),
	                             .sha256 = copy_string(put->sha256),
	                             .name = random_hex(16),
	                             .digest = digest_new(),
	                             .file = {.fd = -1},
	                             .part_size = (size_t)settings->part_size,
	                             .concurrency = (size_t)settings->concurrency,
	                             .slots = slots_for(settings)};
	upload->multipart = (struct s3_multipart){.store = store, .key = upload->key};
	upload->slot = allocate(upload->slots * sizeof *upload->slot);
	for (size_t i = 0; i < upload->slots; i++)
		upload->slot[i].upload = upload;
	upload->memory = allocate_large(upload->slots * upload->part_size);
	for (size_t i = 0; put->earlier && i < put->earlier->count; i++)
		s3_multipart_abort_all(store, put->earlier->items[i]);
	*ret = &upload->upload;
	return true;
}

static void
drop_slot(struct slot *slot)
{
	s3_cancel(&slot->call);
	digest_drop(&slot->digest);
}

void
s3_upload_drop(struct store_upload *base)
{
	struct s3_upload *upload = (struct s3_upload *)base;
	for (size_t i = 0; i < upload->slots; i++)
		drop_slot(&upload->slot[i]);
	if (upload->multipart.id)
		s3_multipart_abort(&upload->multipart);
	if (upload->in_doubt && !upload->once)
		s3_multipart_abort_all(upload->store, upload->key);
	s3_multipart_done(&upload->multipart);
	digest_drop(&upload->digest);
	failure_done(&upload->why);
	free(upload->memory);
	free(upload->slot);
	free(upload->name);
	free(upload->replaces);
	free(upload->sha256);
	free(upload->key);
	free(upload);
}

/* ---- as one ---- */

static bool
read_etag(void *data, const struct http_answer *answer, struct failure *why)
{
	return s3_etag_copy(http_header(answer, "etag"), data, why);
}

static bool
put_object(struct publishing *publishing, struct http_answer *ret_answer, struct failure *why)
{
	struct s3_upload *upload = publishing->upload;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	upload_add_metadata(upload, &headers);
	upload_add_condition(upload, &headers);
	const struct s3_request request = {.operation = "PutObject",
	                                   .method = "PUT",
	                                   .key = upload->key,
	                                   .headers = &headers,
	                                   .body = upload->filled ? upload->memory : NULL,
	                                   .file = upload->file.fd < 0 ? NULL : &upload->file,
	                                   .length = (size_t)upload->size,
	                                   .sha256 = upload->sha256,
	                                   .single = true,
	                                   .fresh = publishing->turns.fresh,
	                                   .check = read_etag,
	                                   .data = publishing->etag};
	return s3_ask(upload->store->s3, &request, upload_tick(upload), ret_answer, why);
}

/* ---- in parts ---- */

bool
upload_create(struct s3_upload *upload, struct failure *why)
{
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	bool ours;
	upload_add_metadata(upload, &headers);
	if (!upload_look_first(upload, &ours, why))
		return false;
	bool created = s3_multipart_create(&upload->multipart, &headers, why);
	upload->in_doubt = !created || upload->multipart.asked > 1;
	return created;
}

/* A part's server has looked at its bytes by its SHA-256. */
static bool
check_part(void *data, const struct http_answer *answer, struct failure *why)
{
	struct slot *slot = data;
	char etag[STORE_VERSION];
	if (!s3_etag_copy(http_header(answer, "etag"), etag, why))
		return false;
	replace_string(&slot->upload->multipart.etags.items[slot->number - 1], etag);
	return true;
}

static void
end_part(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct slot *slot = data;
	(void)answer;
	slot->call = NULL;
	slot->upload->gone += (int64_t)slot->length;
	if (why && slot->upload->why.code == FAILURE_NONE)
		failure_copy(&slot->upload->why, why);
}

/* How much of a file has gone. */
static bool
tell(void *data, int64_t done, int64_t total)
{
	const struct s3_upload *upload = data;
	(void)total;
	done = upload->gone;
	for (size_t i = 0; i < upload->slots; i++)
		done += upload->slot[i].call ? s3_sent(upload->slot[i].call) : 0;
	return tick_tell(upload_tick(upload), done, upload->size);
}

static void
tell_trouble(void *data, const struct failure *why, int64_t wait)
{
	tick_trouble(upload_tick(data), why, wait);
}

bool
upload_go_on(struct s3_upload *upload, int64_t due, struct failure *why)
{
	const struct tick of_file = {.tell = tell, .trouble = tell_trouble, .data = upload};
	/* A stream's writer tells what he likes. */
	const struct tick *tick = upload->file.fd < 0 ? upload_tick(upload) : &of_file;
	if (!s3_work(upload->store->s3, due, tick, why))
		return false;
	if (upload->why.code == FAILURE_NONE)
		return true;
	failure_copy(why, &upload->why);
	return upload_explain_absence(upload, why);
}

static bool
is_free(const struct s3_upload *upload, size_t which)
{
	return which < upload->slots && !upload->slot[which].call;
}

bool
upload_wait(struct s3_upload *upload, size_t most, struct failure *why)
{
	for (;;) {
		size_t underway = 0;
		for (size_t i = 0; i < upload->slots; i++)
			underway += !is_free(upload, i);
		if (underway <= most)
			return true;
		if (!upload_go_on(upload, INT64_MAX, why))
			return false;
	}
}

bool
upload_send_part(struct slot *slot, struct failure *why)
{
	struct s3_upload *upload = slot->upload;
	struct strings *etags = &upload->multipart.etags;
	if (etags->count == PARTS_LIMIT)
		return fail(why, FAILURE_REJECTED,
		            "%s is too large for %d parts: raise store.part-size", upload->key,
		            PARTS_LIMIT);
	if (!upload_wait(upload, upload->concurrency - 1, why))
		return false;
	strings_add(etags, "");
	slot->number = etags->count;
	scoped_free char *query = s3_multipart_query(&upload->multipart, slot->number);
	const struct s3_request request = {.operation = "UploadPart",
	                                   .method = "PUT",
	                                   .key = upload->key,
	                                   .query = query,
	                                   .body = slot->bytes,
	                                   .file = slot->bytes ? NULL : &slot->file,
	                                   .length = slot->length,
	                                   .sha256 = slot->sha256,
	                                   .check = check_part,
	                                   .data = slot,
	                                   .done = end_part,
	                                   .done_data = slot};
	slot->call = s3_start(upload->store->s3, &request);
	return true;
}

/* A full slot, or the last one. */
static bool
send_slot(struct s3_upload *upload, size_t which, size_t length, struct failure *why)
{
	struct slot *slot = &upload->slot[which];
	slot->bytes = upload->memory + which * upload->part_size;
	slot->length = length;
	digest_finish(&slot->digest, slot->sha256);
	return upload_send_part(slot, why);
}

/* More than fits one PUT: what is there becomes the first parts. */
static bool
divide(struct s3_upload *upload, struct failure *why)
{
	if (!upload_create(upload, why))
		return false;
	for (; upload->filled >= upload->part_size; upload->current++) {
		if (!send_slot(upload, upload->current, upload->part_size, why))
			return false;
		upload->filled -= upload->part_size;
	}
	return true;
}

void
upload_find_slot(struct s3_upload *upload)
{
	upload->current = 0;
	upload->filled = 0;
	while (!is_free(upload, upload->current))
		upload->current++;
}

/* ---- gathering bytes ---- */

/* How much the memory takes before something must be sent. */
static size_t
limit(const struct s3_upload *upload)
{
	return upload->multipart.id ? upload->part_size : SINGLE_LIMIT;
}

/* Room for one byte at least, and how much. */
static bool
make_room(struct s3_upload *upload, char **ret_room, size_t *ret_length, struct failure *why)
{
	if (upload->filled == limit(upload)) {
		bool sent = upload->multipart.id
		                ? send_slot(upload, upload->current, upload->filled, why)
		                : divide(upload, why);
		if (!sent)
			return false;
		if (!is_free(upload, upload->current))
			upload_find_slot(upload);
	}
	size_t left = limit(upload) - upload->filled;
	size_t of_slot = upload->part_size - upload->filled % upload->part_size;
	left = left < of_slot ? left : of_slot;
	*ret_room = upload->memory + upload->current * upload->part_size + upload->filled;
	*ret_length = left < CHUNK ? left : CHUNK;
	return true;
}

/* Bytes of one slot. Whether it becomes a part of its own is not known yet; its hash is. */
static void
hash(struct s3_upload *upload, const char *bytes, size_t length)
{
	struct slot *slot = &upload->slot[(size_t)(bytes - upload->memory) / upload->part_size];
	if (!slot->digest)
		slot->digest = digest_new();
	digest_update(slot->digest, bytes, length);
	digest_update(upload->digest, bytes, length);
}

static bool
add(struct s3_upload *upload, const char *bytes, size_t length, struct failure *why)
{
	hash(upload, bytes, length);
	upload->filled += length;
	upload->size += (int64_t)length;
	return !upload->multipart.id || upload_go_on(upload, 0, why);
}

bool
s3_upload_write(struct store_upload *base, const void *bytes, size_t length, struct failure *why)
{
	struct s3_upload *upload = (struct s3_upload *)base;
	size_t room = 0;
	char *to = NULL;
	for (size_t at = 0; at < length; at += room) {
		if (!make_room(upload, &to, &room, why))
			return false;
		room = length - at < room ? length - at : room;
		memcpy(to, (const char *)bytes + at, room);
		if (!add(upload, to, room, why))
			return false;
	}
	return true;
}

/* ---- finished ---- */

static bool
complete(struct publishing *publishing, struct http_answer *ret_answer, struct failure *why)
{
	struct s3_upload *upload = publishing->upload;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	upload_add_condition(upload, &headers);
	upload->multipart.fresh = publishing->turns.fresh;
	return s3_multipart_complete(&upload->multipart, &headers, publishing->etag, ret_answer,
	                             why);
}

/* The last part, and all that are still under way. */
static bool
send_rest(struct s3_upload *upload, struct failure *why)
{
	if (upload->filled > 0 && !send_slot(upload, upload->current, upload->filled, why))
		return false;
	return upload_wait(upload, 0, why) && upload_go_on(upload, 0, why);
}

static bool
publish_parts(struct publishing *publishing, struct failure *why)
{
	struct s3_upload *upload = publishing->upload;
	publishing->ask = complete;
	if (!send_rest(upload, why) || !upload_publish(publishing, why))
		return false;
	free_pointer(&upload->multipart.id);
	return true;
}

static bool
publish_whole(struct publishing *publishing, const char *sha256, struct failure *why)
{
	replace_string(&publishing->upload->sha256, sha256);
	publishing->ask = put_object;
	return upload_publish(publishing, why);
}

/* Other uploads of a key that is written once can only lose by now; who began them may be dead. */
static void
end_others(struct s3_upload *upload)
{
	if (upload->once || upload->in_doubt)
		s3_multipart_abort_all(upload->store, upload->key);
	upload->in_doubt = false;
}

static bool
find_hash(struct s3_upload *upload, char ret_sha256[SHA256_TEXT], struct failure *why)
{
	if (!upload->digest) {
		memcpy(ret_sha256, upload->sha256, SHA256_TEXT);
		return true;
	}
	digest_finish(&upload->digest, ret_sha256);
	return !upload->sha256 || strings_equal(upload->sha256, ret_sha256)
	       || fail(why, FAILURE_HASH_MISMATCH,
	               "%s hashes to %s on its way into the store, not to %s", upload->key,
	               ret_sha256, upload->sha256);
}

bool
s3_upload_finish(struct store_upload *base, struct store_object *ret_object, struct failure *why)
{
	struct s3_upload *upload = (struct s3_upload *)base;
	struct store_object object = {.size = upload->size};
	struct publishing publishing = {.upload = upload};
	if (!find_hash(upload, object.sha256, why))
		return false;
	bool published = upload->multipart.id ? publish_parts(&publishing, why)
	                                      : publish_whole(&publishing, object.sha256, why);
	if (!published || !upload_verify(upload, publishing.etag, &object, why))
		return false;
	end_others(upload);
	*ret_object = object;
	return true;
}
