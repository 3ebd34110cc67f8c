/*
 * A server that refused what we signed because our clock is wrong is asked for its Date until we
 * agree again: until then no job is claimed. (The dashboard's Date comes with each heartbeat:
 * engine/membership.h.)
 */
#ifndef ENGINE_CLOCK_WATCH_H
#define ENGINE_CLOCK_WATCH_H

#include "base/attributes.h"
#include "engine/services.h"

struct clock_watch {
	const struct services *services;
	char *url, *ca_file;    /* of the server; NULL: none stands against us */
	struct failure why;     /* what it said, then how far we are apart */
	struct http_call *call; /* under way */
	int64_t due;            /* clock_ms() of the next asking */
};

void clock_watch_init(struct clock_watch *watch, const struct services *services);
void clock_watch_done(struct clock_watch *watch);
/* What a job, or asking the queue, failed by: it begins if that is FAILURE_CLOCK, with the store's
 * server or the queue's. */
void clock_watch_store(struct clock_watch *watch, const struct failure *why);
void clock_watch_queue(struct clock_watch *watch, const struct failure *why);
/* It is time now: somebody did something. */
void clock_watch_soon(struct clock_watch *watch);
/* Asks for the Date if it is time. */
void clock_watch_turn(struct clock_watch *watch, int64_t now);
/* When the turn should come again: clock_ms() or -1. */
int64_t clock_watch_due(const struct clock_watch *watch);
/* Does no server stand against us? FAILURE_CLOCK. */
bool must_check clock_watch_check(const struct clock_watch *watch, struct failure *why);

/* Is a clock so far ahead (ms) of that server's good enough? "this host's clock is 16m40s ahead of
 * SERVER's: set it". */
bool must_check clock_is_near(int64_t offset, const char *server, struct failure *why);

#endif
