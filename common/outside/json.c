#include "outside/json.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"

static json_t *
checked(json_t *value)
{
	if (!value)
		abort();
	return value;
}

bool
js_parse(const char *bytes, size_t length, struct json_t **ret, struct failure *why)
{
	json_error_t error;
	json_t *value = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
	if (!value)
		return fail(why, FAILURE_BAD_ANSWER, "no valid JSON: line %d column %d: %s",
		            error.line, error.column, error.text);
	*ret = value;
	return true;
}

static char *
dump(const struct json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags | JSON_REAL_PRECISION(15));
	if (!text)
		abort();
	return text;
}

char *
js_text(const struct json_t *value)
{
	return dump(value, JSON_COMPACT);
}

char *
js_pretty(const struct json_t *value)
{
	scoped_free char *text = dump(value, JSON_INDENT(1));
	return format("%s\n", text);
}

void
js_drop(struct json_t **value)
{
	json_decref(*value);
	*value = NULL;
}

/* ---- making ---- */

struct json_t *
js_object(void)
{
	return checked(json_object());
}

struct json_t *
js_array(void)
{
	return checked(json_array());
}

void
js_set(struct json_t *object, const char *key, struct json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		abort();
}

/* Bytes from outside may be no UTF-8; jansson refuses those. */
static json_t *
string_value(const char *string)
{
	json_t *value = json_string(string);
	if (value)
		return value;
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_printable(&text, string, strlen(string), true);
	return checked(json_string(text_string(&text)));
}

void
js_set_string(struct json_t *object, const char *key, const char *string)
{
	if (string)
		js_set(object, key, string_value(string));
}

void
js_set_integer(struct json_t *object, const char *key, int64_t number)
{
	js_set(object, key, checked(json_integer(number)));
}

void
js_set_real(struct json_t *object, const char *key, double number)
{
	js_set(object, key, checked(json_real(number)));
}

void
js_set_bool(struct json_t *object, const char *key, bool value)
{
	js_set(object, key, json_boolean(value));
}

void
js_set_null(struct json_t *object, const char *key)
{
	js_set(object, key, json_null());
}

void
js_append(struct json_t *array, struct json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		abort();
}

void
js_append_string(struct json_t *array, const char *string)
{
	js_append(array, string_value(string));
}

/* ---- reading ---- */

const struct json_t *
js_member(const struct json_t *object, const char *key)
{
	return json_object_get(object, key);
}

const char *
js_string(const struct json_t *object, const char *key)
{
	return js_as_string(js_member(object, key));
}

const char *
js_as_string(const struct json_t *value)
{
	return json_string_value(value);
}

bool
js_integer(const struct json_t *object, const char *key, int64_t *ret)
{
	const json_t *value = js_member(object, key);
	if (!json_is_integer(value))
		return false;
	*ret = json_integer_value(value);
	return true;
}

bool
js_real(const struct json_t *object, const char *key, double *ret)
{
	const json_t *value = js_member(object, key);
	if (!json_is_number(value))
		return false;
	*ret = json_number_value(value);
	return true;
}

bool
js_true(const struct json_t *object, const char *key)
{
	return json_is_true(js_member(object, key));
}

bool
js_is_object(const struct json_t *value)
{
	return json_is_object(value);
}

bool
js_is_array(const struct json_t *value)
{
	return json_is_array(value);
}

bool
js_is_null(const struct json_t *object, const char *key)
{
	return json_is_null(json_object_get(object, key));
}

size_t
js_size(const struct json_t *array)
{
	return json_array_size(array);
}

const struct json_t *
js_item(const struct json_t *array, size_t index)
{
	return json_array_get(array, index);
}

const char *
js_item_string(const struct json_t *array, size_t index)
{
	return js_as_string(js_item(array, index));
}

void
js_each(const struct json_t *object,
        void (*visit)(const char *key, const struct json_t *value, void *data), void *data)
{
	/* The iterators do not change the object, though their prototypes do not say so. */
	union {
		const json_t *given;
		json_t *object;
	} iterated = {.given = object};
	const char *key;
	json_t *value;
	json_object_foreach(iterated.object, key, value) visit(key, value, data);
}

struct json_t *
js_copy(const struct json_t *value)
{
	return checked(json_deep_copy(value));
}
