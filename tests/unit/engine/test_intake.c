#include "engine/intake.h"
#include "engine/settle.h"
#include "engine/state.h"
#include "unit_office.h"

#define SHA_LINE ":commit: " COMMIT "\n"
#define FOREIGN  "---\n:version: 3\n:job_id: 1\n:job_type: :build\n" SHA_LINE
#define INVALID  "---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: x\n"

/* Counts how often it was asked; fails as long as it is told to. */
static int probes;
static bool tools_missing;

static bool
check(const void *config, bool probe, struct failure *why)
{
	(void)config;
	probes += probe;
	return !tools_missing || fail(why, FAILURE_SANDBOX, "no bubblewrap");
}

static const struct worker_program program = {
    .name = "build-worker", .kind = "build", .type = JOB_BUILD, .check = check};

struct entrance {
	struct office office;
	struct membership membership;
	struct clock_watch clock;
	struct intake intake;
	size_t enough; /* requests until the end */
};

static void
open_entrance(struct entrance *entrance, const struct scripted *script, size_t count)
{
	*entrance = (struct entrance){0};
	office_open(&entrance->office, script, count, 0);
	struct services *services = &entrance->office.site.services;
	entrance->office.site.config.outbox_limit = 10;
	services->program = &program;
	assert_true(state_take(unit_directory, &services->state, NULL));
	membership_init(&entrance->membership, services);
	entrance->membership.worker_id = copy_string("3");
	clock_watch_init(&entrance->clock, services);
	intake_init(&entrance->intake, services, &entrance->clock);
	probes = 0;
	tools_missing = false;
}

static void
close_entrance(struct entrance *entrance)
{
	intake_done(&entrance->intake);
	clock_watch_done(&entrance->clock);
	membership_done(&entrance->membership);
	close_fd(&entrance->office.site.services.state);
	office_close(&entrance->office);
}

static int64_t
turn(void *data)
{
	struct entrance *entrance = data;
	struct intake *intake = &entrance->intake;
	if (!intake->receiving && entrance->office.server.asked >= entrance->enough)
		office_stop(&entrance->office);
	else
		intake_turn(intake, &entrance->membership, &entrance->office.slot, clock_ms());
	return intake_due(intake);
}

static void
ask_once(struct entrance *entrance)
{
	entrance->enough = 1;
	office_run(&entrance->office, turn, entrance);
	office_shut(&entrance->office);
}

/* ---- admission ---- */

static void
expect_refused(struct entrance *entrance, enum failure_code code, const char *part)
{
	int64_t now = clock_ms();
	intake_turn(&entrance->intake, &entrance->membership, &entrance->office.slot, now);
	assert_int_equal(entrance->intake.why.code, code);
	assert_non_null(strstr(entrance->intake.why.message, part));
	assert_false(entrance->intake.receiving);
	/* Looked at again soon, or when an event comes. */
	assert_true(intake_due(&entrance->intake) == -1
	            || intake_due(&entrance->intake) <= now + 5000);
}

static void
no_job_without_being_registered(void **state)
{
	(void)state;
	struct entrance entrance;
	open_entrance(&entrance, NULL, 0);
	free_pointer(&entrance.membership.worker_id);
	expect_refused(&entrance, FAILURE_NETWORK, "not registered");
	fail(&entrance.membership.why, FAILURE_UNAUTHORIZED, "wrong password");
	expect_refused(&entrance, FAILURE_UNAUTHORIZED, "wrong password");
	office_shut(&entrance.office);
	assert_int_equal(entrance.office.server.asked, 0);
	close_entrance(&entrance);
}

