#include "engine/hold.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define RETRY 10000

void
hold_init(struct hold *hold, const struct services *services)
{
	*hold = (struct hold){.services = services};
}

void
hold_done(struct hold *hold)
{
	free_pointer(&hold->name);
}

/* The queue knows the message and hides it no longer: not the same as that it is another's. */
static bool
is_at_limit(const struct hold *hold, const struct failure *why)
{
	return why->code == FAILURE_REJECTED && !hold->let_go
	       && queue_hide_limit_ms(hold->services->queue) > 0;
}

static void
note(struct hold *hold, struct outbox_entry *entry, const struct failure *why)
{
	int64_t third = queue_lease_ms(hold->services->queue) / 3;
	struct subject about = {.job = entry->job, .attempt = entry->attempt};
	if (!why && !hold->let_go) {
		entry->hold_at = clock_ms() + third;
	} else if (why && why->retryable) {
		entry->hold_at = clock_ms() + (third < RETRY ? third : RETRY);
	} else if (why && is_at_limit(hold, why)) {
		log_notice(&about, "the queue hides its message no longer: it is taken off the "
		                   "queue, and the report on this disk is the only copy");
		entry->let_go = true;
		entry->hold_at = clock_ms();
	} else {
		entry->hold_at = INT64_MAX;
	}
}

static void
answered(void *data, const struct failure *why)
{
	struct hold *hold = data;
	struct outbox_entry *entry = outbox_find(hold->services->outbox, hold->name);
	if (entry)
		note(hold, entry, why);
	free_pointer(&hold->name);
}

static void
ask(struct hold *hold, const struct outbox_entry *entry)
{
	const struct services *services = hold->services;
	scoped(outbox_letter_done) struct outbox_letter letter = {0};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	replace_string(&hold->name, entry->name);
	hold->let_go = entry->let_go;
	if (!outbox_read(services->outbox, entry, &letter, &why))
		answered(hold, &why);
	else if (hold->let_go)
		queue_acknowledge(services->queue, letter.receipt, answered, hold);
	else
		queue_extend(services->queue, letter.receipt, answered, hold);
}

void
hold_turn(struct hold *hold, int64_t now)
{
	const struct outbox_entry *entry = hold->name ? NULL : outbox_held(hold->services->outbox);
	if (entry && now >= entry->hold_at)
		ask(hold, entry);
}

int64_t
hold_due(const struct hold *hold)
{
	const struct outbox_entry *entry = hold->name ? NULL : outbox_held(hold->services->outbox);
	return entry && entry->hold_at < INT64_MAX ? entry->hold_at : -1;
}
