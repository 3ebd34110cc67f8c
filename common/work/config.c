#include "work/config.h"

#include <string.h>

#include "base/files.h"
#include "outside/yaml.h"

#define CONFIG_LIMIT (64 * 1024)
#define WIDTH        96

void
config_init(const struct settings *table, void *config)
{
	settings_set_defaults(table, config);
}

/* ---- reading ---- */

struct reading {
	const struct settings *table;
	void *config;
	const char *path;
	bool some; /* of the file's settings are the table's */
};

static int
smallest(int a, int b, int c)
{
	int ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Levenshtein distance, of names up to 63 bytes; 99 for longer ones. */
static int
distance(const char *a, const char *b)
{
	int row[64];
	size_t length = strlen(b);
	if (length >= 64)
		return 99;
	for (size_t j = 0; j <= length; j++)
		row[j] = (int)j;
	for (size_t i = 1; a[i - 1]; i++) {
		int diagonal = row[0];
		row[0] = (int)i;
		for (size_t j = 1; j <= length; j++) {
			int above = row[j];
			row[j] = smallest(above + 1, row[j - 1] + 1,
			                  diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[length];
}

struct nearest {
	const char *wanted, *name;
	int distance;
};

static void
compare_name(const struct setting *row, void *data)
{
	struct nearest *nearest = data;
	int apart = distance(nearest->wanted, row->name);
	if (apart < nearest->distance) {
		nearest->distance = apart;
		nearest->name = row->name;
	}
}

static bool
fail_unknown(const struct reading *reading, const struct yaml_event_seen *seen, struct failure *why)
{
	/* A name of which half is wrong was not meant. */
	int half = (int)strlen(seen->key) / 2 + 1;
	struct nearest nearest = {.wanted = seen->key, .distance = half < 4 ? half : 4};
	settings_each(reading->table, compare_name, &nearest);
	if (!nearest.name)
		return fail(why, FAILURE_CONFIGURATION,
		            "%s:%d: %s: unknown setting (show-config lists them all)",
		            reading->path, seen->line, seen->key);
	return fail(why, FAILURE_CONFIGURATION, "%s:%d: %s: unknown setting (did you mean %s? %s)",
	            reading->path, seen->line, seen->key, nearest.name,
	            settings_find(reading->table, nearest.name)->help);
}

static bool
is_null(const struct yaml_event_seen *seen)
{
	return seen->plain
	       && (!seen->value[0] || !strcmp(seen->value, "~") || !strcmp(seen->value, "null"));
}

static bool
may_be_empty(const struct setting *row)
{
	return row->type == SETTING_STRING || row->type == SETTING_PATH || row->type == SETTING_LIST
	       || row->type == SETTING_SECRET;
}

/* Every value is one line, which is how it is shown again; and an item is something. */
static bool
check_text(const struct yaml_event_seen *seen, struct failure *why)
{
	for (const char *at = seen->value; at && *at; at++)
		if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
			return fail(why, FAILURE_CONFIGURATION,
			            "control characters are not allowed, line ends included");
	if (seen->kind == YAML_ITEM && (is_null(seen) || !seen->value[0]))
		return fail(why, FAILURE_CONFIGURATION, "an item of the list is empty");
	return true;
}

static bool
take(const struct setting *row, const struct yaml_event_seen *seen, void *config,
     struct failure *why)
{
	bool list = row->type == SETTING_LIST;
	if (seen->kind == YAML_LIST && list) {
		setting_empty(row, config);
		return true;
	}
	if (seen->kind == YAML_SCALAR && is_null(seen) && may_be_empty(row)) {
		setting_empty(row, config);
		return true;
	}
	if ((seen->kind == YAML_SCALAR) == list)
		return fail(why, FAILURE_CONFIGURATION, "%s: %s. %s", row->name,
		            list ? "a list is needed: [a, b]" : "one value is needed, not a list",
		            row->help);
	if (!check_text(seen, why))
		return fail_within(why, "%s", row->name);
	return setting_assign(row, config, seen->value, why);
}

struct kin {
	const char *key;
	bool found;
};

static void
compare_group(const struct setting *row, void *data)
{
	struct kin *kin = data;
	size_t length = strcspn(kin->key, ".");
	if (strncmp(row->name, kin->key, length) == 0
	    && (row->name[length] == '.' || row->name[length] == '\0'))
		kin->found = true;
}

/* Is there nothing in the table with the key's first name? */
static bool
is_of_others(const struct reading *reading, const char *key)
{
	struct kin kin = {.key = key};
	settings_each(reading->table, compare_group, &kin);
	return !kin.found;
}

static bool
visit(const struct yaml_event_seen *seen, void *data, struct failure *why)
{
	const struct reading *reading = data;
	const struct setting *row = settings_find(reading->table, seen->key);
	if (!row && reading->some && is_of_others(reading, seen->key))
		return true;
	if (!row)
		return fail_unknown(reading, seen, why);
	return take(row, seen, reading->config, why)
	       || fail_within(why, "%s:%d", reading->path, seen->line);
}

static bool
read_file(struct reading *reading, struct failure *why)
{
	const char *path = reading->path;
	scoped(text_done) struct text text = TEXT_INIT;
	if (!file_read(AT_FDCWD, path, CONFIG_LIMIT, &text, why))
		return false;
	if (yaml_walk(text_string(&text), text.length, visit, reading, why))
		return true;
	if (why && why->code == FAILURE_BAD_MESSAGE) {
		/* "line 3: ..." becomes "FILE:3: ...", as for settings. */
		scoped_free char *message = copy_string(why->message);
		bool line = starts_with(message, "line ");
		return fail(why, FAILURE_CONFIGURATION, "%s:%s%s", path, line ? "" : " ",
		            message + (line ? strlen("line ") : 0));
	}
	return false;
}

bool
config_read_file(const struct settings *table, void *config, const char *path, struct failure *why)
{
	struct reading reading = {.table = table, .config = config, .path = path};
	return read_file(&reading, why);
}

bool
config_read_known(const struct settings *table, void *config, const char *path, struct failure *why)
{
	struct reading reading = {.table = table, .config = config, .path = path, .some = true};
	return read_file(&reading, why);
}

/* ---- secrets ---- */

struct secrets {
	void *config;
	struct failure *why;
	bool good;
};

static void
visit_secret(const struct setting *row, void *data)
{
	struct secrets *secrets = data;
	struct secret *secret = setting_value(row, secrets->config);
	struct failure inner = FAILURE_INIT;
	char *value = NULL;
	if (row->type != SETTING_SECRET || !secrets->good)
		return;
	if (secret_read(secret, &value, &inner)) {
		wipe_string(&secret->value);
		secret->value = value;
		return;
	}
	secrets->good = fail(secrets->why, FAILURE_CONFIGURATION, "%s: %s", row->name,
	                     inner.message);
}

bool
config_read_secrets(const struct settings *table, void *config, struct failure *why)
{
	struct secrets secrets = {.config = config, .why = why, .good = true};
	settings_each(table, visit_secret, &secrets);
	return secrets.good;
}

/* ---- showing ---- */

struct showing {
	const void *config;
	struct text *text;
};

/* Can YAML read it back unquoted? */
static bool
is_plain(const char *value)
{
	static const char harmless[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+=-:@";
	return value[0] && !strchr("-:@=", value[0]) && !ends_with(value, ":")
	       && strcmp(value, "null") != 0 && value[strspn(value, harmless)] == '\0';
}

static void
add_value(struct text *text, const char *value)
{
	if (is_plain(value)) {
		text_add_string(text, value);
		return;
	}
	text_add_string(text, "'");
	for (; *value; value++)
		text_add(text, *value == '\'' ? "''" : value, *value == '\'' ? 2 : 1);
	text_add_string(text, "'");
}

static void
add_list(struct text *text, char *items)
{
	char *rest = NULL;
	text_add_string(text, "\n");
	for (char *item = strtok_r(items, "\n", &rest); item; item = strtok_r(NULL, "\n", &rest)) {
		text_add_string(text, "  - ");
		add_value(text, item);
		text_add_string(text, "\n");
	}
}

/* As comment lines of at most WIDTH columns. */
static void
add_comment(struct text *text, const char *comment)
{
	while (*comment) {
		size_t length = strlen(comment);
		if (length > WIDTH) {
			length = WIDTH;
			while (length > 1 && comment[length] != ' ')
				length--;
		}
		text_addf(text, "# %.*s\n", (int)length, comment);
		comment += length;
		comment += strspn(comment, " ");
	}
}

static void
show_row(const struct setting *row, void *data)
{
	struct showing *showing = data;
	struct text *text = showing->text;
	scoped_free char *value = setting_text(row, showing->config);
	scoped_free char *kind = setting_kind(row);
	scoped_free char *comment = format("%s (%s%s)", row->help, kind,
	                                   row->fixed ? "; a change needs a restart" : "");
	add_comment(text, comment);
	text_addf(text, "%s:", row->name);
	if (row->type == SETTING_LIST && value) {
		add_list(text, value);
	} else if (value) {
		text_add_string(text, " ");
		add_value(text, value);
		text_add_string(text, "\n");
	} else {
		text_add_string(text, row->type == SETTING_LIST ? " []\n" : "\n");
	}
	text_add_string(text, "\n");
}

char *
config_show(const struct settings *table, const void *config)
{
	struct text text = TEXT_INIT;
	struct showing showing = {.config = config, .text = &text};
	settings_each(table, show_row, &showing);
	return text_take(&text);
}

struct comparing {
	const void *old_config, *new_config;
	struct strings *names;
};

static void
compare_row(const struct setting *row, void *data)
{
	struct comparing *comparing = data;
	scoped_free char *before = setting_text(row, comparing->old_config);
	scoped_free char *after = setting_text(row, comparing->new_config);
	if (row->fixed && !strings_equal(before, after))
		strings_add(comparing->names, row->name);
}

void
config_fixed_changes(const struct settings *table, const void *old_config, const void *new_config,
                     struct strings *names)
{
	struct comparing comparing = {old_config, new_config, names};
	settings_each(table, compare_row, &comparing);
}
