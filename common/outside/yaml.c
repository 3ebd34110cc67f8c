#include "outside/yaml.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/text.h"

#define BYTES_LIMIT (64 * 1024)
#define DEPTH_LIMIT 8
#define KEYS_LIMIT  1000

struct walk {
	const char *bytes;
	yaml_parser_t parser;
	yaml_event_t event;
	bool pending; /* event holds one */
	bool (*visit)(const struct yaml_event_seen *seen, void *data, struct failure *why);
	void *data;
	struct strings keys; /* seen so far, to refuse them a second time */
	struct failure *why;
};

static void
walk_done(struct walk *walk)
{
	if (walk->pending)
		yaml_event_delete(&walk->event);
	yaml_parser_delete(&walk->parser);
	strings_done(&walk->keys);
}

static int
line_of(const struct walk *walk)
{
	return (int)walk->event.start_mark.line + 1;
}

/* Where the parser stopped, as a person counts. It tells bad bytes by their offset, and a word
 * without a colon only after the end of its line. */
static size_t
line_of_problem(const struct walk *walk)
{
	const yaml_parser_t *parser = &walk->parser;
	if (parser->error == YAML_READER_ERROR) {
		size_t line = 1;
		for (size_t i = 0; i < parser->problem_offset; i++)
			line += walk->bytes[i] == '\n';
		return line;
	}
	if (strings_equal(parser->context, "while scanning a simple key"))
		return parser->context_mark.line + 1;
	return parser->problem_mark.line + 1;
}

/* Puts the next event in place of the last. */
static bool
next(struct walk *walk)
{
	if (walk->pending)
		yaml_event_delete(&walk->event);
	walk->pending = yaml_parser_parse(&walk->parser, &walk->event);
	if (walk->pending)
		return true;
	return fail(walk->why, FAILURE_BAD_MESSAGE, "line %zu: %s", line_of_problem(walk),
	            walk->parser.problem ? walk->parser.problem : "cannot be read");
}

static bool
refuse(const struct walk *walk, const char *what)
{
	return fail(walk->why, FAILURE_BAD_MESSAGE, "line %d: %s", line_of(walk), what);
}

/* Anchors and tags have no place here, aliases least of all; and text is handed on as strings. */
static bool
is_simple(const struct walk *walk)
{
	switch (walk->event.type) {
	case YAML_ALIAS_EVENT:
		return refuse(walk, "aliases are not allowed");
	case YAML_SCALAR_EVENT:
		if (walk->event.data.scalar.anchor || walk->event.data.scalar.tag)
			return refuse(walk, "anchors and tags are not allowed");
		if (memchr(walk->event.data.scalar.value, '\0', walk->event.data.scalar.length))
			return refuse(walk, "a NUL character is not allowed");
		return true;
	case YAML_SEQUENCE_START_EVENT:
		if (walk->event.data.sequence_start.anchor || walk->event.data.sequence_start.tag)
			return refuse(walk, "anchors and tags are not allowed");
		return true;
	case YAML_MAPPING_START_EVENT:
		if (walk->event.data.mapping_start.anchor || walk->event.data.mapping_start.tag)
			return refuse(walk, "anchors and tags are not allowed");
		return true;
	default:
		return true;
	}
}

static bool
tell(const struct walk *walk, enum yaml_kind kind, const char *key)
{
	struct yaml_event_seen seen = {.kind = kind, .key = key, .line = line_of(walk)};
	if (kind != YAML_LIST) {
		seen.value = (const char *)walk->event.data.scalar.value;
		seen.plain = walk->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	}
	return walk->visit(&seen, walk->data, walk->why);
}

static bool walk_mapping(struct walk *walk, const char *prefix, int depth);

static bool
walk_list(struct walk *walk, const char *key)
{
	if (!tell(walk, YAML_LIST, key))
		return false;
	while (next(walk) && is_simple(walk)) {
		if (walk->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		if (walk->event.type != YAML_SCALAR_EVENT)
			return refuse(walk, "a list may hold plain values only");
		if (!tell(walk, YAML_ITEM, key))
			return false;
	}
	return false;
}

static bool
walk_value(struct walk *walk, const char *key, int depth)
{
	if (!next(walk) || !is_simple(walk))
		return false;
	switch (walk->event.type) {
	case YAML_SCALAR_EVENT:
		return tell(walk, YAML_SCALAR, key);
	case YAML_SEQUENCE_START_EVENT:
		return walk_list(walk, key);
	case YAML_MAPPING_START_EVENT:
		return walk_mapping(walk, key, depth + 1);
	default:
		return refuse(walk, "a value is missing");
	}
}

static bool
walk_pair(struct walk *walk, const char *prefix, int depth)
{
	if (walk->event.type != YAML_SCALAR_EVENT)
		return refuse(walk, "a key must be a plain word");
	const char *name = (const char *)walk->event.data.scalar.value;
	scoped_free char *key = prefix ? format("%s.%s", prefix, name) : copy_string(name);
	if (strings_contain(&walk->keys, key))
		return fail(walk->why, FAILURE_BAD_MESSAGE, "line %d: %s stands there twice",
		            line_of(walk), key);
	if (walk->keys.count == KEYS_LIMIT)
		return refuse(walk, "too many keys");
	strings_add(&walk->keys, key);
	return walk_value(walk, key, depth);
}

static bool
walk_mapping(struct walk *walk, const char *prefix, int depth)
{
	if (depth > DEPTH_LIMIT)
		return refuse(walk, "nested too deeply");
	while (next(walk) && is_simple(walk)) {
		if (walk->event.type == YAML_MAPPING_END_EVENT)
			return true;
		if (!walk_pair(walk, prefix, depth))
			return false;
	}
	return false;
}

static bool
is_empty_document(const struct walk *walk)
{
	return walk->event.type == YAML_SCALAR_EVENT && walk->event.data.scalar.length == 0;
}

/* One document: a mapping, or nothing. */
static bool
walk_document(struct walk *walk)
{
	if (!next(walk) || !next(walk))
		return false;
	if (walk->event.type == YAML_STREAM_END_EVENT)
		return true;
	if (!next(walk) || !is_simple(walk))
		return false;
	if (walk->event.type == YAML_MAPPING_START_EVENT) {
		if (!walk_mapping(walk, NULL, 1))
			return false;
	} else if (!is_empty_document(walk)) {
		return refuse(walk, "keys with values are expected");
	}
	if (!next(walk) || !next(walk))
		return false;
	return walk->event.type == YAML_STREAM_END_EVENT
	       || refuse(walk, "a second document is not allowed");
}

bool
yaml_walk(const char *bytes, size_t length,
          bool (*visit)(const struct yaml_event_seen *seen, void *data, struct failure *why),
          void *data, struct failure *why)
{
	scoped(walk_done) struct walk walk = {
	    .bytes = bytes, .visit = visit, .data = data, .why = why};
	if (length > BYTES_LIMIT)
		return fail(why, FAILURE_BAD_MESSAGE, "more than %d bytes", BYTES_LIMIT);
	if (!yaml_parser_initialize(&walk.parser))
		abort();
	yaml_parser_set_encoding(&walk.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&walk.parser, (const unsigned char *)bytes, length);
	return walk_document(&walk);
}
