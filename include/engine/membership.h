/* Being a worker of the dashboard: register, heartbeat, register again when it forgot us,
 * unregister. */
#ifndef ENGINE_MEMBERSHIP_H
#define ENGINE_MEMBERSHIP_H

#include "base/backoff.h"
#include "engine/services.h"
#include "engine/slot.h"

struct membership {
	const struct services *services;
	char *worker_id;        /* NULL while not registered */
	struct http_call *call; /* under way, or NULL */
	struct backoff backoff;
	int64_t due;          /* clock_ms() of the next registering or heartbeat */
	int64_t last;         /* clock_ms() of the last heartbeat */
	char *told;           /* body of the last heartbeat */
	char *told_step;      /* and its job and step; NULL: idle */
	struct failure why;   /* why the last registering failed */
	int64_t clock_offset; /* ms: wall clock less the dashboard's Date, when last seen */
	bool leaving, left;   /* unregistering; done with it, one way or the other */
};

void membership_init(struct membership *membership, const struct services *services);
void membership_done(struct membership *membership);
/* Registers or sends a heartbeat if it is time; a change of job or step is told soon. */
void membership_turn(struct membership *membership, const struct slot *slot, int64_t now);
/* When the turn should come again: clock_ms() or -1 (a call is under way). */
int64_t membership_due(const struct membership *membership);
/* Best effort, once; `left` becomes true when it is over. */
void membership_leave(struct membership *membership);

#endif
