#include "base/tick.h"

#include <time.h>

#include "base/clock.h"

#define SLICE 50 /* ms between two looks */

bool
tick_rest(const struct tick *tick, int64_t ms)
{
	int64_t until = clock_ms() + ms, left;
	bool go_on;
	while ((go_on = tick_tell(tick, 0, 0)) && (left = until - clock_ms()) > 0) {
		const struct timespec slice = {.tv_nsec = (left < SLICE ? left : SLICE) * 1000000};
		nanosleep(&slice, NULL);
	}
	return go_on;
}
