#include "desk.h"

#include "body.h"
#include "messages.h"
#include "outside/json.h"

#define NAME_LIMIT 255
#define WORD_LIMIT 128 /* receipts, names of polls */
#define QUEUES     4

static const struct range wait_seconds = {0, 300};
static const struct range lease_seconds = {1, 24 * 60 * 60};
static const struct range delay_seconds = {0, 7 * 24 * 60 * 60};

static bool
read_queues(const struct json_t *body, struct strings *queues, struct failure *why)
{
	const struct json_t *names = js_member(body, "queues");
	size_t count = js_size(names);
	if (count < 1 || count > QUEUES)
		return fail(why, FAILURE_REJECTED, "queues must be a list of 1 to %d names",
		            QUEUES);
	for (size_t i = 0; i < count; i++) {
		const char *name = js_item_string(names, i);
		if (!name || !messages_is_queue(name))
			return fail(why, FAILURE_REJECTED,
			            "queues may hold build, ci, performance and correctness");
		strings_add(queues, name);
	}
	return true;
}

static bool
read_wish(const struct json_t *body, struct wait_wish *wish, struct failure *why)
{
	int64_t wait = 0;
	int64_t lease = 120;
	if (!read_queues(body, &wish->queues, why)
	    || !body_text(body, "worker", NAME_LIMIT, &wish->worker, why)
	    || !body_text(body, "poll", WORD_LIMIT, &wish->poll, why)
	    || !body_integer(body, "wait_seconds", wait_seconds, &wait, why)
	    || !body_integer(body, "lease_seconds", lease_seconds, &lease, why))
		return false;
	wish->wait_ms = wait * 1000;
	wish->lease_ms = lease * 1000;
	return true;
}

void
desk_receive(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *body = NULL;
	struct wait_wish wish = {};
	if (body_json(request, &body, &why) && read_wish(body, &wish, &why))
		waits_add(site->waits, request, &wish);
	else
		request_answer_failure(request, &why);
	strings_done(&wish.queues);
}

void
desk_cancel(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *body = NULL;
	const char *poll = NULL;
	bool good = body_json(request, &body, &why)
	            && body_text(body, "poll", WORD_LIMIT, &poll, &why);
	if (good && poll)
		waits_cancel(site->waits, poll);
	request_answer_result(request, good, &why);
}

/* The body with its receipt, which it must have. */
static bool
read_receipt(struct request *request, struct json_t **body, const char **receipt,
             struct failure *why)
{
	if (!body_json(request, body, why)
	    || !body_text(*body, "receipt", WORD_LIMIT, receipt, why))
		return false;
	return *receipt || fail(why, FAILURE_REJECTED, "receipt is missing");
}

void
desk_extend(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *body = NULL;
	const char *receipt = NULL;
	int64_t lease = 120;
	request_answer_result(
	    request,
	    read_receipt(request, &body, &receipt, &why)
		&& body_integer(body, "lease_seconds", lease_seconds, &lease, &why)
		&& messages_extend(site->db, receipt, lease * 1000, &why),
	    &why);
}

void
desk_acknowledge(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *body = NULL;
	const char *receipt = NULL;
	request_answer_result(request,
	                      read_receipt(request, &body, &receipt, &why)
	                          && messages_acknowledge(site->db, receipt, &why),
	                      &why);
}

void
desk_release(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *body = NULL;
	struct message_release release = {};
	int64_t delay = 0;
	bool good = read_receipt(request, &body, &release.receipt, &why)
	            && body_integer(body, "delay_seconds", delay_seconds, &delay, &why);
	if (good) {
		release.delay_ms = delay * 1000;
		release.handback = js_true(body, "handback");
		good = messages_release(site->db, &release, &why);
	}
	request_answer_result(request, good, &why);
}
