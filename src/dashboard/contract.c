#include "contract.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "body.h"
#include "jobs.h"
#include "outside/digest.h"
#include "outside/json.h"
#include "workers.h"

#define NAME_LIMIT    255 /* hostnames, as of the existing dashboard */
#define WORD_LIMIT    64  /* steps, failure codes, units */
#define KEY_LIMIT     1024
#define MESSAGE_LIMIT (8 * 1024)
#define DETAILS_LIMIT (64 * 1024)
#define TIMINGS_LIMIT (16 * 1024)

static const struct range ids = {1, INT64_MAX};
static const struct range counts = {0, INT64_MAX};
static const struct range attempts = {1, 1000000};
static const struct range return_codes = {INT32_MIN, INT32_MAX};

/* ---- workers ---- */

static bool
read_introduction(const struct json_t *body, struct worker_introduction *introduction,
                  struct failure *why)
{
	return body_text(body, "hostname", NAME_LIMIT, &introduction->hostname, why)
	       && body_text(body, "kind", WORD_LIMIT, &introduction->kind, why)
	       && body_text(body, "version", WORD_LIMIT, &introduction->version, why);
}

void
contract_register(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *body = NULL;
	struct worker_introduction introduction = {};
	int64_t id;
	if (!body_json(request, &body, &why) || !read_introduction(body, &introduction, &why)) {
		request_answer_failure(request, &why);
	} else if (!introduction.hostname || !introduction.hostname[0]) {
		request_answer_text(request, 400, "{\"worker_id\":null}");
	} else if (!workers_register(site->db, &introduction, &id, &why)) {
		request_answer_failure(request, &why);
	} else {
		log_info(NULL, "worker %lld registered: %s", (long long)id, introduction.hostname);
		request_answer_text(request, 200, "{\"worker_id\":%lld}", (long long)id);
	}
}

static bool
read_heartbeat(const struct json_t *body, struct heartbeat *heartbeat, struct failure *why)
{
	const struct json_t *progress = js_member(body, "progress");
	if (!body_integer(body, "job_id", ids, &heartbeat->job_id, why)
	    || !body_integer(body, "attempt", attempts, &heartbeat->attempt, why)
	    || !body_text(body, "step", WORD_LIMIT, &heartbeat->step, why))
		return false;
	if (!js_is_object(progress))
		return true;
	return body_integer(progress, "done", counts, &heartbeat->done, why)
	       && body_integer(progress, "total", counts, &heartbeat->total, why)
	       && body_text(progress, "unit", WORD_LIMIT, &heartbeat->unit, why);
}

void
contract_heartbeat(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *body = NULL;
	struct heartbeat heartbeat = {.worker_id = request_id(request)};
	request_answer_result(request,
	                      body_json(request, &body, &why)
	                          && read_heartbeat(body, &heartbeat, &why)
	                          && workers_heartbeat(site->db, &heartbeat, &why),
	                      &why);
}

void
contract_unregister(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (workers_unregister(site->db, request_id(request), &why))
		request_answer_text(request, 200, "%s", "");
	else
		request_answer_failure(request, &why);
}

/* ---- the start of a job ---- */

/* Existing workers send no body, and the existing dashboard takes any. */
static bool
read_start(struct request *request, struct job_start *start, struct json_t **body,
           struct failure *why)
{
	if (!body_json(request, body, NULL))
		return true;
	return body_integer(*body, "attempt", attempts, &start->attempt, why)
	       && body_text(*body, "worker", NAME_LIMIT, &start->worker, why);
}

void
contract_start(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *body = NULL;
	struct job_start start = {.id = request_id(request), .attempt = ATTEMPT_NOT_TOLD};
	request_answer_result(
	    request, read_start(request, &start, &body, &why) && jobs_start(site->db, &start, &why),
	    &why);
}

/* ---- its finish ---- */

static bool
is_key(const char *text)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
	return text[0] && text[0] != '/' && text[strspn(text, allowed)] == '\0'
	       && !strstr(text, "..");
}

static bool
read_result(const struct json_t *body, struct job_finish *finish, struct failure *why)
{
	int64_t code = INT64_MIN;
	if (!body_text(body, "secret_key", NAME_LIMIT, &finish->secret, why)
	    || !body_integer(body, "return_code", return_codes, &code, why)
	    || !body_text(body, "result_s3_key", KEY_LIMIT, &finish->result_key, why)
	    || !body_integer(body, "attempt", attempts, &finish->attempt, why)
	    || !body_text(body, "worker", NAME_LIMIT, &finish->worker, why))
		return false;
	if (code == INT64_MIN || js_string(body, "return_code"))
		return fail(why, FAILURE_REJECTED, "return_code must be a number");
	if (finish->result_key && !is_key(finish->result_key))
		return fail(why, FAILURE_REJECTED, "result_s3_key is no key");
	finish->return_code = code;
	return body_sha256(body, "jar_sha256", &finish->jar_sha256, why)
	       && body_sha256(body, "result_sha256", &finish->result_sha256, why);
}

