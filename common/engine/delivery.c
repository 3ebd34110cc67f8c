#include "engine/delivery.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

/* Of report-max-age: an hour of a day. */
#define LIFE_SHARE 24

void
delivery_init(struct delivery *delivery, const struct services *services, struct slot *slot)
{
	*delivery = (struct delivery){.services = services, .slot = slot, .last_success = -1};
	for (size_t i = 0; i < DELIVERY_AT_ONCE; i++)
		delivery->errands[i].delivery = delivery;
}

void
delivery_done(struct delivery *delivery)
{
	for (size_t i = 0; i < DELIVERY_AT_ONCE; i++)
		outbox_letter_done(&delivery->errands[i].letter);
}

static struct subject
subject_of(const struct outbox_entry *entry)
{
	return (struct subject){
	    .job = entry->job, .attempt = entry->attempt, .step = outbox_kind_name(entry->kind)};
}

static void
drop(const struct errand *errand)
{
	struct failure why = FAILURE_INIT;
	/* Left on disk it is told once more after a restart, which the other side takes for the
	 * same. */
	if (!outbox_drop(errand->delivery->services->outbox, errand->entry, &why))
		log_failure(LEVEL_ERROR, NULL, &why, "a told outbox entry could not be removed");
	failure_done(&why);
}

static void
park(const struct errand *errand, const struct failure *reason)
{
	struct failure why = FAILURE_INIT;
	struct subject about = subject_of(errand->entry);
	log_failure(LEVEL_ERROR, &about, reason, "parked, since it can never be delivered");
	if (!outbox_park(errand->delivery->services->outbox, errand->entry, reason, &why))
		log_failure(LEVEL_ERROR, NULL, &why, "an outbox entry could not be parked");
	failure_done(&why);
}

static bool
is_of_running_job(const struct errand *errand)
{
	const struct slot *slot = errand->delivery->slot;
	return slot->state != SLOT_IDLE && strings_equal(slot->claim.job.id, errand->entry->job)
	       && slot->claim.job.attempt == errand->entry->attempt;
}

/* The dashboard says that a later attempt began: nothing of this one counts any more. */
static void
superseded(const struct errand *errand, const struct failure *why)
{
	struct subject about = subject_of(errand->entry);
	log_failure(LEVEL_WARNING, &about, why, "dropped: another attempt has taken over");
	if (is_of_running_job(errand))
		slot_stop(errand->delivery->slot, STOP_LEASE_LOST);
	drop(errand);
}

/* Part of it is this life's, by the clock that nobody sets: a wall clock that was set parks nothing
 * at once. */
static bool
is_old(const struct outbox_entry *entry, int64_t max_age)
{
	int64_t tried = clock_ms() - entry->first_tried;
	return tried + entry->waited > max_age && tried > max_age / LIFE_SHARE;
}

/* The existing dashboard says 500 to a wrong secret too: for ever, while it takes what others send.
 */
static bool
is_hopeless(const struct errand *errand, const struct failure *why)
{
	const struct delivery *delivery = errand->delivery;
	return why->code == FAILURE_SERVER
	       && is_old(errand->entry, delivery->services->config->report_max_age)
	       && delivery->last_success > errand->entry->first_tried;
}

static void
retry(const struct errand *errand, const struct failure *why)
{
	struct outbox_entry *entry = errand->entry;
	struct subject about = subject_of(entry);
	/* Told when it begins to fail and ever more rarely after that. */
	unsigned tries = entry->backoff.tries;
	bool news = (tries & (tries - 1)) == 0;
	log_failure(news ? LEVEL_WARNING : LEVEL_DEBUG, &about, why, "not delivered yet (try %u)%s",
	            tries + 1, why->unanswered ? ", or delivered without an answer" : "");
	entry->under_way = false;
	entry->due = clock_ms() + backoff_next(&entry->backoff);
}

/* The queue is another service, which may take what it is told while the dashboard does not. */
static bool
is_for_dashboard(const struct errand *errand)
{
	enum outbox_kind kind = errand->entry->kind;
	return kind == OUTBOX_START || kind == OUTBOX_UPLOAD || kind == OUTBOX_FINISH;
}

