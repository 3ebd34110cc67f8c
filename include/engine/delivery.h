/* The outbox on its way: letters to the dashboard and the queue, each job's in order, with retries.
 */
#ifndef ENGINE_DELIVERY_H
#define ENGINE_DELIVERY_H

#include "engine/services.h"
#include "engine/slot.h"

#define DELIVERY_AT_ONCE 4

/* One letter under way; idle while entry is NULL. */
struct errand {
	struct delivery *delivery;
	struct outbox_entry *entry;
	struct outbox_letter letter;
};

struct delivery {
	const struct services *services;
	struct slot
	    *slot; /* whose job is stopped when the dashboard says that the attempt is over */
	int64_t last_success; /* clock_ms() */
	int64_t
	    ambiguous; /* finishes sent whole and not answered: the dashboard may get them twice */
	struct errand errands[DELIVERY_AT_ONCE];
};

void delivery_init(struct delivery *delivery, const struct services *services, struct slot *slot);
/* After the HTTP client was freed: what was under way stays in the outbox. */
void delivery_done(struct delivery *delivery);
void delivery_turn(struct delivery *delivery, int64_t now);
/* Letters under way. */
int delivery_under_way(const struct delivery *delivery);
int64_t delivery_due(const struct delivery *delivery);

#endif
