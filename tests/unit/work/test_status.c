#include "outside/json.h"
#include "unit.h"
#include "unit_directory.h"
#include "work/status.h"

static struct json_t *
parse(const char *text)
{
	struct json_t *object = NULL;
	assert_true(js_parse(text, strlen(text), &object, NULL));
	return object;
}

static void
an_idle_worker_has_no_job(void **state)
{
	(void)state;
	const struct status status = {.worker = "run-worker",
	                              .name = "host/2",
	                              .state = "idle",
	                              .waiting = "no \"room\"",
	                              .outbox = 3,
	                              .parked = 1,
	                              .ambiguous = 6,
	                              .healed = 7,
	                              .succeeded = 4,
	                              .failed = 5,
	                              .handed_back = 6,
	                              .lost = 7};
	scoped_free char *text = status_text(&status);
	scoped_free char *wanted = format(
	    "{\"worker\":\"host/2\",\"program\":\"run-worker\",\"pid\":%d,\"version\":"
	    "\"" MOOLLOY_VERSION "\",\"state\":\"idle\",\"why\":\"no \\\"room\\\"\","
	    "\"registered\":false,\"outbox\":3,\"parked\":1,\"ambiguous\":6,\"healed\":7,"
	    "\"counters\":{"
	    "\"succeeded\":4,"
	    "\"failed\":5,\"handed_back\":6,\"lost\":7}}",
	    (int)getpid());
	assert_string_equal(text, wanted);
}

static void
a_running_job_is_described(void **state)
{
	(void)state;
	char id[] = "12", commit[] = "ab";
	const struct job job = {.id = id, .attempt = 2, .type = JOB_RUN, .commit = commit};
	struct status status = {.worker = "run-worker",
	                        .name = "host",
	                        .state = "running",
	                        .worker_id = "7",
	                        .unheard = "refused",
	                        .job = &job,
	                        .step = "fetch jar",
	                        .done = 10,
	                        .total = 40,
	                        .unit = "bytes",
	                        .trouble = "away",
	                        .since = 1795508550000};
	scoped_free char *text = status_text(&status);
	assert_non_null(strstr(text, "\"registered\":true,\"worker_id\":\"7\","
	                             "\"dashboard_why\":\"refused\","));
	assert_non_null(strstr(
	    text, "\"job\":{\"id\":\"12\",\"attempt\":2,\"type\":\"run\",\"commit\":\"ab\","
		  "\"step\":\"fetch jar\",\"progress\":{\"done\":10,\"total\":40,"
		  "\"unit\":\"bytes\"},\"trouble\":\"away\",\"since\":\"2026-11-24T08:22:30Z\"}"));
	assert_null(strstr(text, "\"why\""));
	/* Before it told anything. */
	status.step = NULL;
	status.done = status.total = 0;
	scoped_free char *early = status_text(&status);
	assert_null(strstr(early, "\"step\""));
	assert_null(strstr(early, "\"progress\""));
}

static void
the_file_is_replaced_whole(void **state)
{
	(void)state;
	scoped_free char *path = unit_path("run-worker@2.json");
	for (int i = 0; i < 2; i++) {
		scoped(text_done) struct text text = TEXT_INIT;
		scoped_free char *status = format("{\"n\":%d}", i);
		assert_true(status_publish(unit_directory, "run-worker@2", status, NULL));
		assert_true(file_read(AT_FDCWD, path, 1000, &text, NULL));
		assert_true(ends_with(text_string(&text), "\"}\n"));
		scoped(js_drop) struct json_t *object = parse(text_string(&text));
		int64_t n = -1;
		assert_true(js_integer(object, "n", &n));
		assert_int_equal(n, i);
		assert_int_equal(strlen(js_string(object, "updated")), 20);
	}
	scoped(strings_done) struct strings names = STRINGS_INIT;
	assert_true(directory_list(AT_FDCWD, unit_directory, &names, NULL));
	assert_int_equal(names.count, 1);
	struct failure why = FAILURE_INIT;
	assert_false(status_publish("/nonexistent", "run-worker", "{\"n\":1}", &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_idle_worker_has_no_job),
	    cmocka_unit_test(a_running_job_is_described),
	    unit_test_in_directory(the_file_is_replaced_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
