#include "engine/settle.h"
#include "unit_letters.h"

static struct outcome
success(void)
{
	return (struct outcome){.success = true,
	                        .result_key = copy_string("builds/x.jar"),
	                        .jar_sha256 = copy_string("ab")};
}

static struct outcome
failure_of(enum failure_code code)
{
	struct outcome outcome = OUTCOME_INIT;
	fail(&outcome.why, code, "it went wrong");
	outcome.why.step = "upload";
	return outcome;
}

/* Settles a job of that message so; what became of it. Frees the outcome. */
static enum settled
settle(struct site *site, struct claim *claim, struct outcome outcome)
{
	enum settled settled;
	scoped(outcome_done) struct outcome owned = outcome;
	scoped_free char *directory = site_directory(claim, &owned);
	assert_true(settle_outcome(&site->services, claim, &owned, directory, &settled, NULL));
	/* A failed job's is kept. */
	assert_int_equal(file_exists(AT_FDCWD, directory), settled != SETTLED_SUCCEEDED);
	return settled;
}

static void
a_success_is_reported_and_acknowledged(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 2, 0);
	assert_true(settle_start(&site.services, &claim, NULL));
	expect_letters("start 1.2");
	expect_claims("1-2.json");
	assert_int_equal(settle(&site, &claim, success()), SETTLED_SUCCEEDED);
	expect_letters("start 1.2, finish 1.2, acknowledge 1.2");
	expect_claims("");
	struct outbox_letter letter = site_letter(&site, OUTBOX_START);
	assert_string_equal(letter.path, "/jobs/1/start");
	assert_string_equal(letter.body, "{\"attempt\":2,\"worker\":\"host/1\"}");
	outbox_letter_done(&letter);
	letter = site_letter(&site, OUTBOX_FINISH);
	assert_string_equal(letter.path, "/jobs/1/finish");
	assert_string_equal(letter.body,
	                    "{\"secret_key\":\"s-e-c\",\"return_code\":0,\"result_s3_key\":"
	                    "\"builds/x.jar\",\"attempt\":2,\"worker\":\"host/1\","
	                    "\"jar_sha256\":\"ab\"}");
	outbox_letter_done(&letter);
	letter = site_letter(&site, OUTBOX_ACKNOWLEDGE);
	assert_string_equal(letter.receipt, "receipt");
	outbox_letter_done(&letter);
	site_close(&site);
}

static void
a_job_that_failed_is_reported_at_once(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	assert_int_equal(settle(&site, &claim, failure_of(FAILURE_COMMAND)), SETTLED_FAILED);
	expect_letters("finish 1.1, acknowledge 1.1");
	expect_claims("");
	struct outbox_letter letter = site_letter(&site, OUTBOX_FINISH);
	assert_non_null(strstr(letter.body, "\"return_code\":255,\"error_message\":"
	                                    "\"it went wrong\",\"error_details\":\"\""));
	assert_non_null(strstr(letter.body, "\"failure\":\"command\",\"step\":\"upload\""));
	outbox_letter_done(&letter);
	site_close(&site);
}

static void
a_bad_result_is_a_result(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(RUN, 1, 0);
	struct outcome outcome = failure_of(FAILURE_EXIT_STATUS);
	outcome.success = true;
	outcome.return_code = 3;
	assert_int_equal(settle(&site, &claim, outcome), SETTLED_SUCCEEDED);
	expect_letters("finish 1.1, acknowledge 1.1");
	site_close(&site);
}

static void
expect_release(struct site *site, int64_t delay, bool handback)
{
	struct outbox_letter letter = site_letter(site, OUTBOX_RELEASE);
	assert_string_equal(letter.receipt, "receipt");
	assert_int_equal(letter.delay, delay);
	assert_int_equal(letter.handback, handback);
	outbox_letter_done(&letter);
}

/* The world's fault is tried again, as often as max-attempts says; what was handed back untried
 * does not count. */
