/*
 * How long to wait before the next try: exponential with full jitter, the one schedule of the
 * project. The n-th wait is uniform in [0, min(cap, first * 2^n)] (AWS Architecture Blog,
 * "Exponential Backoff And Jitter").
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t first; /* ms; the ceiling of the first wait */
	int64_t cap;   /* ms; no wait is longer */
	unsigned tries;
};

#define BACKOFF_INIT                                                                               \
	{                                                                                          \
		.first = 1000, .cap = 60000                                                        \
	}

/* Milliseconds to wait now; counts the try. */
int64_t backoff_next(struct backoff *backoff);
/* It worked: start over. */
void backoff_reset(struct backoff *backoff);

#endif
