#include <sys/stat.h>

#include "unit.h"
#include "unit_directory.h"
#include "work/config.h"

struct config {
	char *type, *path, *name;
	int64_t wait, size, count;
	bool network;
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
    {.name = "name", .type = SETTING_STRING, .offset = AT(name), .help = "The name."},
    {.name = "size",
     .type = SETTING_SIZE,
     .offset = AT(size),
     .standard = "1GiB",
     .help = "How large."},
    {.name = "count",
     .type = SETTING_NUMBER,
     .offset = AT(count),
     .standard = "5",
     .min = 1,
     .max = 10,
     .help = "How many."},
    {.name = "network",
     .type = SETTING_BOOL,
     .offset = AT(network),
     .standard = "no",
     .help = "Whether."},
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
settings_of_others_are_passed_over(void **state)
{
	(void)state;
	struct config config = {0};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_free char *path = unit_path("c.yaml");
	config_init(&table, &config);
	unit_write("c.yaml", "run.timeout: [1, 2]\nstore.type: b\nhorse: fast\n");
	assert_true(config_read_known(&table, &config, path, NULL));
	assert_string_equal(config.type, "b");
	/* But not what is spelt wrongly. */
	unit_write("c.yaml", "run.timeout: 1s\nstore.typ: b\n");
	assert_false(config_read_known(&table, &config, path, &why));
	assert_non_null(strstr(why.message, "c.yaml:2: store.typ: unknown setting (did you mean"));
	settings_done(&table, &config);
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
	    {"wait: 5s\nwait: 6s\n", "c.yaml:2: wait stands there twice"},
	    {"wait: 5\n", "c.yaml:1: wait: "},
	    {"wait: ''\n", "How long."},
	    {"wait: soon\n", "How long."},
	    {"wait: 5s\nsize: -1\n", "c.yaml:2: size: "},
	    {"size: 1Gigabyte\n", "How large."},
	    {"size: 99999999999GiB\n", "How large."},
	    {"count: 0\n", "c.yaml:1: count: 0 is not within 1 to 10. How many."},
	    {"count: 11\n", "c.yaml:1: count: 11 is not within 1 to 10. How many."},
	    {"count: 1.5\n", "How many."},
	    {"count: ~\n", "c.yaml:1: count: "},
	    {"network: maybe\n", "c.yaml:1: network: 'maybe' is neither yes nor no. Whether."},
	    {"network:\n", "Whether."},
	    {"name: [a]\n", "c.yaml:1: name: one value is needed, not a list. The name."},
	    {"name: \"a\\nb\"\n", "c.yaml:1: name: control characters are not allowed"},
	    {"name: |\n  a\n", "name: control characters are not allowed"},
	    {"name: \"\\e[1m\"\n", "name: control characters are not allowed"},
	    {"queues:\n  - a\n  -\n", "queues: an item of the list is empty"},
	    {"queues: [a, '']\n", "c.yaml:1: queues: an item of the list is empty"},
	    {"queues: [a, ~]\n", "c.yaml:1: queues: an item of the list is empty"},
	    {"queues: [[a]]\n", "c.yaml:1: a list may hold plain values only"},
	    {"queues: {a: 1}\n", "c.yaml:1: queues.a: unknown setting"},
	    {"store: a\n", "c.yaml:1: store: unknown setting"},
	    {"store:\n  type: a\n  pth: /x\n",
	     "c.yaml:3: store.pth: unknown setting (did you mean store.path? The place.)"},
	    {"store.type: a\nstore: {type: b}\n", "c.yaml:2: store.type stands there twice"},
	    {"password-file: [a]\n", "c.yaml:1: password-file: one value is needed"},
	    {"wait: &a 5s\n", "c.yaml:1: anchors and tags are not allowed"},
	    {"wait 5s\n", "c.yaml:1: "},
	    {"name: x\n\twait: 5s\n", "c.yaml:2: "},
	    {"---\nwait: 5s\n---\nwait: 5s\n", "c.yaml:3: a second document is not allowed"},
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
what_is_not_there_is_not_found(void **state)
{
	(void)state;
	struct config config = {0};
	struct failure why = FAILURE_INIT;
	scoped_free char *path = unit_path("none.yaml");
	config_init(&table, &config);
	assert_false(config_read_file(&table, &config, path, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
	settings_done(&table, &config);
}

static void
a_later_file_wins_where_it_speaks(void **state)
{
	(void)state;
	struct config config;
	scoped_free char *more = unit_path("more.yaml");
	assert_true(
	    read_text(&config, "count: 7\nname: a\nqueues: [p, q]\nstore.path: /x\n", NULL));
	unit_write("more.yaml", "# only this\nname: b\nqueues: [r]\nstore.path:\n");
	assert_true(config_read_file(&table, &config, more, NULL));
	assert_int_equal(config.count, 7);
	assert_string_equal(config.name, "b");
	assert_int_equal(config.queues.count, 1);
	assert_string_equal(config.queues.items[0], "r");
	assert_null(config.path);
	settings_done(&table, &config);
	assert_true(read_text(&config, "", NULL));
	assert_int_equal(config.count, 5);
	assert_int_equal(config.queues.count, 2);
	settings_done(&table, &config);
}

static void
expect_same(const struct config *config, const struct config *again)
{
	assert_true(strings_equal(again->type, config->type));
	assert_true(strings_equal(again->name, config->name));
	assert_true(strings_equal(again->path, config->path));
	assert_true(strings_equal(again->password.path, config->password.path));
	assert_true(strings_equal(again->password.value, config->password.value));
	assert_true(again->wait == config->wait && again->size == config->size
	            && again->count == config->count && again->network == config->network);
	assert_int_equal(again->queues.count, config->queues.count);
	for (size_t i = 0; i < config->queues.count; i++)
		assert_string_equal(again->queues.items[i], config->queues.items[i]);
}

/* Defaults, and values that YAML takes for something else unless quoted. */
static const char *const of_every_kind[] = {
    "",
    "name: 'null'\n",
    "name: ''\nqueues: []\n",
    "name: '~'\n",
    "name: '# no comment'\n",
    "name: '[x]'\nqueues: ['null', '~', '{a: b}', 'a,b', \"tab\\there\", '\\n', '\"']\n",
    "name: '!tag'\nqueues: ['*a', '&a', '%a', '`a', '@a', '|', '>', '?', '- a', ' a ']\n",
    "name: =\nqueues: ['a: b', 'a #b', 'a#b', 'http://[::1]:80/', \"it's\", \"'\"]\n",
    "name: \xc3\xa9t\xc3\xa9\nwait: 1500ms\nsize: 1025\ncount: 10\nnetwork: yes\n",
    "password-file: '/a b/c'\nstore: {type: b, path: '/a: b'}\n",
};
#define KINDS (sizeof of_every_kind / sizeof *of_every_kind)

static void
every_kind_reads_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct config config, again;
		assert_true(read_text(&config, of_every_kind[i], NULL));
		scoped_free char *shown = config_show(&table, &config);
		assert_true(read_text(&again, shown, NULL));
		scoped_free char *shown_again = config_show(&table, &again);
		assert_string_equal(shown_again, shown);
		expect_same(&config, &again);
		settings_done(&table, &config);
		settings_done(&table, &again);
	}
}

static void
every_kind_is_sealed_as_it_is(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct config config, again = {0};
		scoped_fd int fd = -1;
		assert_true(read_text(&config, of_every_kind[i], NULL));
		assert_true(config_seal(&table, &config, &fd, NULL));
		assert_true(config_unseal(&table, &again, fd, NULL));
		expect_same(&config, &again);
		settings_done(&table, &config);
		settings_done(&table, &again);
	}
}

static void
a_seal_holds(void **state)
{
	(void)state;
	struct config config;
	scoped_fd int fd = -1;
	assert_true(read_text(&config, "", NULL));
	assert_true(config_seal(&table, &config, &fd, NULL));
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	settings_done(&table, &config);
}

static void
a_seal_that_is_none_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
	    "",
	    "{\"wait\":",
	    "{\"wait\":\"9h\"}",
	    "{\"queues\":\"a\",\"count\":\"many\"}",
	};
	scoped_free char *path = unit_path("sealed");
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct config config = {0};
		struct failure why = FAILURE_INIT;
		unit_write("sealed", texts[i]);
		scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_false(config_unseal(&table, &config, fd, &why));
		assert_int_not_equal(why.code, FAILURE_NONE);
		settings_done(&table, &config);
	}
}

