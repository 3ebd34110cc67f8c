#include "base/clock.h"

#include <stdio.h>
#include <string.h>
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

/* "Z", "+01:00" or "-0130", with nothing after it. */
static bool
zone_parse(const char *text, int *ret_minutes)
{
	int hours, minutes, end = 0;
	*ret_minutes = 0;
	if (strcmp(text, "Z") == 0)
		return true;
	if (text[0] != '+' && text[0] != '-')
		return false;
	if (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2
	    && sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &end) != 2)
		return false;
	*ret_minutes = (hours * 60 + minutes) * (text[0] == '-' ? -1 : 1);
	return text[1 + end] == '\0' && hours <= 14 && minutes <= 59 && hours >= 0 && minutes >= 0;
}

bool
wall_parse(const char *text, int64_t *ret_ms)
{
	struct tm parts = {0};
	int zone;
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
	if (rest && *rest == '.')
		rest += 1 + strspn(rest + 1, "0123456789");
	if (!rest || !zone_parse(rest, &zone) || parts.tm_year < 70 || parts.tm_year > 8000)
		return false;
	*ret_ms = ((int64_t)timegm(&parts) - zone * 60) * 1000;
	return true;
}
