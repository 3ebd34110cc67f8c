#include "base/scoped.h"
#include "base/text.h"
#include "unit.h"
#include "work/job.h"

#define COMMIT      "287a688f338d5d8c7b27b8915629893721a1fcac"
#define COMMIT_REST "0123456789abcdef01234567" /* to 64 digits */
#define BUILD       "---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: " COMMIT "\n"
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

#define MODEL "models/9cbd95da72f1274e496d4a7d823b0106f51838c4621879d7379e69a97bca2c21.tar.bz2"

/* To the byte as the contract has it, and with the line that our dashboard adds. */
static void
a_run_to_the_byte(void **state)
{
	(void)state;
	static const char sha[] =
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	static const char body[] = "---\n:version: 2\n:job_id: 2\n:job_type: :run\n"
				   ":commit: 287a688f338d5d8c7b27b8915629893721a1fcac\n"
				   ":model_id: 1\n:jar_file_key: builds/" COMMIT ".jar\n"
				   ":model_file_key: " MODEL "\n:algorithm: GIA\n";
	scoped_free char *ours = format("%s:jar_sha256: %s\n", body, sha);
	struct job job;
	assert_int_equal(read_message(body, &job, NULL), JOB_OURS);
	assert_string_equal(job.model_key, MODEL);
	assert_int_equal(job.attempt, 1);
	job_done(&job);
	assert_int_equal(read_message(ours, &job, NULL), JOB_OURS);
	assert_string_equal(job.jar_sha256, sha);
	job_done(&job);
}

static void
expect_id(const char *written, const char *id)
{
	struct job job;
	scoped_free char *body = format(
	    "---\n:version: 2\n:job_id: %s\n:job_type: :build\n:commit: " COMMIT "\n", written);
	assert_int_equal(read_message(body, &job, NULL), id ? JOB_OURS : JOB_INVALID);
	if (id)
		assert_string_equal(job.id, id);
	else
		assert_null(job.id);
	job_done(&job);
}

/* How Ruby's Psych writes text that looks like something else. */
static void
what_is_quoted_stays_text(void **state)
{
	(void)state;
	expect_id("'0b1'", "0b1");
	expect_id("'0x12'", "0x12");
	expect_id("'12_3'", "12_3");
	expect_id("'true'", "true");
	expect_id("'null'", "null");
	expect_id("'2026-11-24'", "2026-11-24");
	expect_id("\"7\"", "7");
	expect_id("1e9", "1e9");
	expect_id("0017", "0017");
	expect_id(":x", "x");
	expect_id("true", "true");
	expect_id("|-\n  12", "12");
	/* Text all the same, but no id. */
	expect_id("':x'", NULL);
	expect_id("'1.5'", NULL);
	expect_id("'a: b'", NULL);
	expect_id("'x #y'", NULL);
	expect_id("''", NULL);
	expect_id("\"@x\"", NULL);
	expect_id("\"- x\"", NULL);
	expect_id("|-\n  1\n  2", NULL);
	expect_id("~", NULL);
	expect_id("null", NULL);
	expect_id("", NULL);
}

#define TEN "0123456789"

static void
an_id_is_a_safe_name(void **state)
{
	(void)state;
	static const char *const unsafe[] = {
	    "..",       ".",     "/x",     "a/b",        "-x",
	    "--help",   "a b",   "'a\tb'", "\"\\e[1m\"", "\"a\\nb\"",
	    "\xc3\xa9", "a%2fb", "a\\b",   "a?b",        TEN TEN TEN TEN TEN TEN "12345",
	};
	for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++)
		expect_id(unsafe[i], NULL);
	expect_id(TEN TEN TEN TEN TEN TEN "1234", TEN TEN TEN TEN TEN TEN "1234");
	expect_id("_a-B-9", "_a-B-9");
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
	assert_int_equal(
	    read_message(
		"{\"version\": \"2\", \"job_type\": \"run\", \"job_id\": 12,\n \"commit\": "
		"\"" COMMIT COMMIT_REST "\", \"model_id\": null, \"jar_file_key\": "
		"\"builds/x.jar\", \"model_file_key\": \"models\\/m.tar.gz\", "
		"\"unknown\": [1, 2], \"more\": {\"a\": 1}, \"algorithm\": \"null\"}\n",
		&job, NULL),
	    JOB_OURS);
	assert_int_equal(job.type, JOB_RUN);
	assert_string_equal(job.id, "12");
	assert_string_equal(job.commit, COMMIT COMMIT_REST);
	assert_null(job.model_id);
	assert_string_equal(job.model_key, "models/m.tar.gz");
	assert_string_equal(job.algorithm, "null");
	job_done(&job);
}

