/*
 * How long work tells where it is, and learns that it should stop.
 *
 * Whoever moves bytes or objects calls tick_tell() every so often (at least once a second while
 * anything can be waited for, also when nothing moved); false means: stop, clean up, and fail with
 * FAILURE_CANCELLED.
 */
#ifndef BASE_TICK_H
#define BASE_TICK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"

struct tick {
	bool (*tell)(void *data, int64_t done,
	             int64_t total); /* total 0: not known. NULL: nobody listens */
	/* What is asked for failed, and will be tried again in wait ms, and again; said when that
	 * begins. why NULL: it works again. NULL: nobody listens. */
	void (*trouble)(void *data, const struct failure *why, int64_t wait);
	void *data;
};

static inline bool
tick_tell(const struct tick *tick, int64_t done, int64_t total)
{
	return !tick || !tick->tell || tick->tell(tick->data, done, total);
}

static inline void
tick_trouble(const struct tick *tick, const struct failure *why, int64_t wait)
{
	if (tick && tick->trouble)
		tick->trouble(tick->data, why, wait);
}

/* Waits, and lives: false, as soon as it should stop. ms: none is fine. */
bool tick_rest(const struct tick *tick, int64_t ms);

#endif
