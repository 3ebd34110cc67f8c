/* How an upload's object comes to lie in the bucket: looked for, written under a condition, looked
 * for again whenever it is not certain, verified. */
#include <string.h>

#include "s3_upload_private.h"

/* ---- what lies there ---- */

static bool
fail_taken(const struct s3_upload *upload, struct failure *why)
{
	return fail(why, FAILURE_EXISTS, "the store (%s) %s %s", upload->store->store.description,
	            upload->once ? "already holds" : "holds another", upload->key);
}

/* ETags come with quotes or without. */
static bool
same_etag(const char *a, const char *b)
{
	size_t quoted = *a == '"', also = *b == '"';
	size_t length = strcspn(a + quoted, "\"");
	return length == strcspn(b + also, "\"") && strncmp(a + quoted, b + also, length) == 0;
}

bool
upload_look_first(const struct s3_upload *upload, bool *ret_ours, struct failure *why)
{
	struct s3_head head = S3_HEAD_INIT;
	*ret_ours = false;
	if (!upload->once && !upload->replaces)
		return true;
	if (s3_look_for_object(upload->store, upload->key, upload_tick(upload), &head, why)) {
		*ret_ours = strings_equal(head.upload, upload->name);
		return *ret_ours || (upload->replaces && same_etag(head.etag, upload->replaces))
		       || fail_taken(upload, why);
	}
	if (why->code != FAILURE_NOT_FOUND)
		return false;
	failure_clear(why);
	return upload->once || fail_taken(upload, why);
}

/* Is what lies there this upload's, whatever was heard of it? *why stays. */
static bool
is_ours(const struct s3_upload *upload)
{
	struct s3_head head = S3_HEAD_INIT;
	scoped(failure_done) struct failure unseen = FAILURE_INIT;
	return s3_look_for_object(upload->store, upload->key, upload_tick(upload), &head, &unseen)
	       && strings_equal(head.upload, upload->name);
}

bool
upload_verify(const struct s3_upload *upload, const char *etag, struct store_object *object,
              struct failure *why)
{
	struct s3_head head = S3_HEAD_INIT;
	if (!s3_head_object(upload->store, upload->key, upload_tick(upload), &head, why)) {
		if (why->code == FAILURE_NOT_FOUND)
			fail(why, FAILURE_SERVER, "%s is gone again from the store (%s)",
			     upload->key, upload->store->store.description);
		return false;
	}
	bool same = head.size == upload->size
	            && (!upload->sha256 || strings_equal(head.sha256, upload->sha256));
	bool ours = strings_equal(head.upload, upload->name);
	if (ours && (!same || (etag[0] && !same_etag(etag, head.etag))))
		return fail(why, FAILURE_BAD_ANSWER,
		            "%s in the store (%s) is not what was sent, by its size, ETag or "
		            "SHA-256",
		            upload->key, upload->store->store.description);
	if (!ours && !(same && upload->sha256))
		return fail_taken(upload, why);
	memcpy(object->version, head.etag, sizeof head.etag);
	return true;
}

/* ---- headers ---- */

void
upload_add_metadata(const struct s3_upload *upload, struct strings *headers)
{
	strings_addf(headers, S3_META_UPLOAD ": %s", upload->name);
	if (upload->sha256)
		strings_addf(headers, S3_META_SHA256 ": %s", upload->sha256);
}

static bool
is_conditional(const struct s3_upload *upload)
{
	return (upload->once || upload->replaces) && !upload->store->unconditional;
}

void
upload_add_condition(const struct s3_upload *upload, struct strings *headers)
{
	if (!is_conditional(upload))
		return;
	if (upload->once)
		strings_add(headers, "If-None-Match: *");
	else
		strings_addf(headers, "If-Match: %s", upload->replaces);
}

/* ---- the request that makes the object, whichever it is ---- */

static bool
ask(struct publishing *publishing, struct failure *why)
{
	scoped(http_answer_done) struct http_answer answer = HTTP_ANSWER_INIT;
	publishing->etag[0] = '\0';
	bool good = publishing->ask(publishing, &answer, why);
	publishing->status = answer.status;
	return good;
}

/* It gets none from now on. */
static bool
ask_unconditionally(struct publishing *publishing, struct failure *why)
{
	struct s3_store *store = publishing->upload->store;
	store->unconditional = true;
	failure_clear(why);
	if (ask(publishing, why))
		return true;
	store->unconditional = false;
	return false;
}

/* After these it may have come through all the same, at this asking or the one before. */
static bool
is_in_doubt(enum failure_code code)
{
	return s3_is_passing(code) || code == FAILURE_EXISTS || code == FAILURE_NOT_FOUND;
}

static bool
ask_and_look(struct publishing *publishing, struct failure *why)
{
	const struct s3_upload *upload = publishing->upload;
	if (ask(publishing, why))
		return true;
	bool refused = s3_refuses_conditions(publishing->status, why);
	if (refused && is_conditional(upload) && ask_unconditionally(publishing, why))
		return true;
	if (!is_in_doubt(why->code) || !is_ours(upload))
		return false;
	publishing->etag[0] = '\0';
	s3_came_through(upload->store->s3);
	failure_clear(why);
	return true;
}

/* If-Match of what is gone is NoSuchKey, parts of an upload that somebody ended NoSuchUpload: the
 * winner of a race ends the losers'. */
bool
upload_explain_absence(const struct s3_upload *upload, struct failure *why)
{
	scoped(failure_done) struct failure seen = FAILURE_INIT;
	bool ours;
	if (why->code != FAILURE_NOT_FOUND)
		return false;
	if (!upload_look_first(upload, &ours, &seen) && seen.code == FAILURE_EXISTS)
		return fail_taken(upload, why);
	scoped_free char *message = copy_string(why->message);
	return fail(why, FAILURE_SERVER, "the upload is gone: %s", message);
}

bool
upload_publish(struct publishing *publishing, struct failure *why)
{
	const struct s3_upload *upload = publishing->upload;
	bool ours;
	do {
		if (!upload_look_first(upload, &ours, why))
			return false;
		if (ours || ask_and_look(publishing, why))
			return true;
	} while (s3_turn(upload->store->s3, &publishing->turns, upload_tick(upload), why));
	return upload_explain_absence(upload, why);
}