static void
other_versions_are_for_others(void **state)
{
	(void)state;
	static const char *const foreign[] = {
	    "---\n:version: 1\n:job_id: 1\n",
	    "---\n:version: 1\n:job_id: ../../1\n",
	    "---\n:version: 2.0\n:job_id: 1\n",
	    "---\n:version: :v2\n",
	    "---\n:version: [2]\n",
	    "{}",
	    "---\n",
	    "---\n:job_id: 1\n",
	    "---\n:version:\n",
	    "a: b\n",
	    "---\n:version: 3\n:job_type: :dance\n",
	    "",
	};
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		struct job job;
		assert_int_equal(read_message(foreign[i], &job, NULL), JOB_FOREIGN);
		/* Its fields mean what that version says: none is taken. */
		assert_null(job.id);
		assert_null(job.commit);
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
	    {":version: 2\n:job_id: [1]\n:job_type: :build\n:commit: " COMMIT "\n", "job_id",
	     false},
	    {":version: 2\n:job_id: 1\n:commit: " COMMIT "\n", "job_type", true},
	    {":version: 2\n:job_id: 1\n:job_type: :build\n:commit: " COMMIT "0\n", "commit", true},
	    {":version: 2\n:job_id: 1\n:job_type: :build\n:commit: |-\n  " COMMIT "\n  x\n",
	     "commit", true},
	    {":version: 2\n:job_id: 1\n:job_type: :run\n:commit: " COMMIT
	     "\n:jar_file_key: a b\n:model_file_key: m\n",
	     "jar_file_key", true},
	    {":version: 2\n:job_id: 1\n:job_type: :run\n:commit: " COMMIT "\n:jar_file_key: j\n",
	     "model_file_key", true},
	    {":version: 2\n:job_id: 1\n:job_type: :run\n:commit: " COMMIT
	     "\n:jar_file_key: j\n:model_file_key: m\n:model_id: ../7\n",
	     "model_id", true},
	    {RUN ":algorithm: GIAGIAGIAGIAGIAGIA\n", "algorithm", true},
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
	static const char *const nonsense[] = {
	    "- a\n- b\n",
	    "word",
	    "{",
	    "a: [",
	    "\x01\x02",
	    "a: *b\n",
	    ":job_id: ../1\n{",
	    ":job_id: 1\n:job_id: 2\n",
	    "a: \xff\n",
	    "---\n:version: 2\n---\n:version: 2\n",
	    ":version: !ruby/object 2\n",
	};
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		struct job job;
		struct failure why = FAILURE_INIT;
		assert_int_equal(read_message(nonsense[i], &job, &why), JOB_UNREADABLE);
		assert_true(why.message[0] != '\0');
		assert_int_equal(why.code, FAILURE_BAD_MESSAGE);
		assert_null(job.id);
		job_done(&job);
	}
}

static void
bytes_that_are_no_text_are_unreadable(void **state)
{
	(void)state;
	static const char nul[] = ":version: 2\n:job_id: 1\n:commit: a\0b\n";
	struct job job;
	struct failure why = FAILURE_INIT;
	assert_int_equal(job_read_message(nul, sizeof nul - 1, &job, &why), JOB_UNREADABLE);
	job_done(&job);
	/* The length counts, whatever comes after. */
	assert_int_equal(job_read_message(BUILD "junk: [", sizeof BUILD - 1, &job, &why), JOB_OURS);
	job_done(&job);
	scoped(text_done) struct text large = TEXT_INIT;
	text_add_string(&large, BUILD);
	while (large.length <= 64 * 1024)
		text_add_string(&large, "# more\n");
	assert_int_equal(job_read_message(large.bytes, large.length, &job, &why), JOB_UNREADABLE);
	job_done(&job);
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
	assert_string_equal(again.id, "2");
	assert_string_equal(again.commit, COMMIT);
	assert_string_equal(again.jar_key, job.jar_key);
	assert_string_equal(again.model_id, "1");
	assert_string_equal(again.model_key, job.model_key);
	assert_string_equal(again.algorithm, "OGIA");
	assert_null(again.jar_sha256);
	job_done(&again);
	job_done(&job);
}

#define WRITTEN(ID, TYPE, COMMIT_, MORE)                                                           \
	"{\"id\":\"" ID "\",\"type\":\"" TYPE "\",\"commit\":\"" COMMIT_ "\"" MORE "}"

static void
the_runners_form_is_checked_too(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum failure_code code;
	} rows[] = {
	    {"", FAILURE_BAD_ANSWER},
	    {"[]", FAILURE_BAD_MESSAGE},
	    {"{}", FAILURE_BAD_MESSAGE},
	    {WRITTEN("1", "build", "master", ""), FAILURE_BAD_MESSAGE},
	    {WRITTEN("../1", "build", COMMIT, ""), FAILURE_BAD_MESSAGE},
	    {WRITTEN("1", "dance", COMMIT, ""), FAILURE_BAD_MESSAGE},
	    {WRITTEN("1", "run", COMMIT, ""), FAILURE_BAD_MESSAGE},
	    {WRITTEN("1", "build", COMMIT, ",\"attempt\":0"), FAILURE_BAD_MESSAGE},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct job job;
		struct failure why = FAILURE_INIT;
		assert_false(job_read(rows[i].text, strlen(rows[i].text), &job, &why));
		assert_int_equal(why.code, rows[i].code);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_existing_dashboards_build),
	    cmocka_unit_test(the_existing_dashboards_run),
	    cmocka_unit_test(a_run_to_the_byte),
	    cmocka_unit_test(what_is_quoted_stays_text),
	    cmocka_unit_test(an_id_is_a_safe_name),
	    cmocka_unit_test(quoted_digits_stay_text),
	    cmocka_unit_test(json_and_upper_case_are_read),
	    cmocka_unit_test(other_versions_are_for_others),
	    cmocka_unit_test(invalid_fields_are_named),
	    cmocka_unit_test(nonsense_is_unreadable),
	    cmocka_unit_test(bytes_that_are_no_text_are_unreadable),
	    cmocka_unit_test(the_runners_form_round_trips),
	    cmocka_unit_test(the_runners_form_is_checked_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