static void
tries_that_count_are_counted(void **state)
{
	(void)state;
	static const struct {
		int attempt, handbacks;
		enum failure_code code;
		enum settled settled;
	} rows[] = {
	    {1, 0, FAILURE_NETWORK, SETTLED_HANDED_BACK},
	    {2, 0, FAILURE_NETWORK, SETTLED_HANDED_BACK},
	    {3, 0, FAILURE_NETWORK, SETTLED_FAILED},
	    {4, 0, FAILURE_NETWORK, SETTLED_FAILED},
	    {3, 1, FAILURE_NETWORK, SETTLED_HANDED_BACK},
	    {9, 7, FAILURE_RUNNER_LOST, SETTLED_HANDED_BACK},
	    {9, 6, FAILURE_RUNNER_LOST, SETTLED_FAILED},
	    {1, 0, FAILURE_COMMAND, SETTLED_FAILED},
	    {1, 0, FAILURE_INTERNAL, SETTLED_FAILED},
	    {1, 0, FAILURE_CANCELLED, SETTLED_FAILED},
	    {9, 0, FAILURE_HANDED_BACK, SETTLED_HANDED_BACK},
	    {9, 0, FAILURE_CLOCK, SETTLED_HANDED_BACK},
	    {9, 0, FAILURE_LEASE_LOST, SETTLED_LOST},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct site site;
		site_open(&site);
		scoped(claim_done) struct claim claim = site_claim(BUILD, rows[i].attempt,
		                                                   rows[i].handbacks);
		assert_int_equal(settle(&site, &claim, failure_of(rows[i].code)), rows[i].settled);
		expect_claims("");
		outbox_forget(site.services.outbox, "1", rows[i].attempt);
		site_close(&site);
	}
}

static void
the_worlds_fault_goes_back_to_the_queue(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	settle(&site, &claim, failure_of(FAILURE_NETWORK));
	expect_letters("release 1.1");
	expect_release(&site, 30000, false);
	site_close(&site);
}

static void
an_untried_job_goes_back_uncounted(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	settle(&site, &claim, failure_of(FAILURE_HANDED_BACK));
	expect_letters("release 1.1");
	expect_release(&site, 0, true);
	expect_claims("");
	site_close(&site);
}

/* The queue need not wait for a dashboard that is away: of its start nobody need hear any more. */
static void
what_goes_back_waits_for_no_start(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	assert_true(settle_start(&site.services, &claim, NULL));
	settle(&site, &claim, failure_of(FAILURE_HANDED_BACK));
	expect_letters("release 1.1");
	site_close(&site);
}

static void
a_job_that_met_a_wrong_clock_goes_back_uncounted(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	settle(&site, &claim, failure_of(FAILURE_CLOCK));
	expect_letters("release 1.1");
	expect_release(&site, 30000, true);
	site_close(&site);
}

static void
a_lost_job_is_forgotten(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	assert_true(settle_start(&site.services, &claim, NULL));
	settle(&site, &claim, failure_of(FAILURE_LEASE_LOST));
	expect_letters("");
	expect_claims("");
	site_close(&site);
}

static struct outcome
populated(void)
{
	struct outcome outcome = success();
	outcome.populated = copy_string("populated_model.tar.bz2");
	return outcome;
}

static void
a_populated_model_goes_before_the_report(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(RUN, 1, 0);
	scoped(outcome_done) struct outcome outcome = populated();
	scoped_free char *directory = site_directory(&claim, &outcome);
	enum settled settled;
	unit_write("jobs/1-1/populated_model.tar.bz2", "BZh");
	assert_true(settle_outcome(&site.services, &claim, &outcome, directory, &settled, NULL));
	expect_letters("upload 1.1, finish 1.1, acknowledge 1.1");
	assert_false(file_exists(AT_FDCWD, directory));
	struct outbox_letter letter = site_letter(&site, OUTBOX_UPLOAD);
	scoped(text_done) struct text bytes = TEXT_INIT;
	assert_string_equal(letter.model, "4");
	assert_true(file_read(AT_FDCWD, letter.file, 100, &bytes, NULL));
	assert_string_equal(text_string(&bytes), "BZh");
	outbox_letter_done(&letter);
	site_close(&site);
}

/* A crash came when upload and finish lay in the outbox, the acknowledgement not yet. */
static void
settling_again_repeats_nothing(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(RUN, 1, 0);
	scoped(outcome_done) struct outcome outcome = populated();
	scoped_free char *directory = site_directory(&claim, &outcome);
	enum settled settled;
	unit_write("jobs/1-1/populated_model.tar.bz2", "BZh");
	unit_write("outbox/0000000000000001-1-1-finish.json", "{}");
	site_reopen(&site);
	assert_true(settle_outcome(&site.services, &claim, &outcome, directory, &settled, NULL));
	expect_letters("finish 1.1, upload 1.1, acknowledge 1.1");
	/* Another attempt is another report. */
	scoped(claim_done) struct claim next = site_claim(RUN, 2, 0);
	assert_int_equal(settle(&site, &next, success()), SETTLED_SUCCEEDED);
	expect_letters("finish 1.1, upload 1.1, acknowledge 1.1, finish 1.2, acknowledge 1.2");
	site_close(&site);
}

