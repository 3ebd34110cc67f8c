#include <sys/stat.h>

#include "unit.h"
#include "unit_directory.h"
#include "work/config.h"

struct config {
	char *type, *path;
	int64_t wait;
	struct strings queues;
	struct secret password;
};

#define AT(field) offsetof(struct config, field)
static const struct setting rows[] = {
    {.name = "store.type",
     .type = SETTING_CHOICE,
     .offset = AT(type),
     .standard = "a",
     .choices = "a b",
     .fixed = true,
     .help = "The kind."},
    {.name = "store.path", .type = SETTING_PATH, .offset = AT(path), .help = "The place."},
    {.name = "wait",
     .type = SETTING_DURATION,
     .offset = AT(wait),
     .standard = "5s",
     .min = 1000,
     .max = 60000,
     .help = "How long."},
    {.name = "queues",
     .type = SETTING_LIST,
     .offset = AT(queues),
     .standard = "x\ny",
     .help = "Which."},
    {.name = "password-file",
     .type = SETTING_SECRET,
     .offset = AT(password),
     .help = "The secret."},
};
static const struct settings table = {rows, sizeof rows / sizeof *rows, NULL};

static bool
read_text(struct config *config, const char *text, struct failure *why)
{
	scoped_free char *path = unit_path("c.yaml");
	unit_write("c.yaml", text);
	*config = (struct config){0};
	config_init(&table, config);
	return config_read_file(&table, config, path, why);
}

static void
nested_and_dotted_keys_are_the_same(void **state)
{
	(void)state;
	static const char *const texts[] = {
	    "store: {type: b, path: /x}\nqueues: [p, q]\n",
	    "store.type: b\nstore.path: /x\nqueues:\n- p\n- q\n",
	    "store:\n  type: b\n  path: '/x'\nqueues:\n  - p\n  - q\n"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct config config;
		assert_true(read_text(&config, texts[i], NULL));
		assert_string_equal(config.type, "b");
		assert_string_equal(config.path, "/x");
		assert_int_equal(config.wait, 5000);
		assert_int_equal(config.queues.count, 2);
		assert_string_equal(config.queues.items[0], "p");
		settings_done(&table, &config);
	}
}

static void
what_is_wrong_has_a_place_and_help(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} wrong[] = {
	    {"wait: 5s\nstore.typ: a\n",
	     "c.yaml:2: store.typ: unknown setting (did you mean store.type? The kind."},
	    {"entirely-different: 1\n", "c.yaml:1: entirely-different: unknown setting"},
	    {"\nwait: 2m\n", "c.yaml:2: wait: 2m is not within 1s to 1m. How long."},
	    {"wait: [5s]\n", "c.yaml:1: wait: one value is needed, not a list. How long."},
	    {"queues: p\n", "c.yaml:1: queues: a list is needed"},
	    {"store.type: c\n", "'c' is none of: a b. The kind."},
	    {"store.path: x\n", "not an absolute path. The place."},
	    {"wait:\n", "c.yaml:1: wait"},
	    {"wait: 5s\nwait: 6s\n", "twice"},
	    {"wait: *x\n", "c.yaml:1"},
	    {"wait: {", "c.yaml:"},
	    {"- a\n", "c.yaml:1"},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct config config;
		struct failure why = FAILURE_INIT;
		assert_false(read_text(&config, wrong[i].text, &why));
		assert_int_equal(why.code, FAILURE_CONFIGURATION);
		if (!strstr(why.message, wrong[i].says))
			print_error("'%s' says: %s\n", wrong[i].text, why.message);
		assert_non_null(strstr(why.message, wrong[i].says));
		settings_done(&table, &config);
	}
}

static void
shown_reads_back_to_the_same(void **state)
{
	(void)state;
	struct config config, again;
	assert_true(read_text(
	    &config, "queues: ['a b', \"it's\", '- x', 'y:']\nstore.path: '/with # blank'\n",
	    NULL));
	scoped_free char *shown = config_show(&table, &config);
	assert_true(read_text(&again, shown, NULL));
	assert_string_equal(again.path, "/with # blank");
	assert_int_equal(again.queues.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(again.queues.items[i], config.queues.items[i]);
	settings_done(&table, &config);
	settings_done(&table, &again);
}

static bool
read_secret(struct config *config, const char *content, mode_t mode, struct failure *why)
{
	scoped_free char *path = unit_path("secret");
	scoped_free char *text = format("password-file: %s\n", path);
	unit_write("secret", content);
	assert_int_equal(chmod(path, mode), 0);
	assert_true(read_text(config, text, NULL));
	return config_read_secrets(&table, config, why);
}

static void
secrets_are_first_lines_of_private_files(void **state)
{
	(void)state;
	struct config config;
	struct failure why = FAILURE_INIT;
	assert_true(read_secret(&config, "s3cret\nmore\n", 0600, &why));
	assert_string_equal(config.password.value, "s3cret");
	scoped_free char *shown = config_show(&table, &config);
	assert_null(strstr(shown, "s3cret"));
	settings_done(&table, &config);
	assert_false(read_secret(&config, "s3cret\n", 0644, &why));
	assert_non_null(strstr(why.message, "can be read by everyone"));
	settings_done(&table, &config);
	assert_false(read_secret(&config, "\n", 0600, &why));
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	settings_done(&table, &config);
	assert_true(read_text(&config, "password-file: credential\n", NULL));
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_false(config_read_secrets(&table, &config, &why));
	unit_write("credential", "by systemd\n");
	setenv("CREDENTIALS_DIRECTORY", unit_directory, 1);
	assert_true(config_read_secrets(&table, &config, &why));
	assert_string_equal(config.password.value, "by systemd");
	unsetenv("CREDENTIALS_DIRECTORY");
	settings_done(&table, &config);
}

static void
sealed_is_the_same_and_cannot_be_changed(void **state)
{
	(void)state;
	struct config config, again = {0};
	int fd = -1;
	assert_true(
	    read_text(&config, "store.path:\nqueues: []\nwait: 7s\npassword-file: /p\n", NULL));
	replace_string(&config.password.value, "s3cret");
	assert_true(config_seal(&table, &config, &fd, NULL));
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_true(config_unseal(&table, &again, fd, NULL));
	assert_null(again.path);
	assert_int_equal(again.queues.count, 0);
	assert_int_equal(again.wait, 7000);
	assert_string_equal(again.password.path, "/p");
	assert_string_equal(again.password.value, "s3cret");
	close_fd(&fd);
	settings_done(&table, &config);
	settings_done(&table, &again);
}

static void
changes_of_fixed_settings_are_found(void **state)
{
	(void)state;
	struct config before, after;
	scoped(strings_done) struct strings names = STRINGS_INIT;
	assert_true(read_text(&before, "", NULL));
	assert_true(read_text(&after, "store.type: b\nwait: 9s\n", NULL));
	config_fixed_changes(&table, &before, &after, &names);
	assert_int_equal(names.count, 1);
	assert_string_equal(names.items[0], "store.type");
	settings_done(&table, &before);
	settings_done(&table, &after);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(nested_and_dotted_keys_are_the_same),
	    unit_test_in_directory(what_is_wrong_has_a_place_and_help),
	    unit_test_in_directory(shown_reads_back_to_the_same),
	    unit_test_in_directory(secrets_are_first_lines_of_private_files),
	    unit_test_in_directory(sealed_is_the_same_and_cannot_be_changed),
	    unit_test_in_directory(changes_of_fixed_settings_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
