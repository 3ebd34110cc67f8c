#include <sys/stat.h>
#include <unistd.h>

#include "../../../run-worker/config.h"
#include "unit.h"
#include "work/config.h"

static struct run_config config;

static int
set_defaults(void **state)
{
	(void)state;
	config = (struct run_config){0};
	config_init(&run_settings, &config);
	return 0;
}

static int
free_config(void **state)
{
	(void)state;
	settings_done(&run_settings, &config);
	return 0;
}

static void
assert_refused(bool probe, const char *says)
{
	struct failure why = FAILURE_INIT;
	assert_false(run_config_check(&config, probe, &why));
	if (!strstr(why.message, says))
		print_error("%s\n", why.message);
	assert_non_null(strstr(why.message, says));
}

static void
accepts_its_defaults(void **state)
{
	(void)state;
	assert_true(run_config_check(&config, false, NULL));
	assert_int_equal(config.jvm_options.count, 3);
	assert_int_equal(config.worker.queues.count, 3);
	assert_string_equal(config.worker.queues.items[0], "performance");
	assert_false(config.network);
	assert_int_equal(config.timeout, 48LL * 3600 * 1000);
}

static void
refuses_what_cannot_work(void **state)
{
	(void)state;
	strings_add(&config.environment, "NAME=value");
	strings_add(&config.environment, "=value");
	assert_refused(false, "run.environment: '=value'");
	setting_empty(settings_find(&run_settings, "run.environment"), &config);
	setting_empty(settings_find(&run_settings, "queues"), &config);
	assert_refused(false, "queues is empty");
	strings_add(&config.worker.queues, "ci");
	setting_empty(settings_find(&run_settings, "run.java"), &config);
	assert_refused(false, "run.java is empty");
}

static void
looks_for_java_where_the_box_shows_it(void **state)
{
	(void)state;
	char elsewhere[] = "/tmp/test-config-XXXXXX";
	int fd = mkstemp(elsewhere);
	assert_int_equal(fchmod(fd, 0755), 0);
	replace_string(&config.java, elsewhere);
	replace_string(&config.worker.state_directory, "/tmp");
	assert_refused(true, "outside of /usr");
	replace_string(&config.java, "/usr/bin/no-such-java");
	assert_refused(true, "run.java: /usr/bin/no-such-java");
	/* By way of the link /bin or of /etc/alternatives. */
	replace_string(&config.java, "/bin/sh");
	assert_true(run_config_check(&config, true, NULL));
	close(fd);
	unlink(elsewhere);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(accepts_its_defaults, set_defaults, free_config),
	    cmocka_unit_test_setup_teardown(refuses_what_cannot_work, set_defaults, free_config),
	    cmocka_unit_test_setup_teardown(looks_for_java_where_the_box_shows_it, set_defaults,
	                                    free_config),
	};
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
