#include "base/settings.h"
#include "unit.h"

struct config {
	char *name, *path, *type;
	bool on;
	int64_t count, wait, room;
	struct strings queues;
	struct secret password;
};

static const struct setting shared_rows[] = {
    {"name", SETTING_STRING, offsetof(struct config, name), NULL, 0, 0, NULL, true, "The name."},
    {"path", SETTING_PATH, offsetof(struct config, path), "/var", 0, 0, NULL, true, "The path."},
};
static const struct settings shared = {shared_rows, 2, NULL};
static const struct setting rows[] = {
    {"type", SETTING_CHOICE, offsetof(struct config, type), "b", 0, 0, "a b c", false, "The type."},
    {"on", SETTING_BOOL, offsetof(struct config, on), "yes", 0, 0, NULL, false, "On?"},
    {"count", SETTING_NUMBER, offsetof(struct config, count), "5", 1, 10, NULL, false, "How many."},
    {"wait", SETTING_DURATION, offsetof(struct config, wait), "90s", 1000, 3600000, NULL, false,
     "How long."},
    {"room", SETTING_SIZE, offsetof(struct config, room), "1MiB", 0, 0, NULL, false, "How much."},
    {"queues", SETTING_LIST, offsetof(struct config, queues), "x\ny", 0, 0, NULL, false, "Which."},
    {"password-file", SETTING_SECRET, offsetof(struct config, password), NULL, 0, 0, NULL, false,
     "The secret."},
};
static const struct settings table = {rows, 7, &shared};

static void
defaults_are_set(void **state)
{
	(void)state;
	struct config config = {0};
	settings_set_defaults(&table, &config);
	assert_null(config.name);
	assert_string_equal(config.path, "/var");
	assert_string_equal(config.type, "b");
	assert_true(config.on);
	assert_int_equal(config.wait, 90000);
	assert_int_equal(config.room, 1 << 20);
	assert_int_equal(config.queues.count, 2);
	settings_done(&table, &config);
	assert_null(config.path);
}

static void
wrong_values_name_setting_and_help(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value, *says;
	} wrong[] = {
	    {"path", "relative", "not an absolute path"},
	    {"type", "d", "none of: a b c"},
	    {"type", "a b", "none of"},
	    {"on", "maybe", "neither yes nor no"},
	    {"count", "11", "not within 1 to 10"},
	    {"count", "x", "not a whole number"},
	    {"wait", "2h", "not within 1s to 1h"},
	    {"wait", "5", "not a duration"},
	    {"room", "1MB", "not a size"},
	};
	struct config config = {0};
	settings_set_defaults(&table, &config);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct failure why = FAILURE_INIT;
		const struct setting *row = settings_find(&table, wrong[i].name);
		assert_non_null(row);
		assert_false(setting_assign(row, &config, wrong[i].value, &why));
		assert_int_equal(why.code, FAILURE_CONFIGURATION);
		assert_non_null(strstr(why.message, wrong[i].says));
		assert_non_null(strstr(why.message, row->help));
	}
	assert_int_equal(config.count, 5);
	assert_null(settings_find(&table, "nonsense"));
	settings_done(&table, &config);
}

static void
text_form_assigns_the_same(void **state)
{
	(void)state;
	struct config config = {0};
	settings_set_defaults(&table, &config);
	assert_true(
	    setting_assign(settings_find(&table, "password-file"), &config, "/etc/secret", NULL));
	config.password.value = strdup("s3cret");
	scoped_free char *queues = setting_text(settings_find(&table, "queues"), &config);
	assert_string_equal(queues, "x\ny");
	scoped_free char *secret = setting_text(settings_find(&table, "password-file"), &config);
	assert_string_equal(secret, "/etc/secret");
	scoped_free char *wait = setting_text(settings_find(&table, "wait"), &config);
	assert_string_equal(wait, "90s");
	scoped_free char *kind = setting_kind(settings_find(&table, "wait"));
	assert_string_equal(kind, "duration, 1s to 1h");
	settings_done(&table, &config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults_are_set),
	    cmocka_unit_test(wrong_values_name_setting_and_help),
	    cmocka_unit_test(text_form_assigns_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
