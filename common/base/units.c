#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* From the largest down; each list ends with the unit that a value is kept in. */
static const struct unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
                                        {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit sizes[] = {{"TiB", 1LL << 40}, {"GiB", 1LL << 30}, {"MiB", 1LL << 20},
                                    {"KiB", 1LL << 10}, {"B", 1},           {NULL, 0}};

bool
number_parse(const char *text, int64_t *ret, struct failure *why)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (end == text || *end || errno || isspace((unsigned char)*text))
		return fail(why, FAILURE_CONFIGURATION, "'%s' is not a whole number", text);
	*ret = number;
	return true;
}

/* "90s": digits, then one of the units; no unit only where `bare` allows it. */
static bool
parse(const char *text, const struct unit *units, bool bare, int64_t *ret)
{
	char *end;
	errno = 0;
	long long number = strtoll(text, &end, 10);
	if (end == text || errno || number < 0 || !isdigit((unsigned char)*text))
		return false;
	int64_t factor = *end ? 0 : (bare || number == 0);
	for (; *end && units->name; units++)
		if (strcmp(end, units->name) == 0)
			factor = units->factor;
	return factor != 0 && !__builtin_mul_overflow((int64_t)number, factor, ret);
}

bool
duration_parse(const char *text, int64_t *ret_ms, struct failure *why)
{
	int64_t ms;
	if (!parse(text, durations, false, &ms))
		return fail(why, FAILURE_CONFIGURATION,
		            "'%s' is not a duration such as 250ms, 90s, 5m, 48h or 14d", text);
	*ret_ms = ms;
	return true;
}

bool
size_parse(const char *text, int64_t *ret_bytes, struct failure *why)
{
	int64_t bytes;
	if (!parse(text, sizes, true, &bytes))
		return fail(why, FAILURE_CONFIGURATION,
		            "'%s' is not a size such as 64KiB, 512MiB or 2GiB", text);
	*ret_bytes = bytes;
	return true;
}

static char *
shortest(int64_t value, const struct unit *units)
{
	while (value % units->factor != 0)
		units++;
	return format("%" PRId64 "%s", value / units->factor, units->name);
}

char *
duration_format(int64_t ms)
{
	return ms == 0 ? copy_string("0s") : shortest(ms, durations);
}

char *
size_format(int64_t bytes)
{
	return bytes == 0 ? copy_string("0") : shortest(bytes, sizes);
}

char *
duration_rough(int64_t ms)
{
	int64_t minutes = ms / 60000;
	if (ms < 1000)
		return format("%" PRId64 " ms", ms);
	if (minutes == 0)
		return format("%.1f s", (double)ms / 1000);
	if (minutes < 60)
		return format("%" PRId64 "m%02" PRId64 "s", minutes, ms / 1000 % 60);
	return format("%" PRId64 "h%02" PRId64 "m", minutes / 60, minutes % 60);
}

char *
size_rough(int64_t bytes)
{
	const struct unit *unit = sizes;
	while (unit->factor > 1 && bytes < unit->factor)
		unit++;
	if (unit->factor == 1)
		return format("%" PRId64 " B", bytes);
	return format("%.1f %s", (double)bytes / (double)unit->factor, unit->name);
}

char *
offset_rough(int64_t ms)
{
	scoped_free char *apart = duration_rough(llabs(ms));
	return format("%s %s", apart, ms < 0 ? "behind" : "ahead of");
}
