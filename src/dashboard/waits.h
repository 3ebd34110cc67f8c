/*
 * Workers that wait for a message: their requests are kept open, longest waiting first, and
 * answered as soon as a message of their queues is visible, whatever change of the database made it
 * so. Nobody needs to tell the waits anything.
 */
#ifndef DASHBOARD_WAITS_H
#define DASHBOARD_WAITS_H

#include <stdint.h>

#include "base/text.h"
#include "database.h"
#include "outside/loop.h"
#include "server.h"

struct waits;
struct waits *waits_new(struct loop *loop, struct database *db);
/* All waits must have been ended. */
void waits_free(struct waits **waits);

struct wait_wish {
	struct strings queues; /* in order of priority; taken over */
	const char *worker;    /* who waits, once; or NULL */
	const char *poll;      /* the wait's name, to end it by; or NULL */
	int64_t wait_ms;       /* 0: look once */
	int64_t lease_ms;      /* of the message */
};
/* Answers the request, now or later: 200 with the message as JSON, or 204 when none came in time.
 * An earlier wait of the same worker ends with 204. The message of an answer that could not be sent
 * goes back as a handback. */
void waits_add(struct waits *waits, struct request *request, struct wait_wish *wish);
/* Ends the wait of that name, if there is one, with 204. */
void waits_cancel(struct waits *waits, const char *poll);
/* If the clock on the wall was set since the last look, leases and delays move with it, so that
 * none ends early and nothing is hidden for longer. */
void waits_follow_clock(struct waits *waits);
/* Ends all of them, also those to come. */
void waits_end(struct waits *waits);

#endif