static void
shown_explains_itself(void **state)
{
	(void)state;
	struct config config;
	assert_true(read_text(&config, "", NULL));
	scoped_free char *shown = config_show(&table, &config);
	assert_true(starts_with(shown, "# The kind. (one of: a b; a change needs a restart)\n"
	                               "store.type: a\n\n"
	                               "# The place. (absolute path)\nstore.path:\n\n"));
	assert_non_null(strstr(shown, "# How long. (duration, 1s to 1m)\nwait: 5s\n"));
	assert_non_null(strstr(shown, "queues:\n  - x\n  - y\n"));
	settings_done(&table, &config);
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
expect_no_secret(const char *content, mode_t mode, const char *says)
{
	struct config config;
	struct failure why = FAILURE_INIT;
	assert_false(read_secret(&config, content, mode, &why));
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	assert_true(starts_with(why.message, "password-file: "));
	assert_non_null(strstr(why.message, says));
	assert_null(config.password.value);
	settings_done(&table, &config);
}

static void
expect_secret(const char *content, mode_t mode, const char *secret)
{
	struct config config;
	assert_true(read_secret(&config, content, mode, NULL));
	assert_string_equal(config.password.value, secret);
	settings_done(&table, &config);
}

static void
what_is_a_secret(void **state)
{
	(void)state;
	scoped(text_done) struct text large = TEXT_INIT;
	while (large.length <= 4096)
		text_add_string(&large, "0123456789");
	expect_secret("s3cret\r\n", 0640, "s3cret");
	expect_secret(" s3 cret ", 0400, " s3 cret ");
	expect_no_secret("", 0600, "its first line is empty");
	expect_no_secret("\ns3cret\n", 0600, "its first line is empty");
	expect_no_secret("s3cret\n", 0604, "can be read by everyone: chmod o-r it");
	expect_no_secret(text_string(&large), 0600, "more than 4096 bytes");
}

static void
a_secret_that_is_not_there_is_told_of(void **state)
{
	(void)state;
	struct config config;
	struct failure why = FAILURE_INIT;
	assert_true(read_text(&config, "password-file: /nonexistent/secret\n", NULL));
	assert_false(config_read_secrets(&table, &config, &why));
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	assert_true(starts_with(why.message, "password-file: "));
	assert_non_null(strstr(why.message, "/nonexistent/secret"));
	settings_done(&table, &config);
	/* None configured, none needed. */
	assert_true(read_text(&config, "name: x\n", NULL));
	assert_true(config_read_secrets(&table, &config, &why));
	assert_null(config.password.value);
	settings_done(&table, &config);
}

static void
a_binary_file_is_no_secret(void **state)
{
	(void)state;
	struct config config;
	struct failure why = FAILURE_INIT;
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *path = unit_path("secret");
	scoped_free char *yaml = format("password-file: %s\n", path);
	text_add(&text, "s\0e\0c\0\n", 8);
	assert_true(file_replace(AT_FDCWD, path, &text, 0600, NULL));
	assert_true(read_text(&config, yaml, NULL));
	assert_false(config_read_secrets(&table, &config, &why));
	assert_non_null(strstr(why.message, "NUL"));
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
	assert_null(again.password.value);
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
	    unit_test_in_directory(settings_of_others_are_passed_over),
	    unit_test_in_directory(what_is_wrong_has_a_place_and_help),
	    unit_test_in_directory(what_is_not_there_is_not_found),
	    unit_test_in_directory(a_later_file_wins_where_it_speaks),
	    unit_test_in_directory(every_kind_reads_back),
	    unit_test_in_directory(every_kind_is_sealed_as_it_is),
	    unit_test_in_directory(a_seal_holds),
	    unit_test_in_directory(a_seal_that_is_none_is_refused),
	    unit_test_in_directory(shown_explains_itself),
	    unit_test_in_directory(what_is_a_secret),
	    unit_test_in_directory(a_secret_that_is_not_there_is_told_of),
	    unit_test_in_directory(a_binary_file_is_no_secret),
	    unit_test_in_directory(shown_reads_back_to_the_same),
	    unit_test_in_directory(secrets_are_first_lines_of_private_files),
	    unit_test_in_directory(sealed_is_the_same_and_cannot_be_changed),
	    unit_test_in_directory(changes_of_fixed_settings_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
