#include "waits.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "messages.h"
#include "outside/json.h"

struct wait {
	struct request *request;
	struct strings queues;
	char *worker, *poll;
	int64_t lease_ms;
	int64_t deadline; /* clock_ms() */
	struct wait *next;
};

#define CANCELLED 16
#define JUMP      1000 /* ms: no clock that is only corrected gets so far between two looks */

struct waits {
	struct database *db;
	struct loop_source *turn; /* looks for changes of the database */
	struct loop_source *due;  /* a wait is over, or a message becomes visible */
	struct wait *first;       /* waiting longest */
	int64_t seen;             /* version of the database when it was looked at last */
	int64_t apart;            /* ms: wall clock less monotonic, as last seen */
	bool ended;
	/* The polls cancelled last: a cancel may overtake the request that it is to end. */
	char *cancelled[CANCELLED];
	size_t next_cancelled;
};

static void
wait_free(struct wait *wait)
{
	strings_done(&wait->queues);
	free(wait->worker);
	free(wait->poll);
	free(wait);
}

/* ---- answers ---- */

static void
answer_none(struct request *request)
{
	const struct answer answer = {.status = 204};
	request_answer(request, &answer);
}

/* A message on its way to a worker. */
struct delivery {
	struct database *db;
	char *receipt;
	char *job_id;
};

static void
on_delivered(bool sent, void *data)
{
	struct delivery *delivery = data;
	const struct subject about = {.job = delivery->job_id};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	const struct message_release back = {.receipt = delivery->receipt, .handback = true};
	if (!sent && messages_release(delivery->db, &back, &why))
		log_info(&about, "the worker hung up, the job goes back to the queue");
	if (why.code != FAILURE_NONE)
		log_failure(LEVEL_ERROR, &about, &why,
		            "the worker hung up, the job stays hidden for a lease");
	free(delivery->receipt);
	free(delivery->job_id);
	free(delivery);
}

static void
answer_message(struct database *db, struct request *request, const struct message *message)
{
	scoped(js_drop) struct json_t *body = js_object();
	js_set_string(body, "message_id", message->secret);
	js_set_string(body, "receipt", message->receipt);
	js_set_string(body, "queue", message->queue);
	js_set_integer(body, "attempt", message->attempt);
	js_set_integer(body, "handbacks", message->handbacks);
	js_set_string(body, "body", message->body);
	scoped_free char *text = js_text(body);
	struct delivery *delivery = allocate(sizeof *delivery);
	delivery->db = db;
	delivery->receipt = copy_string(message->receipt);
	delivery->job_id = format("%lld", (long long)message->job_id);
	request_when_ended(request, on_delivered, delivery);
	const struct answer answer = {
	    .status = 200, .type = TYPE_JSON, .bytes = text, .length = strlen(text)};
	request_answer(request, &answer);
}

/* Answers the request if there is a message for it, or if there never will be. */
static bool
satisfy(struct waits *waits, const struct wait *wait)
{
	scoped(message_done) struct message message = MESSAGE_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	const struct message_wish wish = {
	    .queues = &wait->queues, .worker = wait->worker, .lease_ms = wait->lease_ms};
	bool found;
	if (!messages_receive(waits->db, &wish, &message, &found, &why)) {
		request_answer_failure(wait->request, &why);
		return true;
	}
	if (!found)
		return false;
	scoped_free char *id = format("%lld", (long long)message.job_id);
	const struct subject about = {.job = id, .attempt = (int)message.attempt};
	log_info(&about, "given to %s", wait->worker ? wait->worker : "a worker without a name");
	answer_message(waits->db, wait->request, &message);
	return true;
}

/* ---- those who wait ---- */

static void
remove_at(struct wait **at)
{
	struct wait *wait = *at;
	*at = wait->next;
	wait_free(wait);
}

/* Ends those that are over or that nobody holds any more. */
static void
end_old(struct waits *waits)
{
	int64_t now = clock_ms();
	for (struct wait **at = &waits->first; *at;) {
		if (!waits->ended && (*at)->deadline > now
		    && !request_client_gone((*at)->request)) {
			at = &(*at)->next;
		} else {
			answer_none((*at)->request);
			remove_at(at);
		}
	}
}

static void
satisfy_all(struct waits *waits)
{
	for (struct wait **at = &waits->first; *at;) {
		if (satisfy(waits, *at))
			remove_at(at);
		else
			at = &(*at)->next;
	}
}

