#include "s3_multipart.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "s3_address.h"
#include "s3_answers.h"

#define ABORT_TIME  10000 /* ms for ending uploads, few or many */
#define ABORT_TRIES 3     /* a part that was under way may come to lie there after the first */

void
s3_multipart_done(struct s3_multipart *multipart)
{
	free_pointer(&multipart->id);
	strings_done(&multipart->etags);
}

char *
s3_multipart_query(const struct s3_multipart *multipart, size_t number)
{
	struct text query = TEXT_INIT;
	if (number > 0)
		text_addf(&query, "partNumber=%zu&", number);
	text_add_string(&query, "uploadId=");
	s3_encode(&query, multipart->id, false);
	return text_take(&query);
}

bool
s3_etag_copy(const char *etag, char ret[STORE_VERSION], struct failure *why)
{
	size_t length = etag ? strlen(etag) : 0;
	if (length == 0 || length >= STORE_VERSION || strcspn(etag, "<>& \t\r\n") != length)
		return fail(why, FAILURE_BAD_ANSWER, "the answer has no ETag");
	memcpy(ret, etag, length + 1);
	return true;
}

/* ---- begun ---- */

static void
count(void *data, struct strings *headers)
{
	struct s3_multipart *multipart = data;
	(void)headers;
	multipart->asked++;
}

static bool
read_id(void *data, const struct http_answer *answer, struct failure *why)
{
	struct s3_multipart *multipart = data;
	return s3_answer_text(&answer->body, "InitiateMultipartUploadResult/UploadId",
	                      &multipart->id, why);
}

bool
s3_multipart_create(struct s3_multipart *multipart, const struct strings *headers,
                    struct failure *why)
{
	struct s3_store *store = multipart->store;
	scoped(http_answer_done) struct http_answer answer = HTTP_ANSWER_INIT;
	/* On a kept connection that broke curl would ask a second time, uncounted. */
	const struct s3_request request = {.operation = "CreateMultipartUpload",
	                                   .method = "POST",
	                                   .key = multipart->key,
	                                   .query = "uploads=",
	                                   .headers = headers,
	                                   .fresh = true,
	                                   .prepare = count,
	                                   .check = read_id,
	                                   .data = multipart};
	return s3_ask(store->s3, &request, &store->store.tick, &answer, why);
}

/* ---- completed ---- */

static bool
read_etag(void *data, const struct http_answer *answer, struct failure *why)
{
	scoped_free char *etag = NULL;
	return s3_answer_text(&answer->body, "CompleteMultipartUploadResult/ETag", &etag, why)
	       && s3_etag_copy(etag, data, why);
}

static void
list_parts(const struct s3_multipart *multipart, struct text *document)
{
	text_add_string(document, "<CompleteMultipartUpload "
	                          "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < multipart->etags.count; i++)
		text_addf(document, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>",
		          i + 1, multipart->etags.items[i]);
	text_add_string(document, "</CompleteMultipartUpload>");
}

bool
s3_multipart_complete(struct s3_multipart *multipart, const struct strings *headers,
                      char ret_etag[STORE_VERSION], struct http_answer *ret_answer,
                      struct failure *why)
{
	struct s3_store *store = multipart->store;
	scoped_free char *query = s3_multipart_query(multipart, 0);
	scoped(text_done) struct text document = TEXT_INIT;
	list_parts(multipart, &document);
	const struct s3_request request = {.operation = "CompleteMultipartUpload",
	                                   .method = "POST",
	                                   .key = multipart->key,
	                                   .query = query,
	                                   .headers = headers,
	                                   .body = document.bytes,
	                                   .length = document.length,
	                                   .single = true,
	                                   .fresh = multipart->fresh,
	                                   .check = read_etag,
	                                   .data = ret_etag};
	return s3_ask(store->s3, &request, &store->store.tick, ret_answer, why);
}

/* ---- ended ---- */

static bool
is_early(void *data, int64_t done, int64_t total)
{
	const int64_t *late = data;
	(void)done;
	(void)total;
	return clock_ms() < *late;
}

/* Also when the job was cancelled, so not by the store's own tick. */
static bool
ask_shortly(struct s3_store *store, const struct s3_request *request, int64_t late,
            struct http_answer *ret_answer, struct failure *why)
{
	const struct tick tick = {.tell = is_early, .data = &late};
	return s3_ask(store->s3, request, &tick, ret_answer, why);
}

static bool
end(struct s3_multipart *multipart, int64_t late, struct failure *why)
{
	bool there = true;
	scoped_free char *query = s3_multipart_query(multipart, 0);
	const struct s3_request request = {.operation = "AbortMultipartUpload",
	                                   .method = "DELETE",
	                                   .key = multipart->key,
	                                   .query = query};
	for (int i = 0; i < ABORT_TRIES && there; i++) {
		scoped(http_answer_done) struct http_answer answer = HTTP_ANSWER_INIT;
		there = ask_shortly(multipart->store, &request, late, &answer, why);
	}
	bool ended = there || why->code == FAILURE_NOT_FOUND;
	if (ended)
		failure_clear(why);
	free_pointer(&multipart->id);
	return ended;
}

void
s3_multipart_abort(struct s3_multipart *multipart)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (!end(multipart, clock_ms() + ABORT_TIME, &why))
		failure_clear(&why);
}

/* The ids of a key's uploads. */
struct finding {
	const char *key; /* in the bucket */
	struct strings ids;
};

static void
note_upload(const struct s3_found *found, void *data)
{
	struct finding *finding = data;
	if (strings_equal(found->key, finding->key))
		strings_add(&finding->ids, found->id);
}

static bool
find_uploads(struct s3_store *store, struct finding *finding, int64_t late, struct failure *why)
{
	scoped(http_answer_done) struct http_answer answer = HTTP_ANSWER_INIT;
	scoped(text_done) struct text query = TEXT_INIT;
	text_add_string(&query, "prefix=");
	s3_encode(&query, finding->key, false);
	text_add_string(&query, "&uploads=");
	const struct s3_request request = {
	    .operation = "ListMultipartUploads", .method = "GET", .query = text_string(&query)};
	return ask_shortly(store, &request, late, &answer, why)
	       && s3_each_upload(&answer.body, note_upload, finding, why);
}

bool
s3_multipart_end_all(struct s3_store *store, const char *key, struct failure *why)
{
	scoped_free char *full = s3_full_key(s3_settings(store->s3), key);
	struct finding finding = {.key = full};
	int64_t late = clock_ms() + ABORT_TIME;
	bool good = find_uploads(store, &finding, late, why);
	for (size_t i = 0; good && i < finding.ids.count; i++) {
		scoped(s3_multipart_done) struct s3_multipart multipart = {
		    .store = store, .key = key, .id = copy_string(finding.ids.items[i])};
		good = end(&multipart, late, why);
	}
	strings_done(&finding.ids);
	return good;
}

void
s3_multipart_abort_all(struct s3_store *store, const char *key)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (!s3_multipart_end_all(store, key, &why))
		failure_clear(&why);
}
