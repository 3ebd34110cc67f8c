#include "outside/json.h"
#include "unit.h"
#include "unit_directory.h"
#include "work/outcome.h"

static int
directory(void)
{
	int fd = -1;
	assert_true(directory_open(AT_FDCWD, unit_directory, &fd, NULL));
	return fd;
}

static void
fill(struct outcome *outcome)
{
	*outcome = (struct outcome){.success = true,
	                            .return_code = 139,
	                            .result_key = copy_string("results/3-2.tar.zst"),
	                            .jar_sha256 = copy_string("ab"),
	                            .result_sha256 = copy_string("cd"),
	                            .correct = true,
	                            .wall_seconds = 0.6770076310001514,
	                            .cpu_seconds = 0.375803,
	                            .max_rss_bytes = 5LL << 30,
	                            .measured_by = copy_string("cgroup"),
	                            .populated = copy_string("populated_model.tar.bz2"),
	                            .timings = js_object()};
	js_set_real(outcome->timings, "verify", 0.5);
	js_set_real(outcome->timings, "fetch jar", 1.25);
	fail(&outcome->why, FAILURE_WRONG_SOLUTIONS, "2 of 3 \"solutions\" match");
	failure_set_details(&outcome->why, "line\n\ttab \xff\n", 12);
	outcome->why.step = "compare";
}

static void
all_of_it_comes_back(void **state)
{
	(void)state;
	scoped_fd int fd = directory();
	scoped(outcome_done) struct outcome outcome, again = OUTCOME_INIT;
	fill(&outcome);
	assert_true(outcome_write(&outcome, fd, NULL));
	assert_true(outcome_read(fd, &again, NULL));
	assert_true(again.success && again.correct);
	assert_int_equal(again.return_code, 139);
	assert_string_equal(again.result_key, "results/3-2.tar.zst");
	assert_string_equal(again.jar_sha256, "ab");
	assert_string_equal(again.result_sha256, "cd");
	assert_true(again.wall_seconds > 0.677007631 && again.wall_seconds < 0.677007632);
	assert_true(again.cpu_seconds > 0.375802 && again.cpu_seconds < 0.375804);
	assert_true(again.max_rss_bytes == 5LL << 30);
	assert_string_equal(again.measured_by, "cgroup");
	assert_string_equal(again.populated, "populated_model.tar.bz2");
	scoped_free char *timings = js_text(again.timings);
	assert_string_equal(timings, "{\"verify\":0.5,\"fetch jar\":1.25}");
	assert_int_equal(again.why.code, FAILURE_WRONG_SOLUTIONS);
	assert_false(again.why.retryable);
	assert_string_equal(again.why.step, "compare");
	assert_string_equal(again.why.message, outcome.why.message);
	assert_string_equal(again.why.details, outcome.why.details);
}

static void
the_least_comes_back(void **state)
{
	(void)state;
	scoped_fd int fd = directory();
	scoped(outcome_done) struct outcome outcome = OUTCOME_INIT, again = OUTCOME_INIT;
	fail(&outcome.why, FAILURE_NETWORK, "gone");
	assert_true(outcome_write(&outcome, fd, NULL));
	assert_true(outcome_read(fd, &again, NULL));
	assert_false(again.success || again.correct);
	assert_int_equal(again.return_code, RETURN_CODE_NONE);
	assert_null(again.result_key);
	assert_null(again.populated);
	assert_null(again.timings);
	assert_true(again.why.retryable);
	assert_null(again.why.step);
	assert_null(again.why.details);
}

static void
none_is_not_found(void **state)
{
	(void)state;
	scoped_fd int fd = directory();
	struct outcome outcome = OUTCOME_INIT;
	struct failure why = FAILURE_INIT;
	assert_false(outcome_read(fd, &outcome, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
}

static void
a_damaged_one_is_refused(void **state)
{
	(void)state;
	static const char *const damaged[] = {"", "{\"success\":tr", "[]", "{\"success\":true}x"};
	scoped_fd int fd = directory();
	for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
		struct outcome outcome = OUTCOME_INIT;
		struct failure why = FAILURE_INIT;
		unit_write(OUTCOME_FILE, damaged[i]);
		assert_false(outcome_read(fd, &outcome, &why));
		assert_int_equal(why.code, FAILURE_BAD_ANSWER);
	}
}

static void
strange_failures_are_internal(void **state)
{
	(void)state;
	static const char *const strange[] = {
	    "{\"success\":false,\"failure\":{\"code\":\"of-tomorrow\",\"message\":\"m\"}}",
	    "{\"success\":false,\"failure\":{\"message\":\"m\"}}",
	    "{\"success\":false,\"failure\":{\"code\":\"none\"}}",
	    "{\"success\":false,\"failure\":7}",
	    "{\"success\":false}",
	    "{\"success\":1}",
	    "{}",
	};
	scoped_fd int fd = directory();
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
		scoped(outcome_done) struct outcome outcome = OUTCOME_INIT;
		unit_write(OUTCOME_FILE, strange[i]);
		assert_true(outcome_read(fd, &outcome, NULL));
		assert_false(outcome.success);
		assert_int_equal(outcome.why.code, FAILURE_INTERNAL);
	}
}

static void
values_of_another_type_are_absent(void **state)
{
	(void)state;
	scoped_fd int fd = directory();
	scoped(outcome_done) struct outcome outcome = OUTCOME_INIT;
	unit_write(OUTCOME_FILE, "{\"success\":true,\"return_code\":\"0\",\"result_key\":1,"
	                         "\"correct\":1,\"wall_seconds\":\"x\",\"timings\":[1]}");
	assert_true(outcome_read(fd, &outcome, NULL));
	assert_int_equal(outcome.return_code, RETURN_CODE_NONE);
	assert_null(outcome.result_key);
	assert_false(outcome.correct);
	assert_true(outcome.wall_seconds == 0);
	assert_null(outcome.timings);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(all_of_it_comes_back),
	    unit_test_in_directory(the_least_comes_back),
	    unit_test_in_directory(none_is_not_found),
	    unit_test_in_directory(a_damaged_one_is_refused),
	    unit_test_in_directory(strange_failures_are_internal),
	    unit_test_in_directory(values_of_another_type_are_absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
