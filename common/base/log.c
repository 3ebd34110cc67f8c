#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

static enum log_level highest = LEVEL_INFO;
static bool (*current_sink)(const struct log_line *line);

/* "job 12.1 build: " */
static void
add_subject(struct text *text, const struct subject *about)
{
	if (about->job)
		text_addf(text, "job %s.%d", about->job, about->attempt);
	if (about->step)
		text_addf(text, "%s%s", about->job ? " " : "", about->step);
	if (about->job || about->step)
		text_add_string(text, ": ");
}

/* journald reads <N> and knows the time; a file must hold it; a person at a terminal knows the day.
 */
static void
add_prefix(struct text *text, enum log_level level)
{
	if (getenv("JOURNAL_STREAM")) {
		text_addf(text, "<%d>", (int)level);
		return;
	}
	const char *form = isatty(STDERR_FILENO) ? "%H:%M:%S " : "%Y-%m-%dT%H:%M:%S%z ";
	time_t now = time(NULL);
	struct tm parts;
	char clock[40];
	strftime(clock, sizeof clock, form, localtime_r(&now, &parts));
	text_add_string(text, clock);
}

static void
write_to_stderr(const struct log_line *line)
{
	scoped(text_done) struct text text = TEXT_INIT;
	add_prefix(&text, line->level);
	add_subject(&text, line->about);
	text_addf(&text, "%s\n", line->message);
	/* One write, so that lines of several processes do not mix; nothing to do if it fails. */
	if (write(STDERR_FILENO, text.bytes, text.length) < 0)
		return;
}

static void
emit(enum log_level level, const struct subject *about, const struct failure *why,
     const char *message)
{
	static const struct subject nothing;
	scoped(text_done) struct text printable = TEXT_INIT;
	text_add_printable(&printable, message, strlen(message), false);
	struct log_line line = {.level = level,
	                        .about = about ? about : &nothing,
	                        .why = why,
	                        .message = text_string(&printable)};
	if (!current_sink || !current_sink(&line))
		write_to_stderr(&line);
}

void
log_line(enum log_level level, const struct subject *about, const char *fmt, ...)
{
	if (level > highest)
		return;
	va_list args;
	va_start(args, fmt);
	scoped_free char *message = formatv(fmt, args);
	va_end(args);
	emit(level, about, NULL, message);
}

void
log_failure(enum log_level level, const struct subject *about, const struct failure *why,
            const char *fmt, ...)
{
	if (level > highest)
		return;
	va_list args;
	va_start(args, fmt);
	scoped_free char *what = formatv(fmt, args);
	va_end(args);
	scoped_free char *message = format("%s: %s [%s]", what, why->message,
	                                   failure_name(why->code));
	emit(level, about, why, message);
}

void
log_set_level(enum log_level level)
{
	highest = level;
}

enum log_level
log_level_from_name(const char *name)
{
	static const struct {
		const char *name;
		enum log_level level;
	} names[] = {{"error", LEVEL_ERROR},
	             {"warning", LEVEL_WARNING},
	             {"notice", LEVEL_NOTICE},
	             {"info", LEVEL_INFO},
	             {"debug", LEVEL_DEBUG}};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strings_equal(names[i].name, name))
			return names[i].level;
	return LEVEL_INFO;
}

void
log_set_sink(bool (*sink)(const struct log_line *line))
{
	current_sink = sink;
}
