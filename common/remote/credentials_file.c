#include "remote/credentials_file.h"

#include <string.h>
#include <strings.h>

#include "base/secret.h"
#include "base/text.h"

#define FILE_LIMIT (64 * 1024)
#define BLANKS     " \t\r\v\f"

struct parsing {
	const char *name, *profile;
	int line;
	bool inside; /* the profile's section */
	bool found;  /* it was there */
	bool taken;  /* the last line was one of the keys' */
	struct aws_keys keys;
};

/* The text without blanks around it; cut in place. */
static char *
trim(char *text)
{
	text += strspn(text, BLANKS);
	size_t length = strlen(text);
	while (length > 0 && strchr(BLANKS, text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* " # what follows" goes. */
static void
cut_comment(char *value)
{
	for (char *at = value; *at; at++)
		if (strchr(BLANKS, *at) && (at[1] == '#' || at[1] == ';')) {
			*at = '\0';
			return;
		}
}

static bool
take_section(struct parsing *parsing, char *line, struct failure *why)
{
	char *end = strchr(line, ']');
	if (!end)
		return fail(why, FAILURE_CREDENTIALS, "%s:%d: '[' without ']'", parsing->name,
		            parsing->line);
	*end = '\0';
	char *name = trim(line + 1);
	if (starts_with(name, "profile ") || starts_with(name, "profile\t"))
		name = trim(name + strlen("profile"));
	parsing->inside = strings_equal(name, parsing->profile);
	parsing->found = parsing->found || parsing->inside;
	return true;
}

/* Which of the keys' parts it names; NULL: none. */
static char **
part_named(struct aws_keys *keys, const char *name)
{
	if (strcasecmp(name, "aws_access_key_id") == 0)
		return &keys->id;
	if (strcasecmp(name, "aws_secret_access_key") == 0)
		return &keys->secret;
	if (strcasecmp(name, "aws_session_token") == 0)
		return &keys->token;
	return NULL;
}

static bool
take_property(struct parsing *parsing, char *line, struct failure *why)
{
	char *equals = strchr(line, '=');
	if (!equals)
		return fail(why, FAILURE_CREDENTIALS, "%s:%d: neither [PROFILE] nor NAME = VALUE",
		            parsing->name, parsing->line);
	*equals = '\0';
	char **part = part_named(&parsing->keys, trim(line));
	parsing->taken = part != NULL;
	if (!part)
		return true;
	cut_comment(equals + 1);
	const char *value = trim(equals + 1);
	wipe_string(part);
	replace_string(part, value[0] ? value : NULL);
	return true;
}

static bool
take_line(struct parsing *parsing, char *line, struct failure *why)
{
	bool indented = line[0] && strchr(BLANKS, line[0]);
	char *text = trim(line);
	if (!text[0] || text[0] == '#' || text[0] == ';')
		return true;
	if (text[0] == '[' && !indented) {
		parsing->taken = false;
		return take_section(parsing, text, why);
	}
	if (!parsing->inside)
		return true;
	if (!indented)
		return take_property(parsing, text, why);
	return !parsing->taken
	       || fail(why, FAILURE_CREDENTIALS,
	               "%s:%d: an indented line goes on with the one before, and keys are of one "
	               "line",
	               parsing->name, parsing->line);
}

static bool
take_lines(struct parsing *parsing, char *text, struct failure *why)
{
	for (char *next = text; next;) {
		char *line = strsep(&next, "\n");
		parsing->line++;
		if (!take_line(parsing, line, why))
			return false;
	}
	return true;
}

static bool
check(const struct parsing *parsing, struct failure *why)
{
	const struct aws_keys *keys = &parsing->keys;
	if (!parsing->found)
		return fail(why, FAILURE_NOT_FOUND, "%s holds no profile '%s'", parsing->name,
		            parsing->profile);
	if (!keys->id && !keys->secret && !keys->token)
		return fail(why, FAILURE_CREDENTIALS,
		            "%s: profile '%s' holds no aws_access_key_id (roles and "
		            "credential_process are not followed)",
		            parsing->name, parsing->profile);
	scoped_free char *where = format("%s, profile '%s'", parsing->name, parsing->profile);
	return aws_keys_check(keys, where, why);
}

bool
credentials_file_parse(const char *bytes, size_t length, const char *name, const char *profile,
                       struct aws_keys *ret_keys, struct failure *why)
{
	struct parsing parsing = {.name = name, .profile = profile};
	if (memchr(bytes, '\0', length))
		return fail(why, FAILURE_CREDENTIALS, "%s holds a NUL: it is no text file", name);
	char *text = format("%.*s", (int)length, bytes);
	bool good = take_lines(&parsing, text, why) && check(&parsing, why);
	/* Cut into pieces: not as a string. */
	explicit_bzero(text, length);
	free_pointer(&text);
	if (good) {
		*ret_keys = parsing.keys;
		return true;
	}
	aws_keys_done(&parsing.keys);
	return false;
}

bool
credentials_file_read(const char *path, const char *profile, struct aws_keys *ret_keys,
                      struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	bool good = secret_file_read(path, FILE_LIMIT, &text, why)
	            && credentials_file_parse(text_string(&text), text.length, path, profile,
	                                      ret_keys, why);
	explicit_bzero(text.bytes, text.length);
	return good;
}
