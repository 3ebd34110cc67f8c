#include "engine/reconcile.h"
#include "unit_letters.h"

static struct outcome
success(void)
{
	return (struct outcome){.success = true, .result_key = copy_string("builds/x.jar")};
}

/* A claim in the state of which the worker died, and its directory. */
static void
leave(const char *body, int attempt, struct outcome *outcome)
{
	scoped(claim_done) struct claim claim = site_claim(body, attempt, 0);
	scoped_free char *directory = site_directory(&claim, outcome);
	if (outcome)
		outcome_done(outcome);
}

static void
nothing_left_is_nothing_to_do(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("");
	site_close(&site);
}

/* A long run is not lost because the manager died after the upload. */
static void
an_outcome_that_was_left_is_reported(void **state)
{
	(void)state;
	struct site site;
	struct outcome outcome = success();
	site_open(&site);
	leave(BUILD, 1, &outcome);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("finish 1.1, acknowledge 1.1");
	expect_claims("");
	struct outbox_letter letter = site_letter(&site, OUTBOX_FINISH);
	assert_true(starts_with(letter.body, "{\"secret_key\":\"s-e-c\",\"return_code\":0,"));
	outbox_letter_done(&letter);
	site_close(&site);
}

static void
a_failure_that_was_left_is_settled_as_ever(void **state)
{
	(void)state;
	struct site site;
	struct outcome outcome = OUTCOME_INIT, again = OUTCOME_INIT;
	site_open(&site);
	fail(&outcome.why, FAILURE_COMMAND, "ant dist: exit 1");
	leave(BUILD, 1, &outcome);
	fail(&again.why, FAILURE_NETWORK, "the store is gone");
	leave(BUILD, 2, &again);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("finish 1.1, acknowledge 1.1, release 1.2");
	expect_claims("");
	site_close(&site);
}

static void
without_an_outcome_the_job_goes_back(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	leave(BUILD, 2, NULL);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("release 1.2");
	expect_claims("");
	/* It was tried: that counts. */
	struct outbox_letter letter = site_letter(&site, OUTBOX_RELEASE);
	assert_false(letter.handback);
	outbox_letter_done(&letter);
	site_close(&site);
}

static void
one_that_never_began_goes_back_too(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("release 1.1");
	site_close(&site);
}

static void
a_job_that_kills_its_worker_ends_some_day(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	leave(BUILD, 3, NULL);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("finish 1.3, acknowledge 1.3");
	struct outbox_letter letter = site_letter(&site, OUTBOX_FINISH);
	assert_non_null(strstr(letter.body, "\"failure\":\"runner-lost\""));
	outbox_letter_done(&letter);
	site_close(&site);
}

static void
a_damaged_outcome_is_none(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	leave(BUILD, 1, NULL);
	unit_write("jobs/1-1/" OUTCOME_FILE, "{\"success\":tr");
	assert_true(reconcile(&site.services, NULL));
	expect_letters("release 1.1");
	site_close(&site);
}

/* The worker was killed while it stopped the job. */
static void
what_was_stopped_is_not_cancelled(void **state)
{
	(void)state;
	struct site site;
	struct outcome outcome = OUTCOME_INIT;
	site_open(&site);
	fail(&outcome.why, FAILURE_CANCELLED, "stopped before upload");
	leave(BUILD, 1, &outcome);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("release 1.1");
	expect_claims("");
	site_close(&site);
}

/* ---- claims of which the queue knows nothing any more ---- */

/* Has it a directory, it began. */
static void
leave_kept(int attempt, bool began, struct outcome *outcome)
{
	scoped(claim_done) struct claim claim = site_claim(BUILD, attempt, 0);
	claim.kept = true;
	assert_true(claim_write(unit_directory, &claim, NULL));
	if (began)
		free(site_directory(&claim, outcome));
	if (outcome)
		outcome_done(outcome);
}

static void
a_kept_claim_goes_on_as_the_next_attempt(void **state)
{
	(void)state;
	struct site site;
	scoped(claim_done) struct claim claim = CLAIM_INIT;
	site_open(&site);
	leave_kept(1, true, NULL);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("");
	expect_claims("1-2.json");
	assert_true(claim_read(unit_directory, "1-2.json", &claim, NULL));
	assert_true(claim.kept);
	assert_int_equal(claim.message.handbacks, 0);
	/* It waits to be begun, however often the worker starts. */
	assert_true(reconcile(&site.services, NULL));
	expect_claims("1-2.json");
	site_close(&site);
}

static void
a_kept_claim_with_an_outcome_is_reported(void **state)
{
	(void)state;
	struct site site;
	struct outcome outcome = success();
	site_open(&site);
	leave_kept(1, true, &outcome);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("finish 1.1, acknowledge 1.1");
	expect_claims("");
	site_close(&site);
}

