#include "remote/sqs.h"

#include <stdlib.h>
#include <string.h>

#include "outside/json.h"
#include "remote/aws_errors.h"

/* A small request that takes longer than this is better tried again. */
#define TIMEOUT 60000
/* A message may have 1 MiB, each byte of it written as six ("\u001f"): one that is longer than ours
 * are must still be read, to be removed. */
#define ANSWER_LIMIT (8 * 1024 * 1024)

struct sqs {
	struct http_client *client;
	struct credentials *credentials;
	char *endpoint, *region, *ca_file;
	struct sqs_call *calls;
};

struct sqs_call {
	struct sqs *sqs;
	struct sqs_call *next, **link; /* in its list */
	struct sqs_task task;
	char *about, *body;
	struct http_call *http; /* under way, or NULL while the keys are waited for */
	bool dropped;           /* cancelled meanwhile */
	bool renewed;           /* the keys were, for this request */
	bool *ended_within;     /* while sqs_start() has not returned */
};

static void ask(struct sqs_call *call);

static void
free_call(struct sqs_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	http_cancel(&call->http);
	free(call->about);
	free(call->body);
	free(call);
}

/* ---- answers ---- */

static void
end(struct sqs_call *call, const struct json_t *body, const struct failure *why)
{
	scoped_free char *about = take_pointer(&call->about);
	const struct sqs_task task = call->task;
	if (call->ended_within)
		*call->ended_within = true;
	/* Gone before done is called, which may start or cancel what it likes. */
	free_call(call);
	task.done(&task, body, why);
}

/* What stands after the last such character; all of it if there is none. NULL gives NULL. */
static const char *
after_last(const char *text, char mark)
{
	const char *last = text ? strrchr(text, mark) : NULL;
	return last ? last + 1 : text;
}

/* An error that has no JSON has no name either: its status counts. */
static void
refused(struct sqs_call *call, const struct http_answer *answer, const struct json_t *body)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	const char *message = js_string(body, "message");
	const char *code = after_last(js_string(body, "__type"), '#');
	const struct aws_error error = {.code = code,
	                                .message = message ? message : js_string(body, "Message")};
	scoped_free char *what = format("%s %s at %s", call->task.action,
	                                after_last(call->about, '/'), call->sqs->endpoint);
	if (aws_keys_expired(&error) && !call->renewed) {
		call->renewed = true;
		credentials_forget(call->sqs->credentials);
		ask(call);
		return;
	}
	aws_fail(&error, answer, what, &why);
	end(call, NULL, &why);
}

static void
answered(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct sqs_call *call = data;
	scoped(js_drop) struct json_t *body = NULL;
	scoped(failure_done) struct failure bad = FAILURE_INIT;
	call->http = NULL;
	bool empty = !answer || answer->body.length == 0;
	bool read = empty || js_parse(text_string(&answer->body), answer->body.length, &body, &bad);
	if (answer && why) {
		refused(call, answer, body);
		return;
	}
	if (!read)
		fail_within(&bad, "%s %s", call->task.action, call->about);
	end(call, body, why ? why : read ? NULL : &bad);
}

/* ---- requests ---- */

static void
send_request(struct sqs_call *call, const struct aws_keys *keys)
{
	const struct sqs *sqs = call->sqs;
	const struct http_signature signature = aws_signature(keys, "sqs", sqs->region);
	int64_t timeout = call->task.wait_ms + TIMEOUT;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	scoped_free char *url = format("%s/", sqs->endpoint);
	strings_add(&headers, "Content-Type: application/x-amz-json-1.0");
	strings_addf(&headers, "X-Amz-Target: AmazonSQS.%s", call->task.action);
	const struct http_request request = {.method = "POST",
	                                     .url = url,
	                                     .headers = &headers,
	                                     .body = call->body,
	                                     .body_length = strlen(call->body),
	                                     .signature = &signature,
	                                     .ca_file = sqs->ca_file,
	                                     .stall_timeout = timeout,
	                                     .timeout = timeout,
	                                     .answer_limit = ANSWER_LIMIT};
	call->http = http_start(sqs->client, &request, answered, call);
}

static void
keys_came(void *data, const struct aws_keys *keys, const struct failure *why)
{
	struct sqs_call *call = data;
	if (call->dropped)
		free_call(call);
	else if (keys)
		send_request(call, keys);
	else
		end(call, NULL, why);
}

static void
ask(struct sqs_call *call)
{
	credentials_want(call->sqs->credentials, keys_came, call);
}

struct sqs_call *
sqs_start(struct sqs *sqs, const struct sqs_task *task)
{
	scoped(js_drop) struct json_t *body = task->body;
	struct sqs_call *call = allocate(sizeof *call);
	bool ended = false;
	*call = (struct sqs_call){.sqs = sqs,
	                          .next = sqs->calls,
	                          .link = &sqs->calls,
	                          .task = *task,
	                          .about = copy_string(task->about),
	                          .body = js_text(body),
	                          .ended_within = &ended};
	call->task.about = call->about;
	call->task.body = NULL;
	if (call->next)
		call->next->link = &call->next;
	sqs->calls = call;
	ask(call);
	if (ended)
		return NULL;
	call->ended_within = NULL;
	return call;
}

void
sqs_cancel(struct sqs_call **call)
{
	struct sqs_call *dropped = *call;
	*call = NULL;
	if (!dropped)
		return;
	/* Whoever waits for keys cannot be told not to. */
	dropped->dropped = true;
	if (dropped->http)
		free_call(dropped);
}

/* ---- the whole ---- */

struct sqs *
sqs_open(const struct sqs_access *access)
{
	struct sqs *sqs = allocate(sizeof *sqs);
	sqs->client = access->client;
	sqs->credentials = access->credentials;
	sqs->endpoint = copy_string(access->endpoint);
	sqs->region = copy_string(access->region);
	sqs->ca_file = copy_string(access->ca_file);
	return sqs;
}

void
sqs_close(struct sqs **sqs)
{
	if (!*sqs)
		return;
	while ((*sqs)->calls)
		free_call((*sqs)->calls);
	free((*sqs)->endpoint);
	free((*sqs)->region);
	free((*sqs)->ca_file);
	free_pointer(sqs);
}
