/*
 * YAML 1.1 (libyaml) as a walk over scalars: for configuration files and for the job messages of
 * the existing dashboard. JSON is YAML too.
 *
 * A document must be one mapping (or empty); nested keys are joined by dots ("store.type"), whether
 * written nested or dotted. Anchors, aliases, tags, non-scalar keys, duplicate keys, NUL
 * characters, more than 8 levels, more than 1000 keys and more than 64 KiB are refused.
 */
#ifndef OUTSIDE_YAML_H
#define OUTSIDE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/failure.h"

enum yaml_kind {
	YAML_SCALAR, /* `value` is what stands for the key */
	YAML_LIST,   /* a list begins; its items follow as YAML_ITEM. value is NULL */
	YAML_ITEM,   /* a scalar in the list */
};

struct yaml_event_seen {
	enum yaml_kind kind;
	const char *key;   /* dotted path */
	const char *value; /* NUL-free text as written, without quotes */
	bool plain; /* not quoted and not a block: "1" is a number, ~ and the empty scalar are null,
	               :x is a symbol */
	int line;   /* of the value, from 1 */
};

/* Calls visit for each in the order of the text; it returns false, with *why set, to end the walk.
 * FAILURE_BAD_MESSAGE: "line 3: did not find expected key". */
bool must_check yaml_walk(const char *bytes, size_t length,
                          bool (*visit)(const struct yaml_event_seen *seen, void *data,
                                        struct failure *why),
                          void *data, struct failure *why);

#endif
