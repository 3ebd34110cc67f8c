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

/* The existing dashboard's numbers in the contract's example, and all of ours behind them. */
static void
a_whole_run_to_the_byte(void **state)
{
	(void)state;
	const struct job job = {.id = id, .type = JOB_RUN, .attempt = 2};
	struct outcome outcome = {.success = true,
	                          .correct = true,
	                          .result_key = key,
	                          .jar_sha256 = sha,
	                          .result_sha256 = by,
	                          .wall_seconds = 0.6770076310001514,
	                          .cpu_seconds = 0.375803,
	                          .max_rss_bytes = 5LL << 30,
	                          .measured_by = by,
	                          .timings = js_object()};
	js_set_real(outcome.timings, "fetch jar", 0.25);
	js_set_real(outcome.timings, "execute", 1);
	scoped_free char *body = report_finish(&reporter, &job, &outcome);
	assert_string_equal(
	    body, "{\"secret_key\":\"s-e-c\",\"return_code\":0,\"correct\":1,"
		  "\"real_time_seconds\":0.677007631000151,\"cpu_time_seconds\":0.375803,"
		  "\"result_s3_key\":\"results/3-2.tar.zst\",\"attempt\":2,\"worker\":\"host/1\","
		  "\"jar_sha256\":\"ab\",\"result_sha256\":\"proc\","
		  "\"timings\":{\"fetch jar\":0.25,\"execute\":1.0},"
		  "\"max_rss_bytes\":5368709120,\"measured_by\":\"proc\"}");
	/* The report only looked at them. */
	scoped_free char *timings = js_text(outcome.timings);
	assert_string_equal(timings, "{\"fetch jar\":0.25,\"execute\":1.0}");
	js_drop(&outcome.timings);
}

/* A run that never ran has neither times nor correctness to tell. */
static void
a_run_without_a_verdict_tells_none(void **state)
{
	(void)state;
	const struct job job = {.id = id, .type = JOB_RUN, .attempt = 1};
	struct outcome outcome = OUTCOME_INIT;
	fail(&outcome.why, FAILURE_HASH_MISMATCH, "x hashes to a, not to b");
	scoped_free char *body = report_finish(&reporter, &job, &outcome);
	assert_non_null(strstr(body, "\"return_code\":255,\"error_message\":"));
	assert_null(strstr(body, "correct"));
	assert_null(strstr(body, "seconds"));
	assert_null(strstr(body, "max_rss"));
}

static void
bytes_of_a_log_are_valid_json(void **state)
{
	(void)state;
	const struct job job = {.id = id, .type = JOB_BUILD, .attempt = 1};
	static const char log[] = "\x1b[1m100 %\xff\0&a[b]=\n";
	struct outcome outcome = {.return_code = 1};
	scoped(js_drop) struct json_t *object = NULL;
	fail(&outcome.why, FAILURE_COMMAND, "ant: \xff\"%%\"");
	failure_set_details(&outcome.why, log, sizeof log - 1);
	scoped_free char *body = report_finish(&reporter, &job, &outcome);
	assert_true(js_parse(body, strlen(body), &object, NULL));
	assert_non_null(strstr(js_string(object, "error_details"), "100 %"));
	assert_non_null(strstr(js_string(object, "error_details"), "&a[b]=\n"));
	failure_done(&outcome.why);
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
	    cmocka_unit_test(a_whole_run_to_the_byte),
	    cmocka_unit_test(a_run_without_a_verdict_tells_none),
	    cmocka_unit_test(bytes_of_a_log_are_valid_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