static void
no_job_with_a_wrong_clock(void **state)
{
	(void)state;
	struct entrance entrance;
	open_entrance(&entrance, NULL, 0);
	entrance.membership.clock_offset = -6 * 60 * 1000;
	expect_refused(&entrance, FAILURE_CLOCK, "clock");
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

static void
no_job_on_a_full_disk(void **state)
{
	(void)state;
	struct entrance entrance;
	open_entrance(&entrance, NULL, 0);
	entrance.office.site.config.free_bytes = INT64_MAX;
	expect_refused(&entrance, FAILURE_DISK_FULL, "disk.free-bytes");
	entrance.office.site.config.free_bytes = 0;
	entrance.office.site.config.free_inodes = INT64_MAX;
	entrance.intake.due = 0;
	expect_refused(&entrance, FAILURE_DISK_FULL, "disk.free-inodes");
	/* The cache may be on another disk, and that full. */
	entrance.office.site.config.free_inodes = 0;
	entrance.office.site.config.free_bytes = 1;
	entrance.office.site.config.cache_directory = "/proc";
	entrance.intake.due = 0;
	expect_refused(&entrance, FAILURE_DISK_FULL, "in /proc (disk.free-bytes)");
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

/* What is claimed would be nowhere. */
static void
no_job_without_our_state_directory(void **state)
{
	(void)state;
	struct entrance entrance;
	scoped_free char *lock = unit_path("lock");
	open_entrance(&entrance, NULL, 0);
	assert_int_equal(unlink(lock), 0);
	expect_refused(&entrance, FAILURE_NOT_FOUND, "lock was removed");
	unit_write("lock", "");
	entrance.intake.due = 0;
	expect_refused(&entrance, FAILURE_EXISTS, "another's by now");
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

/* Each failure of that kind doubles the rest; whatever else becomes of a job ends it. */
static void
no_job_right_after_one_that_the_store_failed(void **state)
{
	(void)state;
	struct entrance entrance;
	struct job job = {.id = "7", .attempt = 2};
	struct failure away = {.code = FAILURE_NO_BUCKET, .message = "no such bucket"};
	struct failure strange = {.code = FAILURE_REFUSED, .message = "405"};
	struct failure wrong = {.code = FAILURE_EXIT_STATUS, .message = "exit status 3"};
	open_entrance(&entrance, NULL, 0);
	struct intake *intake = &entrance.intake;
	int64_t began = clock_ms();
	intake_heed(intake, &job, &away);
	expect_refused(&entrance, FAILURE_NO_BUCKET, "as job 7.2 did");
	expect_refused(&entrance, FAILURE_NO_BUCKET, "no such bucket");
	assert_true(intake->rest >= began + 30000 && intake->rest <= clock_ms() + 30000);
	intake_heed(intake, &job, &away);
	assert_true(intake->rest >= began + 60000 && intake->rest <= clock_ms() + 60000);
	for (int i = 0; i < 100; i++)
		intake_heed(intake, &job, &away);
	assert_true(intake->rest <= clock_ms() + 600000);
	intake_probe_again(intake);
	assert_int_equal(intake->rest, 0);
	intake_heed(intake, &job, &wrong);
	assert_int_equal(intake->rest, 0);
	intake_heed(intake, &job, &strange);
	expect_refused(&entrance, FAILURE_REFUSED, "405");
	assert_true(intake->rest <= clock_ms() + 30000);
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

static void
no_job_while_too_many_reports_wait(void **state)
{
	(void)state;
	struct entrance entrance;
	open_entrance(&entrance, NULL, 0);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	entrance.office.site.config.outbox_limit = 1;
	assert_true(settle_start(&entrance.office.site.services, &claim, NULL));
	expect_refused(&entrance, FAILURE_NETWORK, "outbox-limit");
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

/* Tools are not looked for before each job, but again and again while they are missing. */
static void
no_job_without_tools(void **state)
{
	(void)state;
	struct entrance entrance;
	struct intake *intake = &entrance.intake;
	open_entrance(&entrance, NULL, 0);
	tools_missing = true;
	expect_refused(&entrance, FAILURE_SANDBOX, "no bubblewrap");
	intake->due = 0;
	expect_refused(&entrance, FAILURE_SANDBOX, "no bubblewrap");
	assert_int_equal(probes, 1);
	intake->due = 0;
	intake->probed -= 30000;
	expect_refused(&entrance, FAILURE_SANDBOX, "no bubblewrap");
	assert_int_equal(probes, 2);
	intake->due = 0;
	tools_missing = false;
	intake_probe_again(intake);
	intake_turn(intake, &entrance.membership, &entrance.office.slot, clock_ms());
	assert_int_equal(probes, 3);
	assert_int_equal(intake->why.code, FAILURE_NONE);
	assert_true(intake->receiving);
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

static void
no_job_while_one_runs(void **state)
{
	(void)state;
	struct entrance entrance;
	open_entrance(&entrance, NULL, 0);
	entrance.office.slot.state = SLOT_RUNNING;
	intake_turn(&entrance.intake, &entrance.membership, &entrance.office.slot, clock_ms());
	assert_false(entrance.intake.receiving);
	entrance.office.slot.state = SLOT_IDLE;
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

/* ---- receiving ---- */

static void
what_comes_is_claimed_on_disk(void **state)
{
	(void)state;
	static const char json[] =
	    "{\"message_id\":\"s-e-c\",\"receipt\":\"r\",\"queue\":\"ci\",\"attempt\":2,"
	    "\"body\":\"---\\n:version: 2\\n:job_id: 1\\n:job_type: :build\\n:commit: " COMMIT
	    "\\n\"}";
	scoped_free char *answer = format("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
	                                  "Connection: close\r\n\r\n%s",
	                                  strlen(json), json);
	const struct scripted script[] = {{.bytes = answer}};
	struct entrance entrance;
	scoped(claim_done) struct claim claim = CLAIM_INIT;
	open_entrance(&entrance, script, 1);
	ask_once(&entrance);
	expect_asked(&entrance.office, 0, "/queue/receive");
	assert_int_equal(intake_take(&entrance.intake, false, &claim, NULL), INTAKE_JOB);
	assert_string_equal(claim.job.id, "1");
	assert_int_equal(claim.job.attempt, 2);
	expect_claims("1-2.json");
	expect_letters("");
	assert_int_equal(intake_take(&entrance.intake, false, &claim, NULL), INTAKE_NOTHING);
	close_entrance(&entrance);
}

static void
nothing_at_once_is_not_asked_for_in_circles(void **state)
{
	(void)state;
	static const struct scripted script[] = {
	    {.bytes = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"}};
	struct entrance entrance;
	open_entrance(&entrance, script, 1);
	int64_t began = clock_ms();
	ask_once(&entrance);
	assert_true(intake_due(&entrance.intake) >= began + 1000);
	close_entrance(&entrance);
}

static void
a_queue_that_fails_is_asked_later(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("500 Internal Server Error")}};
	struct entrance entrance;
	open_entrance(&entrance, script, 1);
	ask_once(&entrance);
	assert_int_equal(entrance.intake.why.code, FAILURE_SERVER);
	assert_int_equal(entrance.intake.backoff.tries, 1);
	close_entrance(&entrance);
}

/* ---- taking what came ---- */

static void
arrive(struct entrance *entrance, const char *body)
{
	entrance->intake.message = (struct queue_message){.body = copy_string(body),
	                                                  .id = copy_string("s-e-c"),
	                                                  .receipt = copy_string("receipt"),
	                                                  .queue = copy_string("ci"),
	                                                  .attempt = 1};
}

/* It comes, is taken, is no job for us, and leaves these letters, of which the first release, if
 * there is one, is so. */
static void
expect_dealt_with(const char *body, bool stopping, const char *letters, int64_t delay)
{
	struct entrance entrance;
	scoped(claim_done) struct claim claim = CLAIM_INIT;
	scoped(outbox_letter_done) struct outbox_letter letter = {0};
	open_entrance(&entrance, NULL, 0);
	entrance.office.site.config.retry_delay = 4000;
	arrive(&entrance, body);
	assert_int_equal(intake_take(&entrance.intake, stopping, &claim, NULL), INTAKE_NOTHING);
	expect_letters(letters);
	expect_claims("");
	if (strstr(letters, "release")) {
		letter = site_letter(&entrance.office.site, OUTBOX_RELEASE);
		assert_true(letter.handback);
		assert_int_equal(letter.delay, delay);
	}
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

static void
what_is_for_others_goes_back(void **state)
{
	(void)state;
	expect_dealt_with(RUN, false, "release (none).1", 30000);
}

static void
what_is_of_another_version_goes_back(void **state)
{
	(void)state;
	expect_dealt_with(FOREIGN, false, "release (none).1", 30000);
}

/* It says that it is a job of which we know more. */
static void
what_is_for_others_touches_nothing_of_ours(void **state)
{
	(void)state;
	struct entrance entrance;
	open_entrance(&entrance, NULL, 0);
	scoped(claim_done) struct claim kept = site_claim(BUILD, 1, 0), none = CLAIM_INIT;
	assert_true(settle_start(&entrance.office.site.services, &kept, NULL));
	arrive(&entrance, RUN);
	assert_int_equal(intake_take(&entrance.intake, false, &none, NULL), INTAKE_NOTHING);
	expect_letters("start 1.1, release (none).1");
	expect_claims("1-1.json");
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

static void
what_comes_while_stopping_goes_back_at_once(void **state)
{
	(void)state;
	expect_dealt_with(BUILD, true, "release (none).1", 0);
}

static void
what_cannot_be_done_is_reported(void **state)
{
	(void)state;
	expect_dealt_with(INVALID, false, "finish 1.1, acknowledge 1.1", 0);
}

static void
what_cannot_be_read_is_parked(void **state)
{
	(void)state;
	expect_dealt_with("\t{", false, "acknowledge (none).1", 0);
}

/* A full disk, say. */
static void
what_cannot_be_claimed_goes_back(void **state)
{
	(void)state;
	struct entrance entrance;
	scoped(claim_done) struct claim claim = CLAIM_INIT;
	scoped_free char *claims = unit_path("claims");
	open_entrance(&entrance, NULL, 0);
	assert_true(tree_remove(AT_FDCWD, claims, NULL));
	arrive(&entrance, BUILD);
	intake_take(&entrance.intake, false, &claim, NULL);
	expect_letters("release 1.1");
	assert_true(entrance.intake.rest >= clock_ms() + 29000);
	/* Not to come here again and again: others have the time to take it. */
	expect_refused(&entrance, FAILURE_NOT_FOUND, "as job 1.1 did");
	office_shut(&entrance.office);
	close_entrance(&entrance);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(no_job_without_being_registered),
	    unit_test_in_directory(no_job_with_a_wrong_clock),
	    unit_test_in_directory(no_job_on_a_full_disk),
	    unit_test_in_directory(no_job_without_our_state_directory),
	    unit_test_in_directory(no_job_right_after_one_that_the_store_failed),
	    unit_test_in_directory(no_job_while_too_many_reports_wait),
	    unit_test_in_directory(no_job_without_tools),
	    unit_test_in_directory(no_job_while_one_runs),
	    unit_test_in_directory(what_comes_is_claimed_on_disk),
	    unit_test_in_directory(nothing_at_once_is_not_asked_for_in_circles),
	    unit_test_in_directory(a_queue_that_fails_is_asked_later),
	    unit_test_in_directory(what_is_for_others_goes_back),
	    unit_test_in_directory(what_is_of_another_version_goes_back),
	    unit_test_in_directory(what_is_for_others_touches_nothing_of_ours),
	    unit_test_in_directory(what_comes_while_stopping_goes_back_at_once),
	    unit_test_in_directory(what_cannot_be_done_is_reported),
	    unit_test_in_directory(what_cannot_be_read_is_parked),
	    unit_test_in_directory(what_cannot_be_claimed_goes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
