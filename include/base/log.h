/*
 * Log lines with their subject. Programs, engine and work log; the floors below never do.
 *
 * A line goes to the sink: standard error by default ("job 12.1 build: ..." after a <priority> that
 * journald understands, or after the time of day on a terminal), or the journal with its fields
 * (outside/journal.h).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attributes.h"
#include "base/failure.h"

/* The numbers of syslog(3). */
enum log_level {
	LEVEL_ERROR = 3,
	LEVEL_WARNING = 4,
	LEVEL_NOTICE = 5,
	LEVEL_INFO = 6,
	LEVEL_DEBUG = 7,
};

/* What a line is about; fields that are NULL or 0 are left out. */
struct subject {
	const char *job; /* job id */
	int attempt;
	const char *step;
};

struct log_line {
	enum log_level level;
	const struct subject *about; /* never NULL */
	const struct failure *why;   /* or NULL: the line tells of this failure */
	const char *message;         /* one line, printable */
};

/* about may be NULL: of the daemon itself. */
void log_line(enum log_level level, const struct subject *about, const char *fmt, ...)
    printf_like(3, 4);
/* "MESSAGE: why's message [code]". */
void log_failure(enum log_level level, const struct subject *about, const struct failure *why,
                 const char *fmt, ...) printf_like(4, 5);

#define log_error(about, ...)   log_line(LEVEL_ERROR, about, __VA_ARGS__)
#define log_warning(about, ...) log_line(LEVEL_WARNING, about, __VA_ARGS__)
#define log_notice(about, ...)  log_line(LEVEL_NOTICE, about, __VA_ARGS__)
#define log_info(about, ...)    log_line(LEVEL_INFO, about, __VA_ARGS__)
#define log_debug(about, ...)   log_line(LEVEL_DEBUG, about, __VA_ARGS__)

/* Lines above this level are dropped. Default LEVEL_INFO. */
void log_set_level(enum log_level level);
/* "error", "warning", "notice", "info" or "debug"; anything else gives LEVEL_INFO. */
enum log_level log_level_from_name(const char *name);
/* NULL: standard error again. A sink that returns false could not write: the line then goes to
 * standard error. */
void log_set_sink(bool (*sink)(const struct log_line *line));

#endif
