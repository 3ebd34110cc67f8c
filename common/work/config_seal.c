/* Configuration handed from the manager to its runner: a JSON object in a sealed memfd. */
#include <string.h>
#include <sys/mman.h>

#include "base/files.h"
#include "outside/json.h"
#include "work/config.h"

#define SEALED_LIMIT (256 * 1024)

struct sealing {
	const void *config;
	struct json_t *settings;
};

static struct json_t *
list_value(const struct strings *list)
{
	struct json_t *array = js_array();
	for (size_t i = 0; i < list->count; i++)
		js_append_string(array, list->items[i]);
	return array;
}

static void
seal_row(const struct setting *row, void *data)
{
	struct sealing *sealing = data;
	const void *value = (const char *)sealing->config + row->offset;
	if (row->type == SETTING_LIST) {
		js_set(sealing->settings, row->name, list_value(value));
		return;
	}
	scoped_free char *text = setting_text(row, sealing->config);
	js_set_string(sealing->settings, row->name, text);
}

static char *
sealed_text(const struct settings *table, const void *config)
{
	scoped(js_drop) struct json_t *settings = js_object();
	struct sealing sealing = {.config = config, .settings = settings};
	settings_each(table, seal_row, &sealing);
	return js_text(settings);
}

bool
config_seal(const struct settings *table, const void *config, int *ret_fd, struct failure *why)
{
	scoped_free char *text = sealed_text(table, config);
	scoped_fd int fd = memfd_create("moolloy-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return fail_errno(why, "cannot make a memfd");
	if (!write_all(fd, text, strlen(text), why))
		return false;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return fail_errno(why, "cannot seal a memfd");
	*ret_fd = take_fd(&fd);
	return true;
}

struct unsealing {
	const struct settings *table;
	void *config;
	struct failure *why;
	bool good;
};

static void
unseal_setting(const char *key, const struct json_t *value, void *data)
{
	struct unsealing *unsealing = data;
	const struct setting *row = settings_find(unsealing->table, key);
	if (!row || !unsealing->good)
		return;
	setting_empty(row, unsealing->config);
	if (js_as_string(value))
		unsealing->good = setting_assign(row, unsealing->config, js_as_string(value),
		                                 unsealing->why);
	for (size_t i = 0; i < js_size(value); i++)
		unsealing->good = unsealing->good
		                  && setting_assign(row, unsealing->config,
		                                    js_item_string(value, i), unsealing->why);
}

/* What is absent from the sealed settings is empty, not at its default. */
static void
empty_row(const struct setting *row, void *config)
{
	setting_empty(row, config);
}

bool
config_unseal(const struct settings *table, void *config, int fd, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(js_drop) struct json_t *settings = NULL;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return fail_errno(why, "cannot rewind the sealed configuration");
	if (!read_all(fd, SEALED_LIMIT, &text, why)
	    || !js_parse(text_string(&text), text.length, &settings, why))
		return fail_within(why, "sealed configuration");
	config_init(table, config);
	settings_each(table, empty_row, config);
	struct unsealing unsealing = {.table = table, .config = config, .why = why, .good = true};
	js_each(settings, unseal_setting, &unsealing);
	return unsealing.good;
}
