/*
 * JSON (jansson). A value is a `struct json_t *`, reference counted; scoped(js_drop) for those one
 * owns. Making cannot fail (memory exhaustion ends the process); strings that are not UTF-8 are
 * made so first.
 */
#ifndef OUTSIDE_JSON_H
#define OUTSIDE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"

struct json_t;

/* An object or array, with nothing after it, no duplicate keys. FAILURE_BAD_ANSWER says where it is
 * wrong. */
bool must_check js_parse(const char *bytes, size_t length, struct json_t **ret,
                         struct failure *why);
/* Compact, keys in the order they were set ({"a":1}); js_pretty: indented, with a final newline.
 * malloc'd. */
char *js_text(const struct json_t *value);
char *js_pretty(const struct json_t *value);
/* For scoped(); *value becomes NULL. */
void js_drop(struct json_t **value);

/* Making. The setters return nothing; a NULL string is left out. js_set and js_append take the
 * value over. */
struct json_t *js_object(void);
struct json_t *js_array(void);
void js_set(struct json_t *object, const char *key, struct json_t *value);
void js_set_string(struct json_t *object, const char *key, const char *string);
void js_set_integer(struct json_t *object, const char *key, int64_t number);
void js_set_real(struct json_t *object, const char *key, double number);
void js_set_bool(struct json_t *object, const char *key, bool value);
void js_set_null(struct json_t *object, const char *key);
void js_append(struct json_t *array, struct json_t *value);
void js_append_string(struct json_t *array, const char *string);

/* Reading. What is returned is borrowed from the object; NULL or false when absent or of another
 * type. */
const struct json_t *js_member(const struct json_t *object, const char *key);
const char *js_string(const struct json_t *object, const char *key);
bool js_integer(const struct json_t *object, const char *key, int64_t *ret);
bool js_real(const struct json_t *object, const char *key, double *ret); /* integers too */
bool js_true(const struct json_t *object, const char *key);              /* there, and true */
bool js_is_object(const struct json_t *value);
bool js_is_array(const struct json_t *value);
bool js_is_null(const struct json_t *object, const char *key); /* there, and null */
size_t js_size(const struct json_t *array);                    /* 0 for anything but an array */
const struct json_t *js_item(const struct json_t *array, size_t index);
const char *js_item_string(const struct json_t *array, size_t index);
/* Calls visit for each member, in the order they were set. */
void js_each(const struct json_t *object,
             void (*visit)(const char *key, const struct json_t *value, void *data), void *data);
/* The value itself, as a string; NULL if it is none. */
const char *js_as_string(const struct json_t *value);
/* A copy one may change and must drop. */
struct json_t *js_copy(const struct json_t *value);

#endif
