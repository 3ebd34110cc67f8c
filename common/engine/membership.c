#include "engine/membership.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "outside/json.h"
#include "remote/aws_errors.h"

/* A new job or step is told at most this often, its progress more rarely. */
#define STEP_EVERY     2000
#define PROGRESS_EVERY 10000

void
membership_init(struct membership *membership, const struct services *services)
{
	*membership = (struct membership){.services = services, .backoff = BACKOFF_INIT};
}

void
membership_done(struct membership *membership)
{
	http_cancel(&membership->call);
	free_pointer(&membership->worker_id);
	free_pointer(&membership->told_step);
	free_pointer(&membership->told);
	failure_done(&membership->why);
}

/* ---- registering ---- */

static void
note_clock(struct membership *membership, const struct http_answer *answer)
{
	if (answer)
		membership->clock_offset = aws_clock_offset(answer);
}

static void
try_again(struct membership *membership, const struct failure *why, const char *what)
{
	/* The first time is news, and another reason; after that the status shows it. */
	bool news = membership->backoff.tries == 0 || why->code != membership->why.code;
	log_failure(news ? LEVEL_WARNING : LEVEL_DEBUG, NULL, why, "%s", what);
	failure_copy(&membership->why, why);
	membership->due = clock_ms() + backoff_next(&membership->backoff);
}

static void
registered(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct membership *membership = data;
	const struct services *services = membership->services;
	struct failure inner = FAILURE_INIT;
	membership->call = NULL;
	note_clock(membership, answer);
	if (!why && !dashboard_worker_id(answer, &membership->worker_id, &inner))
		why = &inner;
	if (why) {
		try_again(membership, why, "cannot register with the dashboard");
		failure_done(&inner);
		return;
	}
	log_notice(NULL, "registered with %s as worker %s (%s)", services->dashboard.url,
	           membership->worker_id, services->name);
	failure_clear(&membership->why);
	backoff_reset(&membership->backoff);
	membership->due = clock_ms() + services->config->heartbeat_period;
}

static void
register_worker(struct membership *membership)
{
	const struct services *services = membership->services;
	scoped_free char *body = dashboard_register_body(services->name, services->program->kind);
	membership->call = dashboard_post(services->http, &services->dashboard, "/workers/register",
	                                  body, registered, membership);
}

/* ---- heartbeats ---- */

static char *
heartbeat_body(const struct slot *slot)
{
	scoped(js_drop) struct json_t *body = js_object();
	if (slot->state == SLOT_IDLE) {
		js_set_null(body, "job_id");
		return js_text(body);
	}
	dashboard_set_id(body, "job_id", slot->claim.job.id);
	js_set_integer(body, "attempt", slot->claim.job.attempt);
	js_set_string(body, "step", slot->step[0] ? slot->step : NULL);
	if (slot->done || slot->total) {
		struct json_t *progress = js_object();
		js_set_integer(progress, "done", slot->done);
		js_set_integer(progress, "total", slot->total);
		js_set_string(progress, "unit", slot->unit);
		js_set(body, "progress", progress);
	}
	return js_text(body);
}

static void
beaten(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct membership *membership = data;
	membership->call = NULL;
	note_clock(membership, answer);
	if (!why) {
		if (membership->why.code != FAILURE_NONE)
			log_notice(NULL, "the dashboard answers again");
		failure_clear(&membership->why);
		backoff_reset(&membership->backoff);
		return;
	}
	if (dashboard_forgot_worker(answer)) {
		log_failure(LEVEL_WARNING, NULL, why, "registering again");
		free_pointer(&membership->worker_id);
		membership->due = clock_ms();
		return;
	}
	try_again(membership, why, "heartbeat failed");
}

/* What a heartbeat is soon sent for: "12.1 clone"; NULL while idle. */
static char *
step_text(const struct slot *slot)
{
	if (slot->state == SLOT_IDLE)
		return NULL;
	return format("%s.%d %s", slot->claim.job.id, slot->claim.job.attempt, slot->step);
}

static void
beat(struct membership *membership, const struct slot *slot, const char *body, int64_t now)
{
	const struct services *services = membership->services;
	scoped_free char *path = format("/workers/%s/heartbeat", membership->worker_id);
	replace_string(&membership->told, body);
	free(membership->told_step);
	membership->told_step = step_text(slot);
	membership->last = now;
	membership->due = now + services->config->heartbeat_period;
	membership->call = dashboard_post(services->http, &services->dashboard, path, body, beaten,
	                                  membership);
}

/* When the next heartbeat must be sent for what changed since the last. */
static int64_t
news_due(const struct membership *membership, const struct slot *slot, const char *body)
{
	scoped_free char *step = step_text(slot);
	if (!strings_equal(step, membership->told_step))
		return membership->last + STEP_EVERY;
	if (step && !strings_equal(body, membership->told))
		return membership->last + PROGRESS_EVERY;
	return INT64_MAX;
}

void
membership_turn(struct membership *membership, const struct slot *slot, int64_t now)
{
	if (membership->call || membership->leaving)
		return;
	if (!membership->worker_id) {
		if (now >= membership->due)
			register_worker(membership);
		return;
	}
	scoped_free char *body = heartbeat_body(slot);
	int64_t soon = news_due(membership, slot, body);
	if (soon < membership->due)
		membership->due = soon;
	if (now >= membership->due)
		beat(membership, slot, body, now);
}

int64_t
membership_due(const struct membership *membership)
{
	return membership->call || membership->leaving ? -1 : membership->due;
}

/* ---- leaving ---- */

static void
unregistered(void *data, const struct http_answer *answer, const struct failure *why)
{
	(void)answer;
	struct membership *membership = data;
	membership->call = NULL;
	membership->left = true;
	if (why)
		log_failure(LEVEL_INFO, NULL, why, "could not unregister");
}

void
membership_leave(struct membership *membership)
{
	const struct services *services = membership->services;
	if (membership->leaving)
		return;
	membership->leaving = true;
	http_cancel(&membership->call);
	if (!membership->worker_id) {
		membership->left = true;
		return;
	}
	scoped_free char *path = format("/workers/%s/unregister", membership->worker_id);
	membership->call = dashboard_post(services->http, &services->dashboard, path, NULL,
	                                  unregistered, membership);
}