static void
set_timer(struct waits *waits, int64_t next_visible)
{
	if (!waits->first) {
		loop_timer_off(waits->due);
		return;
	}
	int64_t when = INT64_MAX;
	if (next_visible != INT64_MAX)
		when = clock_ms() + next_visible - wall_ms() + 1;
	for (struct wait *wait = waits->first; wait; wait = wait->next)
		if (wait->deadline < when)
			when = wait->deadline;
	loop_timer_at(waits->due, when);
}

void
waits_follow_clock(struct waits *waits)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	int64_t apart = wall_ms() - clock_ms(), jump = apart - waits->apart;
	if (llabs(jump) < JUMP) {
		waits->apart = apart;
		return;
	}
	scoped_free char *rough = duration_rough(llabs(jump));
	if (messages_move(waits->db, jump, &why)) {
		waits->apart = apart;
		log_notice(NULL, "the clock was set %s by %s: leases move with it",
		           jump > 0 ? "forward" : "back", rough);
	} else {
		log_failure(LEVEL_ERROR, NULL, &why, "leases do not follow the clock that was set");
	}
}

static void
serve(struct waits *waits)
{
	waits_follow_clock(waits);
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool any = false;
	int64_t next = INT64_MAX;
	end_old(waits);
	if (waits->first && !messages_outlook(waits->db, &any, &next, &why))
		log_failure(LEVEL_ERROR, NULL, &why, "cannot look at the queue");
	if (any)
		satisfy_all(waits);
	waits->seen = database_version(waits->db);
	set_timer(waits, next);
}

static void
on_turn(void *data)
{
	struct waits *waits = data;
	if (waits->seen != database_version(waits->db))
		serve(waits);
}

static void
on_due(void *data)
{
	serve(data);
}

struct waits *
waits_new(struct loop *loop, struct database *db)
{
	struct waits *waits = allocate(sizeof *waits);
	waits->db = db;
	waits->apart = wall_ms() - clock_ms();
	waits->turn = loop_post(loop, on_turn, waits);
	waits->due = loop_timer(loop, on_due, waits);
	return waits;
}

void
waits_free(struct waits **waits)
{
	if (!*waits)
		return;
	loop_source_drop(&(*waits)->turn);
	loop_source_drop(&(*waits)->due);
	for (size_t i = 0; i < CANCELLED; i++)
		free((*waits)->cancelled[i]);
	free_pointer(waits);
}

static void
append(struct waits *waits, struct wait *wait)
{
	struct wait **at = &waits->first;
	while (*at)
		at = &(*at)->next;
	*at = wait;
}

static bool
was_cancelled(const struct waits *waits, const char *poll)
{
	for (size_t i = 0; poll && i < CANCELLED; i++)
		if (strings_equal(waits->cancelled[i], poll))
			return true;
	return false;
}

/* A worker waits once: what it left is not seen by anybody as long as something in between holds
 * the connection. */
static void
end_left_by(struct waits *waits, const char *worker)
{
	for (struct wait *wait = waits->first; worker && wait; wait = wait->next)
		if (strings_equal(wait->worker, worker))
			wait->deadline = 0;
	end_old(waits);
}

void
waits_add(struct waits *waits, struct request *request, struct wait_wish *wish)
{
	struct wait *wait = allocate(sizeof *wait);
	wait->request = request;
	wait->queues = wish->queues;
	wish->queues = (struct strings)STRINGS_INIT;
	wait->worker = copy_string(wish->worker);
	wait->poll = copy_string(wish->poll);
	wait->lease_ms = wish->lease_ms;
	wait->deadline = clock_ms() + wish->wait_ms;
	end_left_by(waits, wish->worker);
	bool over = waits->ended || was_cancelled(waits, wish->poll);
	if (!over && satisfy(waits, wait)) {
		wait_free(wait);
	} else if (over || wish->wait_ms == 0) {
		answer_none(request);
		wait_free(wait);
	} else {
		request_wait(request);
		append(waits, wait);
		/* The end of this turn sets the timer. */
		waits->seen = -1;
	}
}

void
waits_cancel(struct waits *waits, const char *poll)
{
	replace_string(&waits->cancelled[waits->next_cancelled], poll);
	waits->next_cancelled = (waits->next_cancelled + 1) % CANCELLED;
	for (struct wait *wait = waits->first; wait; wait = wait->next)
		if (strings_equal(wait->poll, poll))
			wait->deadline = 0;
	serve(waits);
}

void
waits_end(struct waits *waits)
{
	waits->ended = true;
	serve(waits);
}