/* A number, or "7" as the existing dashboard takes it. */
static bool
read_seconds(const struct json_t *body, const char *name, struct value *ret, struct failure *why)
{
	double seconds;
	int64_t whole = -1;
	*ret = null_value();
	if (js_real(body, name, &seconds) && seconds >= 0 && seconds < 1e12) {
		*ret = real_value(seconds);
		return true;
	}
	if (!body_integer(body, name, counts, &whole, why))
		return false;
	if (whole >= 0)
		*ret = real_value((double)whole);
	return true;
}

static bool
read_verdict(const struct json_t *body, struct job_finish *finish, struct failure *why)
{
	double correct = 0;
	int64_t rss = -1;
	finish->has_verdict = js_member(body, "correct") != NULL;
	/* Only the number 1 means correct, as in the existing dashboard. */
	finish->correct = js_real(body, "correct", &correct) && correct == 1;
	if (!read_seconds(body, "real_time_seconds", &finish->real_time_seconds, why)
	    || !read_seconds(body, "cpu_time_seconds", &finish->cpu_time_seconds, why)
	    || !body_integer(body, "max_rss_bytes", counts, &rss, why)
	    || !body_text(body, "measured_by", WORD_LIMIT, &finish->measured_by, why))
		return false;
	finish->max_rss_bytes = rss >= 0 ? integer_value(rss) : null_value();
	return true;
}

/* The texts of a finish that are not in the body as they are kept. */
struct finish_texts {
	char *message, *details, *timings;
};

static void
finish_texts_done(struct finish_texts *texts)
{
	free_pointer(&texts->message);
	free_pointer(&texts->details);
	free_pointer(&texts->timings);
}

/* The last `limit` bytes, beginning with a whole character. */
static char *
last_bytes(const char *text, size_t limit)
{
	size_t length = text ? strlen(text) : 0;
	if (length <= limit)
		return copy_string(text);
	text += length - limit;
	while (((unsigned char)*text & 0xc0) == 0x80)
		text++;
	return copy_string(text);
}

static char *
first_bytes(const char *text, size_t limit)
{
	char *copy = copy_string(text);
	if (!copy || strlen(copy) <= limit)
		return copy;
	while (limit > 0 && ((unsigned char)copy[limit] & 0xc0) == 0x80)
		limit--;
	copy[limit] = '\0';
	return copy;
}

static bool
read_reason(const struct json_t *body, struct job_finish *finish, struct finish_texts *texts,
            struct failure *why)
{
	/* Existing workers write error_detail in some of their messages. */
	const char *details = js_string(body, "error_details");
	const struct json_t *timings = js_member(body, "timings");
	if (!details)
		details = js_string(body, "error_detail");
	texts->message = first_bytes(js_string(body, "error_message"), MESSAGE_LIMIT);
	texts->details = last_bytes(details, DETAILS_LIMIT);
	if (js_is_object(timings))
		texts->timings = js_text(timings);
	if (texts->timings && strlen(texts->timings) > TIMINGS_LIMIT)
		return fail(why, FAILURE_REJECTED, "timings is too long");
	finish->error_message = texts->message;
	finish->error_details = texts->details;
	finish->timings = texts->timings;
	return body_text(body, "failure", WORD_LIMIT, &finish->failure, why)
	       && body_text(body, "step", WORD_LIMIT, &finish->step, why);
}

static void
log_finish(const struct job_finish *finish, int64_t attempt)
{
	scoped_free char *id = format("%lld", (long long)finish->id);
	const struct subject about = {.job = id, .attempt = (int)attempt};
	log_info(&about, "finished: code %lld%s%s", (long long)finish->return_code,
	         finish->failure ? ", " : "", finish->failure ? finish->failure : "");
}

void
contract_finish(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *body = NULL;
	scoped(finish_texts_done) struct finish_texts texts = {};
	struct job_finish finish = {.id = request_id(request), .attempt = ATTEMPT_NOT_TOLD};
	int64_t attempt = 0;
	digest_bytes(text_string(&request->body), request->body.length, finish.report_sha256);
	bool good = body_json(request, &body, &why) && read_result(body, &finish, &why)
	            && read_verdict(body, &finish, &why) && read_reason(body, &finish, &texts, &why)
	            && jobs_finish(site->db, &finish, &attempt, &why);
	if (good && attempt)
		log_finish(&finish, attempt);
	request_answer_result(request, good, &why);
}
