#include "engine/lease.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

void
lease_init(struct lease *lease, const struct services *services, struct slot *slot)
{
	*lease = (struct lease){
	    .services = services, .slot = slot, .backoff = {.first = 1000, .cap = 10000}};
}

void
lease_done(struct lease *lease)
{
	free_pointer(&lease->receipt);
}

static int64_t
third(const struct lease *lease)
{
	return queue_lease_ms(lease->services->queue) / 3;
}

/* Does the slot still run the job whose lease this is? */
static bool
is_current(const struct lease *lease)
{
	return lease->slot->state != SLOT_IDLE
	       && strings_equal(lease->slot->claim.message.receipt, lease->receipt);
}

/* A network blip never kills a live job: it runs on, and the queue is asked again. */
static void
try_again(struct lease *lease, const struct failure *why, const char *what)
{
	struct subject about = slot_subject(lease->slot);
	log_failure(LEVEL_WARNING, &about, why, "%s", what);
	lease->due = clock_ms() + backoff_next(&lease->backoff);
}

static void
extended(void *data, const struct failure *why)
{
	struct lease *lease = data;
	int64_t now = clock_ms();
	lease->under_way = false;
	if (!why) {
		backoff_reset(&lease->backoff);
		lease->extended = now;
		lease->due = now + third(lease);
		return;
	}
	if (!is_current(lease))
		return;
	struct subject about = slot_subject(lease->slot);
	if (why->code == FAILURE_LEASE_LOST) {
		log_failure(LEVEL_WARNING, &about, why, "stopping the job");
		slot_stop(lease->slot, STOP_LEASE_LOST);
		lease->due = now + third(lease);
		return;
	}
	try_again(lease, why, "the lease could not be extended");
}

static void
extend(struct lease *lease)
{
	lease->under_way = true;
	lease->asked = clock_ms();
	queue_extend(lease->services->queue, lease->receipt, extended, lease);
}

static void
deleted(void *data, const struct failure *why)
{
	struct lease *lease = data;
	lease->under_way = false;
	if (!is_current(lease))
		return;
	if (why)
		try_again(lease, why, "the kept message could not be deleted from the queue");
	else
		lease->let_go = true;
}

static void
let_go(struct lease *lease)
{
	lease->under_way = true;
	lease->asked = clock_ms();
	queue_acknowledge(lease->services->queue, lease->receipt, deleted, lease);
}

/* Would the next lease reach beyond what the queue allows? */
static bool
is_at_limit(const struct lease *lease, int64_t now)
{
	int64_t limit = queue_hide_limit_ms(lease->services->queue);
	return limit > 0 && now - lease->began + queue_lease_ms(lease->services->queue) > limit;
}

/* From now on the claim is the only copy. */
static void
keep(struct lease *lease)
{
	struct claim *claim = &lease->slot->claim;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct subject about = slot_subject(lease->slot);
	claim->kept = true;
	if (claim_write(lease->services->config->state_directory, claim, &why)) {
		log_notice(&about, "the queue hides no message for longer: the claim on this disk "
		                   "is the only copy from now on");
		return;
	}
	claim->kept = false;
	log_failure(LEVEL_ERROR, &about, &why, "the claim could not be kept: extending once more");
}

static void
renew(struct lease *lease, int64_t now)
{
	const struct claim *claim = &lease->slot->claim;
	if (!claim->kept && is_at_limit(lease, now))
		keep(lease);
	if (claim->kept)
		let_go(lease);
	else
		extend(lease);
}

/* A message that was only received is ours for a short time; one whose claim is kept was perhaps
 * not deleted by the life that kept it. */
static void
begin(struct lease *lease, int64_t now)
{
	const struct queue *queue = lease->services->queue;
	bool at_once = lease->slot->claim.kept || queue_unclaimed_ms(queue) < queue_lease_ms(queue);
	replace_string(&lease->receipt, lease->slot->claim.message.receipt);
	backoff_reset(&lease->backoff);
	lease->began = lease->extended = now;
	lease->due = at_once ? now : now + third(lease);
	lease->let_go = false;
}

/* The report has still to be delivered: once more, unless it was extended just now. */
static void
end(struct lease *lease, int64_t now)
{
	if (!lease->let_go && now - lease->extended > third(lease) / 2)
		extend(lease);
	free_pointer(&lease->receipt);
}

void
lease_turn(struct lease *lease, int64_t now)
{
	if (!lease->under_way && lease->receipt && !is_current(lease))
		end(lease, now);
	if (lease->under_way)
		return;
	if (!lease->receipt && lease->slot->state != SLOT_IDLE)
		begin(lease, now);
	if (lease->receipt && !lease->let_go && now >= lease->due)
		renew(lease, now);
}

int64_t
lease_due(const struct lease *lease)
{
	return lease->receipt && !lease->under_way && !lease->let_go ? lease->due : -1;
}
