#include "s3_object.h"

#include <string.h>

#include "base/units.h"

bool
s3_refuses_conditions(int status, const struct failure *why)
{
	return status == 501 || (status == 400 && why->code == FAILURE_REFUSED);
}

/* "" if it is not there or does not fit. */
static void
copy_header(const struct http_answer *answer, const char *name, size_t size, char *ret)
{
	const char *value = http_header(answer, name);
	bool fits = value && strlen(value) < size;
	memcpy(ret, fits ? value : "", fits ? strlen(value) + 1 : 1);
}

bool
s3_head_read(const struct http_answer *answer, struct s3_head *head, struct failure *why)
{
	const char *length = http_header(answer, "content-length");
	struct s3_head read = S3_HEAD_INIT;
	if (!length || !number_parse(length, &read.size, NULL) || read.size < 0)
		return fail(why, FAILURE_BAD_ANSWER, "the answer has no Content-Length");
	copy_header(answer, "etag", sizeof read.etag, read.etag);
	if (!read.etag[0])
		return fail(why, FAILURE_BAD_ANSWER, "the answer has no ETag");
	copy_header(answer, S3_META_SHA256, sizeof read.sha256, read.sha256);
	if (!digest_is_sha256(read.sha256))
		read.sha256[0] = '\0';
	copy_header(answer, S3_META_UPLOAD, sizeof read.upload, read.upload);
	copy_header(answer, "content-type", sizeof read.type, read.type);
	*head = read;
	return true;
}

static bool
read_head(void *data, const struct http_answer *answer, struct failure *why)
{
	return s3_head_read(answer, data, why);
}

static bool
ask(struct s3_store *store, struct s3_request *request, const struct tick *tick,
    struct s3_head *head, struct failure *why)
{
	scoped(http_answer_done) struct http_answer answer = HTTP_ANSWER_INIT;
	request->operation = "HeadObject";
	request->method = "HEAD";
	request->check = read_head;
	request->data = head;
	return s3_ask(store->s3, request, tick, &answer, why);
}

bool
s3_head_object(struct s3_store *store, const char *key, const struct tick *tick,
               struct s3_head *head, struct failure *why)
{
	struct s3_request request = {.key = key};
	return ask(store, &request, tick, head, why);
}

bool
s3_look_for_object(struct s3_store *store, const char *key, const struct tick *tick,
                   struct s3_head *head, struct failure *why)
{
	struct s3_request request = {.key = key, .absence_is_fine = true};
	return ask(store, &request, tick, head, why);
}