static void
delivered(const struct errand *errand)
{
	struct subject about = subject_of(errand->entry);
	if (is_for_dashboard(errand))
		errand->delivery->last_success = clock_ms();
	if (errand->entry->kind == OUTBOX_FINISH || errand->entry->kind == OUTBOX_RELEASE)
		log_info(&about, "delivered");
	drop(errand);
}

static void
finish_errand(struct errand *errand, const struct failure *why)
{
	enum outbox_kind kind = errand->entry->kind;
	if (!why)
		delivered(errand);
	else if (why->code == FAILURE_CONFLICT || why->code == FAILURE_LEASE_LOST)
		superseded(errand, why);
	else if (!why->retryable || is_hopeless(errand, why))
		park(errand, why);
	else
		retry(errand, why);
	if (why && why->unanswered && kind == OUTBOX_FINISH)
		errand->delivery->ambiguous++;
	outbox_letter_done(&errand->letter);
	errand->entry = NULL;
}

/* Whatever stands between the dashboard and us, with its page of apology or its login page, may
 * say 200 too. */
static bool
is_from_dashboard(const struct errand *errand, const struct http_answer *answer,
                  struct failure *why)
{
	bool right = errand->entry->kind == OUTBOX_UPLOAD
	                 ? answer->status == 303 || answer->status == 302
	                 : starts_with(text_string(&answer->body), "OK");
	return right
	       || fail(why, FAILURE_BAD_ANSWER, "answered %d, but not as a dashboard does",
	               answer->status);
}

static void
dashboard_answered(void *data, const struct http_answer *answer, const struct failure *why)
{
	scoped(failure_done) struct failure strange = FAILURE_INIT;
	if (!why && !is_from_dashboard(data, answer, &strange))
		why = &strange;
	finish_errand(data, why);
}

static void
queue_answered(void *data, const struct failure *why)
{
	finish_errand(data, why);
}

static void
send_letter(struct errand *errand)
{
	const struct services *services = errand->delivery->services;
	const struct outbox_letter *letter = &errand->letter;
	switch (letter->kind) {
	case OUTBOX_START:
	case OUTBOX_FINISH:
		dashboard_post(services->http, &services->dashboard, letter->path, letter->body,
		               dashboard_answered, errand);
		break;
	case OUTBOX_UPLOAD:
		dashboard_upload_model(services->http, &services->dashboard, letter->model,
		                       letter->file, dashboard_answered, errand);
		break;
	case OUTBOX_ACKNOWLEDGE:
		queue_acknowledge(services->queue, letter->receipt, queue_answered, errand);
		break;
	case OUTBOX_RELEASE:
		queue_release(services->queue, letter->receipt, letter->delay, letter->handback,
		              queue_answered, errand);
		break;
	}
}

static struct errand *
free_errand(struct delivery *delivery)
{
	for (size_t i = 0; i < DELIVERY_AT_ONCE; i++)
		if (!delivery->errands[i].entry)
			return &delivery->errands[i];
	return NULL;
}

static void
note_first_try(struct outbox_entry *entry, const struct outbox_letter *letter, int64_t now)
{
	int64_t waited = wall_ms() - letter->added;
	if (entry->first_tried)
		return;
	entry->first_tried = now;
	entry->waited = waited > 0 ? waited : 0;
}

static void
deliver(struct errand *errand, struct outbox_entry *entry, int64_t now)
{
	struct failure why = FAILURE_INIT;
	errand->entry = entry;
	entry->under_way = true;
	if (outbox_read(errand->delivery->services->outbox, entry, &errand->letter, &why)) {
		note_first_try(entry, &errand->letter, now);
		send_letter(errand);
	} else {
		finish_errand(errand, &why);
	}
	failure_done(&why);
}

void
delivery_turn(struct delivery *delivery, int64_t now)
{
	struct errand *errand;
	struct outbox_entry *entry;
	while ((errand = free_errand(delivery))
	       && (entry = outbox_next(delivery->services->outbox, now)))
		deliver(errand, entry, now);
}

int
delivery_under_way(const struct delivery *delivery)
{
	int count = 0;
	for (size_t i = 0; i < DELIVERY_AT_ONCE; i++)
		count += delivery->errands[i].entry != NULL;
	return count;
}

int64_t
delivery_due(const struct delivery *delivery)
{
	bool room = delivery_under_way(delivery) < DELIVERY_AT_ONCE;
	return room ? outbox_next_due(delivery->services->outbox) : -1;
}