static void
a_bad_message_is_reported_where_it_names_its_job(void **state)
{
	(void)state;
	struct site site;
	struct failure why_not = FAILURE_INIT;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	assert_true(claim_remove(unit_directory, &claim, NULL));
	fail(&why_not, FAILURE_BAD_MESSAGE, "the job's commit is invalid: 'master'");
	assert_true(settle_bad_message(&site.services, &claim, &why_not, NULL));
	expect_letters("finish 1.1, acknowledge 1.1");
	struct outbox_letter letter = site_letter(&site, OUTBOX_FINISH);
	assert_non_null(strstr(letter.body, "\"return_code\":255,\"error_message\":"
	                                    "\"the job's commit is invalid: 'master'\""));
	assert_non_null(strstr(letter.body, "\"failure\":\"bad-message\""));
	outbox_letter_done(&letter);
	site_close(&site);
}

static void
a_message_without_a_job_is_parked(void **state)
{
	(void)state;
	struct site site;
	struct failure why_not = FAILURE_INIT;
	site_open(&site);
	scoped(claim_done) struct claim claim = {.message = {.body = copy_string("- not\n- ours\n"),
	                                                     .id = copy_string("m"),
	                                                     .receipt = copy_string("receipt"),
	                                                     .attempt = 7}};
	fail(&why_not, FAILURE_BAD_MESSAGE, "line 1: keys with values are expected");
	assert_true(settle_bad_message(&site.services, &claim, &why_not, NULL));
	expect_letters("acknowledge (none).7");
	assert_int_equal(outbox_parked(site.services.outbox), 1);
	site_close(&site);
}

static void
a_message_for_others_goes_back(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = {.message = {.body = copy_string(":version: 1\n"),
	                                                     .id = copy_string("m"),
	                                                     .receipt = copy_string("receipt"),
	                                                     .attempt = 1}};
	assert_true(settle_refuse(&site.services, &claim, 5000, NULL));
	expect_letters("release (none).1");
	expect_release(&site, 5000, true);
	site_close(&site);
}

/* Without its letters on disk a job is not settled: the claim stays. */
static void
a_full_disk_keeps_the_claim(void **state)
{
	(void)state;
	struct site site;
	struct failure why = FAILURE_INIT;
	enum settled settled;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	scoped(outcome_done) struct outcome outcome = success();
	scoped_free char *directory = site_directory(&claim, &outcome);
	scoped_free char *gone = unit_path("outbox");
	assert_true(tree_remove(AT_FDCWD, gone, NULL));
	assert_false(settle_outcome(&site.services, &claim, &outcome, directory, &settled, &why));
	assert_int_not_equal(why.code, FAILURE_NONE);
	expect_claims("1-1.json");
	assert_true(file_exists(AT_FDCWD, directory));
	site_close(&site);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(a_success_is_reported_and_acknowledged),
	    unit_test_in_directory(a_job_that_failed_is_reported_at_once),
	    unit_test_in_directory(a_bad_result_is_a_result),
	    unit_test_in_directory(tries_that_count_are_counted),
	    unit_test_in_directory(the_worlds_fault_goes_back_to_the_queue),
	    unit_test_in_directory(an_untried_job_goes_back_uncounted),
	    unit_test_in_directory(what_goes_back_waits_for_no_start),
	    unit_test_in_directory(a_job_that_met_a_wrong_clock_goes_back_uncounted),
	    unit_test_in_directory(a_lost_job_is_forgotten),
	    unit_test_in_directory(a_populated_model_goes_before_the_report),
	    unit_test_in_directory(settling_again_repeats_nothing),
	    unit_test_in_directory(a_bad_message_is_reported_where_it_names_its_job),
	    unit_test_in_directory(a_message_without_a_job_is_parked),
	    unit_test_in_directory(a_message_for_others_goes_back),
	    unit_test_in_directory(a_full_disk_keeps_the_claim),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
