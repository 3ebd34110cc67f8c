#include "base/clock.h"

#include <time.h>

static int64_t
read_us(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

int64_t
clock_ms(void)
{
	return clock_us() / 1000;
}

int64_t
wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

char *
wall_text(int64_t ms, char text[WALL_TEXT_SIZE])
{
	time_t seconds = ms / 1000;
	struct tm parts;
	gmtime_r(&seconds, &parts);
	strftime(text, WALL_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
	return text;
}
