#include "base/scoped.h"
#include <stdlib.h>

#include "outside/json.h"
#include "unit.h"
#include "work/report.h"

static char id[] = "3", key[] = "results/3-2.tar.zst", sha[] = "ab", by[] = "proc";
static const struct reporter reporter = {.worker = "host/1", .secret = "s-e-c"};

static void
a_start_tells_the_attempt(void **state)
{
	(void)state;
	const struct job job = {.id = id, .attempt = 2};
	scoped_free char *body = report_start(&reporter, &job);
	assert_string_equal(body, "{\"attempt\":2,\"worker\":\"host/1\"}");
}

static void
a_good_build_has_the_old_fields_first(void **state)
{
	(void)state;
	const struct job job = {.id = id, .type = JOB_BUILD, .attempt = 2};
	const struct outcome outcome = {.success = true, .result_key = key, .jar_sha256 = sha};
	scoped_free char *body = report_finish(&reporter, &job, &outcome);
	assert_string_equal(body, "{\"secret_key\":\"s-e-c\",\"return_code\":0,"
	                          "\"result_s3_key\":\"results/3-2.tar.zst\",\"attempt\":2,"
	                          "\"worker\":\"host/1\",\"jar_sha256\":\"ab\"}");
}

static void
a_run_has_its_verdict_in_the_old_order(void **state)
{
	(void)state;
	const struct job job = {.id = id, .type = JOB_RUN, .attempt = 1};
	struct outcome outcome = {.success = true,
	                          .return_code = 3,
	                          .result_key = key,
	                          .wall_seconds = 0.5,
	                          .cpu_seconds = 0.25,
	                          .max_rss_bytes = 7,
	                          .measured_by = by};
	fail(&outcome.why, FAILURE_EXIT_STATUS, "moolloy ended with exit status 3");
	scoped_free char *body = report_finish(&reporter, &job, &outcome);
	assert_non_null(strstr(body, "{\"secret_key\":\"s-e-c\",\"return_code\":3,\"correct\":0,"
	                             "\"real_time_seconds\":0.5,\"cpu_time_seconds\":0.25,"
	                             "\"result_s3_key\":\"results/3-2.tar.zst\","));
	assert_non_null(strstr(body, "\"failure\":\"exit-status\""));
	assert_non_null(strstr(body, "\"max_rss_bytes\":7,\"measured_by\":\"proc\""));
}

static void
a_failure_never_says_0(void **state)
{
	(void)state;
	const struct job job = {.id = id, .type = JOB_BUILD, .attempt = 1};
	struct outcome outcome = {.return_code = 0};
	fail(&outcome.why, FAILURE_NO_ARTIFACT, "the build left no x.jar");
	failure_set_details(&outcome.why, "log\n", 4);
	outcome.why.step = "upload";
	scoped_free char *body = report_finish(&reporter, &job, &outcome);
	assert_string_equal(body,
	                    "{\"secret_key\":\"s-e-c\",\"return_code\":255,"
	                    "\"error_message\":\"the build left no x.jar\","
	                    "\"error_details\":\"log\\n\",\"attempt\":1,\"worker\":\"host/1\","
	                    "\"failure\":\"no-artifact\",\"step\":\"upload\"}");
	failure_done(&outcome.why);
}

static void
a_verdict_survives_a_failed_upload(void **state)
{
	(void)state;
	const struct job job = {.id = id, .type = JOB_RUN, .attempt = 1};
	struct outcome outcome = {
	    .return_code = 0, .correct = true, .wall_seconds = 2, .cpu_seconds = 1};
	fail(&outcome.why, FAILURE_NETWORK, "the store is gone");
	scoped_free char *body = report_finish(&reporter, &job, &outcome);
	assert_non_null(
	    strstr(body, "\"return_code\":255,\"correct\":1,\"real_time_seconds\":2.0"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_start_tells_the_attempt),
	    cmocka_unit_test(a_good_build_has_the_old_fields_first),
	    cmocka_unit_test(a_run_has_its_verdict_in_the_old_order),
	    cmocka_unit_test(a_failure_never_says_0),
	    cmocka_unit_test(a_verdict_survives_a_failed_upload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
