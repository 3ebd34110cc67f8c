#include "base/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

const struct setting *
settings_find(const struct settings *table, const char *name)
{
	for (; table; table = table->more)
		for (size_t i = 0; i < table->count; i++)
			if (strcmp(table->rows[i].name, name) == 0)
				return &table->rows[i];
	return NULL;
}

void
settings_each(const struct settings *table, void (*visit)(const struct setting *row, void *data),
              void *data)
{
	if (!table)
		return;
	settings_each(table->more, visit, data);
	for (size_t i = 0; i < table->count; i++)
		visit(&table->rows[i], data);
}

void *
setting_value(const struct setting *row, void *config)
{
	return (char *)config + row->offset;
}

static const void *
value_of(const struct setting *row, const void *config)
{
	return (const char *)config + row->offset;
}

static bool
assign_bool(bool *value, const char *text, struct failure *why)
{
	bool yes = strings_equal(text, "yes") || strings_equal(text, "true");
	if (!yes && !strings_equal(text, "no") && !strings_equal(text, "false"))
		return fail(why, FAILURE_CONFIGURATION, "'%s' is neither yes nor no", text);
	*value = yes;
	return true;
}

static bool
assign_path(char **value, const char *text, struct failure *why)
{
	if (text[0] != '\0' && text[0] != '/')
		return fail(why, FAILURE_CONFIGURATION, "'%s' is not an absolute path", text);
	replace_string(value, text[0] ? text : NULL);
	return true;
}

/* Is text one of the words of choices? */
static bool
is_choice(const char *choices, const char *text)
{
	scoped_free char *words = format(" %s ", choices);
	scoped_free char *word = format(" %s ", text);
	return text[0] && !strchr(text, ' ') && strstr(words, word);
}

static bool
assign_choice(char **value, const char *choices, const char *text, struct failure *why)
{
	if (!is_choice(choices, text))
		return fail(why, FAILURE_CONFIGURATION, "'%s' is none of: %s", text, choices);
	replace_string(value, text);
	return true;
}

static char *
number_text(enum setting_type type, int64_t number)
{
	switch (type) {
	case SETTING_DURATION:
		return duration_format(number);
	case SETTING_SIZE:
		return size_format(number);
	default:
		return format("%" PRId64, number);
	}
}

static bool
assign_number(const struct setting *row, int64_t *value, const char *text, struct failure *why)
{
	int64_t number;
	bool parsed = row->type == SETTING_DURATION ? duration_parse(text, &number, why)
	              : row->type == SETTING_SIZE   ? size_parse(text, &number, why)
	                                            : number_parse(text, &number, why);
	if (!parsed)
		return false;
	if ((row->min || row->max) && (number < row->min || number > row->max)) {
		scoped_free char *low = number_text(row->type, row->min);
		scoped_free char *high = number_text(row->type, row->max);
		return fail(why, FAILURE_CONFIGURATION, "%s is not within %s to %s", text, low,
		            high);
	}
	*value = number;
	return true;
}

static bool
assign(const struct setting *row, void *value, const char *text, struct failure *why)
{
	switch (row->type) {
	case SETTING_STRING:
		replace_string(value, text[0] ? text : NULL);
		return true;
	case SETTING_PATH:
		return assign_path(value, text, why);
	case SETTING_BOOL:
		return assign_bool(value, text, why);
	case SETTING_NUMBER:
	case SETTING_DURATION:
	case SETTING_SIZE:
		return assign_number(row, value, text, why);
	case SETTING_CHOICE:
		return assign_choice(value, row->choices, text, why);
	case SETTING_LIST:
		strings_add(value, text);
		return true;
	case SETTING_SECRET:
		replace_string(&((struct secret *)value)->path, text[0] ? text : NULL);
		return true;
	}
	return fail(why, FAILURE_INTERNAL, "setting %s has no type", row->name);
}

