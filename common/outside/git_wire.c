#include "git_wire.h"

#include <stdlib.h>
#include <string.h>

#define SILENCE " no-progress"
#define PREFIX  4 /* hex digits: how long a line is, themselves included */

bool
git_offers_silence(const char *bytes, size_t length)
{
	return length > 0 && memmem(bytes, length, SILENCE, strlen(SILENCE)) != NULL;
}

/* The length of the line that begins here, or 0 if none does. */
static size_t
line_length(const char *bytes, size_t length)
{
	char digits[PREFIX + 1] = "";
	char *end = digits;
	if (length < PREFIX)
		return 0;
	memcpy(digits, bytes, PREFIX);
	size_t line = strtoul(digits, &end, 16);
	return *end == '\0' && line > PREFIX && line <= length ? line : 0;
}

/* Only the first wish carries capabilities, behind the hash. */
static bool
has_capabilities(const char *line, size_t length)
{
	static const char want[] = "want ";
	const char *rest = line + PREFIX + strlen(want);
	return length > PREFIX + strlen(want) && line[length - 1] == '\n'
	       && strncmp(line + PREFIX, want, strlen(want)) == 0
	       && memchr(rest, ' ', (size_t)(line + length - rest)) != NULL;
}

void
git_add_request(struct text *text, const char *bytes, size_t length, bool silence)
{
	size_t line = silence ? line_length(bytes, length) : 0;
	if (line > 0 && has_capabilities(bytes, line)) {
		text_addf(text, "%04zx", line + strlen(SILENCE));
		text_add(text, bytes + PREFIX, line - PREFIX - 1);
		text_add_string(text, SILENCE "\n");
		bytes += line;
		length -= line;
	}
	text_add(text, bytes, length);
}
