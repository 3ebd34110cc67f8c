/*
 * Growing text, formatted strings and lists of strings.
 *
 * `struct text` owns its bytes, which may hold NULs and are always followed by one. Start with
 * TEXT_INIT, end with text_done(). Memory exhaustion ends the process (abort), so nothing here
 * fails and nothing here returns NULL.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/scoped.h"

struct text {
	char *bytes;   /* NULL while nothing was ever added */
	size_t length; /* without the closing NUL */
	size_t room;   /* allocated */
};
#define TEXT_INIT                                                                                  \
	{                                                                                          \
	}

void text_add(struct text *text, const void *bytes, size_t length);
void text_add_string(struct text *text, const char *string);
void text_addf(struct text *text, const char *fmt, ...) printf_like(2, 3);
/* Makes room for `length` more bytes and returns where they start; text->length is the caller's to
 * raise. */
char *text_reserve(struct text *text, size_t length);
/* Empty again, memory kept. */
void text_clear(struct text *text);
/* Its bytes as a string; "" when nothing was added. Valid until the next change. */
const char *text_string(const struct text *text);
/* Its bytes as a malloc'd string, the caller's; the text is empty afterwards. */
char *text_take(struct text *text);
void text_done(struct text *text);

/* malloc, calloc, realloc that never return NULL. */
void *allocate(size_t size); /* zeroed */
void *reallocate(void *old, size_t size);
/* Many MiB to be filled, not zeroed; in huge pages where the kernel has them (madvise(2)). */
void *allocate_large(size_t size);

/* A malloc'd string, the caller's. */
char *format(const char *fmt, ...) printf_like(1, 2);
char *formatv(const char *fmt, va_list args) printf_like(1, 0);
/* The environment variable's value; NULL where it is empty, too. */
const char *environment_value(const char *name);
char *copy_string(const char *string); /* NULL gives NULL */

/* *slot = a copy of string (or NULL); what was there before is freed. */
void replace_string(char **slot, const char *string);

/* Overwrites the string (or NULL), frees it and makes *slot NULL: for secrets. */
void wipe_string(char **slot);

bool strings_equal(const char *a, const char *b); /* NULL equals NULL only */
bool starts_with(const char *string, const char *prefix);
bool ends_with(const char *string, const char *suffix);

/* A list of strings that owns them; items[count] is always NULL once anything was added (fit for
 * execve). */
struct strings {
	char **items;
	size_t count;
};
#define STRINGS_INIT                                                                               \
	{                                                                                          \
	}

void strings_add(struct strings *list, const char *item);
void strings_addf(struct strings *list, const char *fmt, ...) printf_like(2, 3);
void strings_add_all(struct strings *list, const struct strings *more);
bool strings_contain(const struct strings *list, const char *item);
void strings_done(struct strings *list);

/*
 * Appends `text` fit for one line of a log or terminal: control characters become \xNN, invalid
 * UTF-8 becomes U+FFFD; with keep_lines, \n and \t stay. For bytes from outside (command output,
 * server answers).
 */
void text_add_printable(struct text *text, const char *bytes, size_t length, bool keep_lines);

#endif
