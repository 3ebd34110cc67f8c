#include "git_wire.h"

#include <stdlib.h>
#include <string.h>

#define SILENCE " no-progress"
#define WISH    "want "
#define OFFER   "have "
#define PREFIX  4 /* hex digits: how long a line is, themselves included; 0000 ends a list */
/* Bytes: a million branches, which libgit2 holds in memory. */
#define LIST_LIMIT (64 << 20)

/* What a client says at once. */
struct request {
	struct text *text; /* as it is sent */
	const struct git_known *known;
	struct strings offered; /* or left out */
	struct strings implied; /* their parents */
	size_t implied_offers;  /* how often one of those was to be offered */
};

bool
git_list_look(struct git_list *list, const char *bytes, size_t length, struct failure *why)
{
	list->length += length;
	if (length > 0 && memmem(bytes, length, SILENCE, strlen(SILENCE)))
		list->offers_silence = true;
	return list->length <= LIST_LIMIT
	       || fail(why, FAILURE_REPOSITORY, "the list of branches does not end");
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
	if (*end != '\0' || line > length || (line > 0 && line <= PREFIX))
		return 0;
	return line ? line : PREFIX;
}

static bool
is_line(const char *line, size_t length, const char *word)
{
	return length > PREFIX + strlen(word) && line[length - 1] == '\n'
	       && strncmp(line + PREFIX, word, strlen(word)) == 0;
}

/* Only the first wish carries capabilities, behind the hash. */
static bool
has_capabilities(const char *line, size_t length)
{
	const char *rest = line + PREFIX + strlen(WISH);
	return is_line(line, length, WISH)
	       && memchr(rest, ' ', (size_t)(line + length - rest)) != NULL;
}

static void
add_wish(struct text *text, const char *line, size_t length)
{
	text_addf(text, "%04zx", length + strlen(SILENCE));
	text_add(text, line + PREFIX, length - PREFIX - 1);
	text_add_string(text, SILENCE "\n");
}

/* Of commits whose child was offered the first, the fourth, the sixteenth are worth it: where
 * history was replaced, the server knows one of them, though nothing newer. */
static bool
is_worth_offering(struct request *request, const char *hash)
{
	if (strings_contain(&request->offered, hash))
		return false;
	size_t nth = strings_contain(&request->implied, hash) ? ++request->implied_offers : 1;
	while (nth % 4 == 0)
		nth /= 4;
	return nth == 1;
}

static void
offer(struct request *request, const char *hash)
{
	if (is_worth_offering(request, hash))
		text_addf(request->text, "%04zx" OFFER "%s\n",
		          PREFIX + strlen(OFFER) + strlen(hash) + 1, hash);
	strings_add(&request->offered, hash);
	request->known->add_parents(hash, &request->implied);
}

/* libgit2 offers the newest commits: of a branch that is not among them the server would send all.
 */
static void
offer_moved(struct request *request)
{
	scoped(strings_done) struct strings moved = STRINGS_INIT;
	request->known->add_moved(&moved);
	for (size_t i = 0; i < moved.count; i++)
		offer(request, moved.items[i]);
}

static void
offer_line(struct request *request, const char *line, size_t length)
{
	size_t words = PREFIX + strlen(OFFER);
	scoped_free char *hash = format("%.*s", (int)(length - words - 1), line + words);
	offer(request, hash);
}

void
git_add_request(struct text *text, const char *bytes, size_t length, bool silence,
                const struct git_known *known)
{
	struct request request = {.text = text, .known = known};
	bool wishes = false;
	size_t line;
	for (; (line = line_length(bytes, length)) > 0; bytes += line, length -= line) {
		if (is_line(bytes, line, OFFER))
			offer_line(&request, bytes, line);
		else if (silence && has_capabilities(bytes, line))
			add_wish(text, bytes, line);
		else
			text_add(text, bytes, line);
		if (line == PREFIX && wishes)
			offer_moved(&request);
		wishes = is_line(bytes, line, WISH);
	}
	text_add(text, bytes, length);
	strings_done(&request.offered);
	strings_done(&request.implied);
}
