#include "s3_answers.h"

#include <string.h>

#include "outside/xml.h"

/* ---- errors ---- */

static void
set(struct text *text, const char *value)
{
	text_clear(text);
	text_add_string(text, value);
}

static bool
read_error(const char *path, const char *text, void *data, struct failure *why)
{
	struct s3_error *error = data;
	(void)why;
	if (strings_equal(path, "Error/Code"))
		set(&error->code, text);
	else if (strings_equal(path, "Error/Message"))
		set(&error->message, text);
	else if (strings_equal(path, "Error/Region"))
		set(&error->region, text);
	return true;
}

bool
s3_error_read(struct s3_error *error, const struct text *body)
{
	return body->length > 0 && xml_walk(body->bytes, body->length, read_error, error, NULL)
	       && error->code.length > 0;
}

void
s3_error_done(struct s3_error *error)
{
	text_done(&error->code);
	text_done(&error->message);
	text_done(&error->region);
}

/* ---- single values ---- */

struct search {
	const char *path;
	char *found;
};

static bool
look(const char *path, const char *text, void *data, struct failure *why)
{
	struct search *search = data;
	(void)why;
	if (!search->found && text[0] && strings_equal(path, search->path))
		search->found = copy_string(text);
	return true;
}

bool
s3_answer_text(const struct text *body, const char *path, char **ret, struct failure *why)
{
	struct search search = {.path = path};
	bool walked = xml_walk(text_string(body), body->length, look, &search, why);
	scoped_free char *found = search.found;
	if (!walked)
		return fail_within(why, "the answer is no document");
	if (!found)
		return fail(why, FAILURE_BAD_ANSWER, "the answer has no %s", path);
	*ret = take_pointer(&found);
	return true;
}

/* ---- lists ---- */

#define LISTED "ListMultipartUploadsResult/Upload"

struct listing {
	struct text key, id; /* of the entry that is read */
	void (*visit)(const struct s3_found *found, void *data);
	void *data;
};

static bool
read_listing(const char *path, const char *text, void *data, struct failure *why)
{
	struct listing *listing = data;
	(void)why;
	if (strings_equal(path, LISTED "/Key")) {
		set(&listing->key, text);
	} else if (strings_equal(path, LISTED "/UploadId")) {
		set(&listing->id, text);
	} else if (strings_equal(path, LISTED)) {
		const struct s3_found found = {.key = text_string(&listing->key),
		                               .id = text_string(&listing->id)};
		if (found.key[0] && found.id[0])
			listing->visit(&found, listing->data);
		text_clear(&listing->key);
		text_clear(&listing->id);
	}
	return true;
}

bool
s3_each_upload(const struct text *body, void (*visit)(const struct s3_found *found, void *data),
               void *data, struct failure *why)
{
	struct listing listing = {.visit = visit, .data = data};
	bool walked = xml_walk(text_string(body), body->length, read_listing, &listing, why);
	text_done(&listing.key);
	text_done(&listing.id);
	return walked || fail_within(why, "the list of uploads");
}
