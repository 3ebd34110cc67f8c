#include "base/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/text.h"

#define DETAILS_LIMIT (64 * 1024)

static const struct {
	const char *name;
	bool retryable;
	const char *meaning;
} rows[FAILURE_CODES] = {
#define FAILURE(id, wire, again, sentence)                                                         \
	[FAILURE_##id] = {.name = (wire), .retryable = (again), .meaning = (sentence)},
#include "base/failure.def"
#undef FAILURE
};

static bool
set(struct failure *why, enum failure_code code, const char *fmt, va_list args)
{
	if (!why)
		return false;
	char message[sizeof why->message];
	vsnprintf(message, sizeof message, fmt, args);
	failure_clear(why);
	why->code = code;
	why->retryable = rows[code].retryable;
	memcpy(why->message, message, sizeof message);
	return false;
}

bool
fail(struct failure *why, enum failure_code code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	set(why, code, fmt, args);
	va_end(args);
	return false;
}

bool
fail_errno(struct failure *why, const char *fmt, ...)
{
	int number = errno;
	va_list args;
	va_start(args, fmt);
	scoped_free char *message = formatv(fmt, args);
	va_end(args);
	return fail(why, failure_from_errno(number), "%s: %s", message, strerror(number));
}

bool
fail_within(struct failure *why, const char *fmt, ...)
{
	if (!why)
		return false;
	va_list args;
	va_start(args, fmt);
	scoped_free char *prefix = formatv(fmt, args);
	va_end(args);
	scoped_free char *message = format("%s: %s", prefix, why->message);
	snprintf(why->message, sizeof why->message, "%s", message);
	return false;
}

void
failure_set_details(struct failure *why, const char *bytes, size_t length)
{
	if (!why)
		return;
	if (length > DETAILS_LIMIT) {
		bytes += length - DETAILS_LIMIT;
		length = DETAILS_LIMIT;
	}
	struct text details = TEXT_INIT;
	text_add_printable(&details, bytes, length, true);
	free(why->details);
	why->details = text_take(&details);
}

void
failure_copy(struct failure *to, const struct failure *from)
{
	char *details = copy_string(from->details);
	failure_clear(to);
	*to = *from;
	to->details = details;
}

void
failure_clear(struct failure *why)
{
	free(why->details);
	*why = (struct failure)FAILURE_INIT;
}

void
failure_done(struct failure *why)
{
	failure_clear(why);
}

const char *
failure_name(enum failure_code code)
{
	return rows[code].name;
}

const char *
failure_meaning(enum failure_code code)
{
	return rows[code].meaning;
}

bool
failure_retryable(enum failure_code code)
{
	return rows[code].retryable;
}

bool
failure_from_name(const char *name, enum failure_code *ret_code)
{
	for (enum failure_code code = 0; code < FAILURE_CODES; code++)
		if (strcmp(rows[code].name, name) == 0) {
			*ret_code = code;
			return true;
		}
	return false;
}

enum failure_code
failure_from_errno(int number)
{
	switch (number) {
	case ENOENT:
	case ENOTDIR:
		return FAILURE_NOT_FOUND;
	case EEXIST:
		return FAILURE_EXISTS;
	case ENOSPC:
	case EDQUOT:
		return FAILURE_DISK_FULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return FAILURE_PERMISSION;
	case ECONNREFUSED:
		return FAILURE_NETWORK;
	default:
		return FAILURE_SYSTEM;
	}
}

int
failure_exit_status(const struct failure *why)
{
	switch (why->code) {
	case FAILURE_NONE:
		return EX_OK;
	case FAILURE_USAGE:
		return EX_USAGE;
	case FAILURE_CONFIGURATION:
		return EX_CONFIG;
	case FAILURE_INTERNAL:
		return EX_SOFTWARE;
	default:
		return EX_TEMPFAIL;
	}
}