static void
a_kept_claim_that_kills_its_worker_ends_some_day(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	leave_kept(3, true, NULL);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("finish 1.3, acknowledge 1.3");
	expect_claims("");
	site_close(&site);
}

/* The crash came between the next attempt's claim and the removal of this one. */
static void
what_was_renewed_is_not_renewed_again(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	leave_kept(1, true, NULL);
	leave_kept(2, false, NULL);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("");
	expect_claims("1-2.json");
	site_close(&site);
}

/* The crash came between the last letter and the claim's removal. */
static void
what_was_settled_is_not_settled_again(void **state)
{
	(void)state;
	struct site site;
	struct outcome outcome = success();
	site_open(&site);
	leave(BUILD, 1, &outcome);
	leave(BUILD, 2, NULL);
	unit_write("outbox/0000000000000001-1-1-finish.json", "{}");
	unit_write("outbox/0000000000000002-1-1-acknowledge.json", "{\"receipt\":\"receipt\"}");
	unit_write("outbox/0000000000000003-1-2-release.json", "{\"receipt\":\"receipt\"}");
	site_reopen(&site);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("finish 1.1, acknowledge 1.1, release 1.2");
	expect_claims("");
	site_close(&site);
}

static void
half_settled_is_completed(void **state)
{
	(void)state;
	struct site site;
	struct outcome outcome = success();
	site_open(&site);
	leave(BUILD, 1, &outcome);
	unit_write("outbox/0000000000000001-1-1-finish.json", "{}");
	site_reopen(&site);
	assert_true(reconcile(&site.services, NULL));
	expect_letters("finish 1.1, acknowledge 1.1");
	expect_claims("");
	site_close(&site);
}

static void
one_that_cannot_be_read_stops_no_other(void **state)
{
	(void)state;
	struct site site;
	site_open(&site);
	leave(BUILD, 1, NULL);
	unit_write("claims/0-1.json", "{\"body\":");
	unit_write("claims/zzz", "");
	unit_write("claims/.1-9.json.tmp", "{");
	assert_true(reconcile(&site.services, NULL));
	expect_letters("release 1.1");
	expect_claims("");
	scoped_free char *half = unit_path("claims/.1-9.json.tmp");
	assert_false(file_exists(AT_FDCWD, half));
	scoped_free char *first = unit_path("parked/claim-0-1.json");
	scoped_free char *second = unit_path("parked/claim-zzz");
	assert_true(file_exists(AT_FDCWD, first) && file_exists(AT_FDCWD, second));
	assert_int_equal(outbox_parked(site.services.outbox), 1);
	site_close(&site);
}

static bool
stays(const char *directory)
{
	scoped_free char *path = unit_path(directory);
	return file_exists(AT_FDCWD, path);
}

/* The crash came right before the directory was removed. */
static void
directories_of_jobs_that_are_done_go(void **state)
{
	(void)state;
	struct site site;
	struct outcome good = success();
	scoped(outcome_done) struct outcome bad = OUTCOME_INIT;
	fail(&bad.why, FAILURE_COMMAND, "ant: exit status 1");
	site_open(&site);
	leave(BUILD, 1, &good);
	leave(BUILD, 2, &bad);
	leave(BUILD, 3, NULL);
	for (int attempt = 1; attempt <= 3; attempt++) {
		scoped_free char *claim = format("%s/claims/1-%d.json", unit_directory, attempt);
		assert_true(file_remove(AT_FDCWD, claim, NULL));
	}
	unit_write("jobs/a file", "of somebody else");
	assert_true(reconcile(&site.services, NULL));
	expect_letters("");
	assert_false(stays("jobs/1-1"));
	assert_true(stays("jobs/1-2") && stays("jobs/1-3") && stays("jobs/a file"));
	site_close(&site);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(nothing_left_is_nothing_to_do),
	    unit_test_in_directory(an_outcome_that_was_left_is_reported),
	    unit_test_in_directory(a_failure_that_was_left_is_settled_as_ever),
	    unit_test_in_directory(without_an_outcome_the_job_goes_back),
	    unit_test_in_directory(one_that_never_began_goes_back_too),
	    unit_test_in_directory(a_job_that_kills_its_worker_ends_some_day),
	    unit_test_in_directory(a_damaged_outcome_is_none),
	    unit_test_in_directory(what_was_stopped_is_not_cancelled),
	    unit_test_in_directory(a_kept_claim_goes_on_as_the_next_attempt),
	    unit_test_in_directory(a_kept_claim_with_an_outcome_is_reported),
	    unit_test_in_directory(a_kept_claim_that_kills_its_worker_ends_some_day),
	    unit_test_in_directory(what_was_renewed_is_not_renewed_again),
	    unit_test_in_directory(what_was_settled_is_not_settled_again),
	    unit_test_in_directory(half_settled_is_completed),
	    unit_test_in_directory(one_that_cannot_be_read_stops_no_other),
	    unit_test_in_directory(directories_of_jobs_that_are_done_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
