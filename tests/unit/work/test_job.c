#include "base/scoped.h"
#include "unit.h"
#include "work/job.h"

#define COMMIT "287a688f338d5d8c7b27b8915629893721a1fcac"
#define BUILD  "---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: " COMMIT "\n"
#define RUN                                                                                        \
	"---\n:version: 2\n:job_id: 2\n:job_type: :run\n:commit: " COMMIT "\n:model_id: 1\n"       \
	":jar_file_key: builds/" COMMIT ".jar\n:model_file_key: models/9cbd95.tar.bz2\n"

static enum job_reading
read_message(const char *body, struct job *job, struct failure *why)
{
	return job_read_message(body, strlen(body), job, why);
}

static void
the_existing_dashboards_build(void **state)
{
	(void)state;
	struct job job;
	assert_int_equal(read_message(BUILD, &job, NULL), JOB_OURS);
	assert_int_equal(job.type, JOB_BUILD);
	assert_string_equal(job.id, "1");
	assert_string_equal(job.commit, COMMIT);
	job_done(&job);
}

static void
the_existing_dashboards_run(void **state)
{
	(void)state;
	struct job job;
	assert_int_equal(read_message(RUN ":algorithm: GIA\n", &job, NULL), JOB_OURS);
	assert_int_equal(job.type, JOB_RUN);
	assert_string_equal(job.model_id, "1");
	assert_string_equal(job.jar_key, "builds/" COMMIT ".jar");
	assert_string_equal(job.model_key, "models/9cbd95.tar.bz2");
	assert_string_equal(job.algorithm, "GIA");
	assert_null(job.jar_sha256);
	job_done(&job);
	/* 2013's libyaml wrote null with a blank, later ones without. */
	assert_int_equal(read_message(RUN ":algorithm: \n", &job, NULL), JOB_OURS);
	assert_null(job.algorithm);
	job_done(&job);
}

static void
quoted_digits_stay_text(void **state)
{
	(void)state;
	struct job job;
	assert_int_equal(read_message("---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: "
	                              "'1234567890123456789012345678901234567890'\n",
	                              &job, NULL),
	                 JOB_OURS);
	assert_string_equal(job.commit, "1234567890123456789012345678901234567890");
	job_done(&job);
	assert_int_equal(read_message("---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: "
	                              "12345678901234567890123456789012345678e9\n",
	                              &job, NULL),
	                 JOB_OURS);
	assert_string_equal(job.commit, "12345678901234567890123456789012345678e9");
	job_done(&job);
}

static void
json_and_upper_case_are_read(void **state)
{
	(void)state;
	struct job job;
	assert_int_equal(
	    read_message("{\"version\":2,\"job_id\":\"a_7\",\"job_type\":\"build\",\"commit\":"
	                 "\"287A688F338D5D8C7B27B8915629893721A1FCAC\"}",
	                 &job, NULL),
	    JOB_OURS);
	assert_string_equal(job.id, "a_7");
	assert_string_equal(job.commit, COMMIT);
	job_done(&job);
}

static void
other_versions_are_for_others(void **state)
{
	(void)state;
	static const char *const foreign[] = {
	    "---\n:version: 1\n:job_id: 1\n",
	    "---\n:job_id: 1\n",
	    "---\n:version:\n",
	    "a: b\n",
	    "---\n:version: 3\n:job_type: :dance\n",
	    "",
	};
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		struct job job;
		assert_int_equal(read_message(foreign[i], &job, NULL), JOB_FOREIGN);
		job_done(&job);
	}
}

static void
invalid_fields_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *body, *field;
		bool has_id;
	} rows[] = {
	    {":version: 2\n:job_type: :build\n:commit: " COMMIT "\n", "job_id", false},
	    {":version: 2\n:job_id: ../x\n:job_type: :build\n:commit: " COMMIT "\n", "job_id",
	     false},
	    {":version: 2\n:job_id: -x\n:job_type: :build\n:commit: " COMMIT "\n", "job_id", false},
	    {":version: 2\n:job_id: 1\n:job_type: :dance\n:commit: " COMMIT "\n", "job_type", true},
	    {":version: 2\n:job_id: 1\n:job_type: :build\n:commit: master\n", "commit", true},
	    {":version: 2\n:job_id: 1\n:job_type: :build\n:commit: '; rm -rf /'\n", "commit", true},
	    {":version: 2\n:job_id: 1\n:job_type: :build\n", "commit", true},
	    {":version: 2\n:job_id: 1\n:job_type: :run\n:commit: " COMMIT "\n:jar_file_key:\n",
	     "jar_file_key", true},
	    {RUN ":algorithm: --help\n", "algorithm", true},
	    {":version: 2\n:job_id: 1\n:job_type: :run\n:commit: " COMMIT "\n:jar_file_key: ../x\n",
	     "jar_file_key", true},
	    {RUN ":jar_sha256: short\n", "jar_sha256", true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct job job;
		struct failure why = FAILURE_INIT;
		assert_int_equal(read_message(rows[i].body, &job, &why), JOB_INVALID);
		assert_int_equal(why.code, FAILURE_BAD_MESSAGE);
		assert_non_null(strstr(why.message, rows[i].field));
		assert_int_equal(job.id != NULL, rows[i].has_id);
		job_done(&job);
	}
}

static void
nonsense_is_unreadable(void **state)
{
	(void)state;
	static const char *const nonsense[] = {"- a\n- b\n", "word",     "{",
	                                       "a: [",       "\x01\x02", "a: *b\n"};
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		struct job job;
		struct failure why = FAILURE_INIT;
		assert_int_equal(read_message(nonsense[i], &job, &why), JOB_UNREADABLE);
		assert_true(why.message[0] != '\0');
		job_done(&job);
	}
}

static void
the_runners_form_round_trips(void **state)
{
	(void)state;
	struct job job, again;
	struct failure why = FAILURE_INIT;
	assert_int_equal(read_message(RUN ":algorithm: OGIA\n", &job, NULL), JOB_OURS);
	job.attempt = 3;
	scoped_free char *text = job_write(&job);
	assert_true(job_read(text, strlen(text), &again, &why));
	assert_int_equal(again.attempt, 3);
	assert_int_equal(again.type, JOB_RUN);
	assert_string_equal(again.jar_key, job.jar_key);
	assert_string_equal(again.algorithm, "OGIA");
	job_done(&again);
	job_done(&job);
	assert_false(job_read("{}", 2, &again, &why));
	assert_int_equal(why.code, FAILURE_BAD_MESSAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_existing_dashboards_build),
	    cmocka_unit_test(the_existing_dashboards_run),
	    cmocka_unit_test(quoted_digits_stay_text),
	    cmocka_unit_test(json_and_upper_case_are_read),
	    cmocka_unit_test(other_versions_are_for_others),
	    cmocka_unit_test(invalid_fields_are_named),
	    cmocka_unit_test(nonsense_is_unreadable),
	    cmocka_unit_test(the_runners_form_round_trips),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
