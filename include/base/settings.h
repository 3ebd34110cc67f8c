/*
 * Settings as a table: one row each, which is the parser, the default, `show-config` and the
 * manual's list.
 *
 * A program's settings are a chain of tables (its own, then those all share), over one
 * configuration struct in which each row's value lies at `offset`. Names are dotted ("store.path").
 * Values are text until assigned.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/secret.h"
#include "base/text.h"

enum setting_type {
	SETTING_STRING,   /* char *; NULL when empty */
	SETTING_PATH,     /* char *; absolute; NULL when empty */
	SETTING_BOOL,     /* bool; yes no true false */
	SETTING_NUMBER,   /* int64_t, within [min, max] */
	SETTING_DURATION, /* int64_t milliseconds, within [min, max] */
	SETTING_SIZE,     /* int64_t bytes, within [min, max] */
	SETTING_CHOICE,   /* char *; one of `choices` */
	SETTING_LIST,     /* struct strings; in YAML a list, here one value per assign */
	SETTING_SECRET, /* struct secret; the value is the path of a file that only its owner reads
	                 */
};

struct setting {
	const char *name;
	enum setting_type type;
	size_t offset; /* of the value in the configuration struct */
	const char
	    *standard;    /* default, as text; items of a list separated by '\n'; NULL for none */
	int64_t min, max; /* NUMBER, DURATION (ms), SIZE (bytes); ignored if both 0 */
	const char *choices; /* CHOICE: "a b c" */
	bool fixed;          /* a change needs a restart; the others follow a reload */
	const char *help;    /* a sentence or two: what it is, what it does */
};

struct settings {
	const struct setting *rows;
	size_t count;
	const struct settings *more; /* the next table of the chain, or NULL */
};

/* The row of that name, or NULL. */
const struct setting *settings_find(const struct settings *table, const char *name);
/* Calls visit for every row of the chain, the shared table first. */
void settings_each(const struct settings *table,
                   void (*visit)(const struct setting *row, void *data), void *data);

/* Every value of the zeroed struct gets its default. */
void settings_set_defaults(const struct settings *table, void *config);
/*
 * Gives the setting the value written as text; a list gets one more item (setting_empty first).
 * FAILURE_CONFIGURATION names the setting, what is wrong and the row's help. A SECRET gets its path
 * only.
 */
bool must_check setting_assign(const struct setting *row, void *config, const char *text,
                               struct failure *why);
/* A list becomes empty; a text none. */
void setting_empty(const struct setting *row, void *config);
/* The value as text that assigns the same; NULL for none; of a list the items, one a line.
 * malloc'd. Never a secret's value, only its path. */
char *setting_text(const struct setting *row, const void *config);
/* Gives the one configuration the value that the other has, a secret's included. */
void setting_copy(const struct setting *row, const void *from, void *to);
/* What kind of value it takes, for help and manuals: "duration, 1s to 48h"; malloc'd. */
char *setting_kind(const struct setting *row);
/* Where the row's value lies. */
void *setting_value(const struct setting *row, void *config);
/* Frees what the values own. */
void settings_done(const struct settings *table, void *config);

#endif