bool
setting_assign(const struct setting *row, void *config, const char *text, struct failure *why)
{
	struct failure inner = FAILURE_INIT;
	if (assign(row, setting_value(row, config), text, &inner))
		return true;
	return fail(why, FAILURE_CONFIGURATION, "%s: %s. %s", row->name, inner.message, row->help);
}

void
setting_empty(const struct setting *row, void *config)
{
	void *value = setting_value(row, config);
	switch (row->type) {
	case SETTING_LIST:
		strings_done(value);
		break;
	case SETTING_STRING:
	case SETTING_PATH:
	case SETTING_CHOICE:
		replace_string(value, NULL);
		break;
	case SETTING_SECRET:
		replace_string(&((struct secret *)value)->path, NULL);
		wipe_string(&((struct secret *)value)->value);
		break;
	case SETTING_BOOL:
	case SETTING_NUMBER:
	case SETTING_DURATION:
	case SETTING_SIZE:
		break;
	}
}

static char *
joined(const struct strings *list)
{
	struct text text = TEXT_INIT;
	for (size_t i = 0; i < list->count; i++)
		text_addf(&text, "%s%s", i ? "\n" : "", list->items[i]);
	return list->count ? text_take(&text) : NULL;
}

char *
setting_text(const struct setting *row, const void *config)
{
	const void *value = value_of(row, config);
	switch (row->type) {
	case SETTING_STRING:
	case SETTING_PATH:
	case SETTING_CHOICE:
		return copy_string(*(char *const *)value);
	case SETTING_BOOL:
		return copy_string(*(const bool *)value ? "yes" : "no");
	case SETTING_NUMBER:
	case SETTING_DURATION:
	case SETTING_SIZE:
		return number_text(row->type, *(const int64_t *)value);
	case SETTING_LIST:
		return joined(value);
	case SETTING_SECRET:
		return copy_string(((const struct secret *)value)->path);
	}
	return NULL;
}

void
setting_copy(const struct setting *row, const void *from, void *to)
{
	const void *value = value_of(row, from);
	setting_empty(row, to);
	if (row->type == SETTING_LIST) {
		strings_add_all(setting_value(row, to), value);
		return;
	}
	scoped_free char *text = setting_text(row, from);
	if (text && !setting_assign(row, to, text, NULL))
		abort();
	if (row->type == SETTING_SECRET)
		replace_string(&((struct secret *)setting_value(row, to))->value,
		               ((const struct secret *)value)->value);
}

char *
setting_kind(const struct setting *row)
{
	static const char *const names[] = {
	    [SETTING_STRING] = "text",
	    [SETTING_PATH] = "absolute path",
	    [SETTING_BOOL] = "yes or no",
	    [SETTING_NUMBER] = "number",
	    [SETTING_DURATION] = "duration",
	    [SETTING_SIZE] = "size",
	    [SETTING_CHOICE] = "one of",
	    [SETTING_LIST] = "list",
	    [SETTING_SECRET] = "path of a file that holds the secret",
	};
	if (row->type == SETTING_CHOICE)
		return format("one of: %s", row->choices);
	if (!row->min && !row->max)
		return copy_string(names[row->type]);
	scoped_free char *low = number_text(row->type, row->min);
	scoped_free char *high = number_text(row->type, row->max);
	return format("%s, %s to %s", names[row->type], low, high);
}

/* A default is assigned like any other text; one that does not parse is a bug of the table. */
static void
set_default(const struct setting *row, void *config)
{
	scoped_free char *text = copy_string(row->standard);
	char *rest = NULL;
	bool list = row->type == SETTING_LIST;
	char *item = !text ? NULL : list ? strtok_r(text, "\n", &rest) : text;
	for (; item; item = list ? strtok_r(NULL, "\n", &rest) : NULL)
		if (!setting_assign(row, config, item, NULL))
			abort();
}

void
settings_set_defaults(const struct settings *table, void *config)
{
	settings_each(table, set_default, config);
}

static void
drop_value(const struct setting *row, void *config)
{
	setting_empty(row, config);
}

void
settings_done(const struct settings *table, void *config)
{
	settings_each(table, drop_value, config);
}
