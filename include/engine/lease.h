/*
 * Keeping the running job's message ours: its lease is extended every third of its length. A queue
 * that hides messages only for so long is let go of before that: the claim on disk is marked as
 * kept, then the message is deleted, and nothing is extended any more.
 */
#ifndef ENGINE_LEASE_H
#define ENGINE_LEASE_H

#include "base/backoff.h"
#include "engine/services.h"
#include "engine/slot.h"

struct lease {
	const struct services *services;
	struct slot *slot;
	char *receipt; /* of the lease that is kept; NULL: none */
	bool under_way;
	int64_t asked; /* clock_ms() when what is under way began */
	struct backoff backoff;
	int64_t due;      /* clock_ms() */
	int64_t began;    /* clock_ms(): about when the message was received */
	int64_t extended; /* clock_ms() when it was last sure */
	bool let_go;      /* the message is deleted: nothing to do any more */
};

void lease_init(struct lease *lease, const struct services *services, struct slot *slot);
void lease_done(struct lease *lease);
/* Begins with the slot's job, ends with it, extends or lets go when due. A lease that the queue
 * gave away stops the job. */
void lease_turn(struct lease *lease, int64_t now);
int64_t lease_due(const struct lease *lease);

#endif
