/*
 * Keeping the messages of jobs whose reports wait: a job that is done must not be given to others
 * because the dashboard is away, or will not take its report. Each lease is extended every third of
 * its length until its acknowledgement is first in its job's line; a message that the queue hides
 * no longer is taken off the queue instead, for what the job came to is in the outbox.
 */
#ifndef ENGINE_HOLD_H
#define ENGINE_HOLD_H

#include "engine/services.h"

struct hold {
	const struct services *services;
	char *name;  /* of the acknowledgement whose message is held just now; NULL: none */
	bool let_go; /* that message is being taken off the queue */
};

void hold_init(struct hold *hold, const struct services *services);
/* After queue and HTTP client were freed. */
void hold_done(struct hold *hold);
void hold_turn(struct hold *hold, int64_t now);
/* When the turn should come again: clock_ms() or -1. */
int64_t hold_due(const struct hold *hold);

#endif
