#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *
allocate(size_t size)
{
	void *memory = calloc(1, size ? size : 1);
	if (!memory)
		abort();
	return memory;
}

void *
allocate_large(size_t size)
{
	void *memory = aligned_alloc(HUGE_PAGE, (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
	if (!memory)
		abort();
	madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

void *
reallocate(void *old, size_t size)
{
	void *memory = realloc(old, size ? size : 1);
	if (!memory)
		abort();
	return memory;
}

char *
text_reserve(struct text *text, size_t length)
{
	size_t needed = text->length + length + 1;
	if (needed > text->room) {
		text->room = needed < 64 ? 64 : needed + needed / 2;
		text->bytes = reallocate(text->bytes, text->room);
	}
	return text->bytes + text->length;
}

void
text_add(struct text *text, const void *bytes, size_t length)
{
	char *end = text_reserve(text, length);
	if (length)
		memcpy(end, bytes, length);
	text->length += length;
	text->bytes[text->length] = '\0';
}

void
text_add_string(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

void
text_addf(struct text *text, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	scoped_free char *string = formatv(fmt, args);
	va_end(args);
	text_add_string(text, string);
}

void
text_clear(struct text *text)
{
	text->length = 0;
	if (text->bytes)
		text->bytes[0] = '\0';
}

const char *
text_string(const struct text *text)
{
	return text->bytes ? text->bytes : "";
}

char *
text_take(struct text *text)
{
	char *bytes = text->bytes ? text->bytes : copy_string("");
	*text = (struct text)TEXT_INIT;
	return bytes;
}

void
text_done(struct text *text)
{
	free(text->bytes);
	*text = (struct text)TEXT_INIT;
}

char *
formatv(const char *fmt, va_list args)
{
	char *string = NULL;
	if (vasprintf(&string, fmt, args) < 0)
		abort();
	return string;
}

char *
format(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *string = formatv(fmt, args);
	va_end(args);
	return string;
}

const char *
environment_value(const char *name)
{
	const char *value = getenv(name);
	return value && value[0] ? value : NULL;
}

char *
copy_string(const char *string)
{
	if (!string)
		return NULL;
	size_t size = strlen(string) + 1;
	return memcpy(allocate(size), string, size);
}

void
replace_string(char **slot, const char *string)
{
	char *copy = copy_string(string);
	free(*slot);
	*slot = copy;
}

void
wipe_string(char **slot)
{
	if (*slot)
		explicit_bzero(*slot, strlen(*slot));
	free_pointer(slot);
}

bool
strings_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool
starts_with(const char *string, const char *prefix)
{
	return strncmp(string, prefix, strlen(prefix)) == 0;
}

bool
ends_with(const char *string, const char *suffix)
{
	size_t length = strlen(string), tail = strlen(suffix);
	return length >= tail && strcmp(string + length - tail, suffix) == 0;
}

/* Takes the item over. */
static void
append(struct strings *list, char *item)
{
	list->items = reallocate(list->items, (list->count + 2) * sizeof *list->items);
	list->items[list->count++] = item;
	list->items[list->count] = NULL;
}

void
strings_add(struct strings *list, const char *item)
{
	append(list, copy_string(item));
}

void
strings_addf(struct strings *list, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	append(list, formatv(fmt, args));
	va_end(args);
}

void
strings_add_all(struct strings *list, const struct strings *more)
{
	for (size_t i = 0; i < more->count; i++)
		strings_add(list, more->items[i]);
}

bool
strings_contain(const struct strings *list, const char *item)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], item) == 0)
			return true;
	return false;
}

void
strings_done(struct strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct strings)STRINGS_INIT;
}

/* The length of the UTF-8 sequence at bytes (RFC 3629), or 0 if it is none. */
static size_t
utf8_length(const unsigned char *bytes, size_t left)
{
	static const struct {
		unsigned char low, high, second_low, second_high;
		size_t length;
	} forms[] = {
	    {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
	    {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
	    {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
	};
	if (bytes[0] < 0x80)
		return 1;
	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
		if (bytes[0] < forms[f].low || bytes[0] > forms[f].high)
			continue;
		if (left < forms[f].length || bytes[1] < forms[f].second_low
		    || bytes[1] > forms[f].second_high)
			return 0;
		for (size_t i = 2; i < forms[f].length; i++)
			if ((bytes[i] & 0xC0) != 0x80)
				return 0;
		return forms[f].length;
	}
	return 0;
}

void
text_add_printable(struct text *text, const char *bytes, size_t length, bool keep_lines)
{
	for (size_t i = 0; i < length;) {
		unsigned char byte = (unsigned char)bytes[i];
		size_t sequence = utf8_length((const unsigned char *)bytes + i, length - i);
		bool line = keep_lines && (byte == '\n' || byte == '\t');
		if (sequence == 0)
			text_add_string(text, "\xEF\xBF\xBD");
		else if (sequence == 1 && !line && (byte < 0x20 || byte == 0x7F))
			text_addf(text, "\\x%02x", byte);
		else
			text_add(text, bytes + i, sequence);
		i += sequence ? sequence : 1;
	}
}
