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
	/* A network blip never kills a live job: it runs on, the lease is tried again. */
	log_failure(LEVEL_WARNING, &about, why, "the lease could not be extended");
	lease->due = now + backoff_next(&lease->backoff);
}

static void
extend(struct lease *lease)
{
	lease->under_way = true;
	queue_extend(lease->services->queue, lease->receipt, extended, lease);
}

static void
begin(struct lease *lease, int64_t now)
{
	replace_string(&lease->receipt, lease->slot->claim.message.receipt);
	backoff_reset(&lease->backoff);
	lease->extended = now;
	lease->due = now + third(lease);
}

/* The report has still to be delivered: once more, unless it was extended just now. */
static void
end(struct lease *lease, int64_t now)
{
	if (now - lease->extended > third(lease) / 2)
		extend(lease);
	free_pointer(&lease->receipt);
}

void
lease_turn(struct lease *lease, int64_t now)
{
	if (lease->under_way)
		return;
	if (lease->receipt && !is_current(lease))
		end(lease, now);
	else if (!lease->receipt && lease->slot->state != SLOT_IDLE)
		begin(lease, now);
	else if (lease->receipt && now >= lease->due)
		extend(lease);
}

int64_t
lease_due(const struct lease *lease)
{
	return lease->receipt && !lease->under_way ? lease->due : -1;
}
