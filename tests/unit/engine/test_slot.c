#include <sys/stat.h>

#include "base/clock.h"
#include "engine/slot.h"
#include "outside/json.h"
#include "unit.h"
#include "unit_directory.h"
#include "work/config.h"
#include "work/workspace.h"

#define PATIENCE 20000
#define COMMIT   "287a688f338d5d8c7b27b8915629893721a1fcac"

struct config {
	char *word;
	struct secret secret;
};

static const struct setting rows[] = {
    {.name = "word",
     .type = SETTING_STRING,
     .offset = offsetof(struct config, word),
     .help = "A word."},
    {.name = "secret-file",
     .type = SETTING_SECRET,
     .offset = offsetof(struct config, secret),
     .help = "A secret."},
};
static const struct settings table = {rows, 2, NULL};
static const struct worker_program program = {.name = "slot-test", .settings = &table};

/* ---- the runner: this program, called as the slot calls it; the job's id says what it does ----
 */

static void
tell(const char *line)
{
	if (!write_all(4, line, strlen(line), NULL))
		_exit(99);
}

/* What a runner was given, all of it: 0, or which part is wrong. */
static int
look_around(int argc, char **argv)
{
	struct config config = {0};
	struct stat about;
	if (argc != 5 || strcmp(argv[0], "moolloy-slot-test") != 0)
		return 10;
	if (strcmp(argv[2], "--sealed-config=3") != 0 || strcmp(argv[3], "--progress=4") != 0
	    || !starts_with(argv[4], "--directory=/") || !ends_with(argv[4], "/jobs/look-1"))
		return 11;
	if (!config_unseal(&table, &config, 3, NULL) || !strings_equal(config.word, "of mine")
	    || config.secret.value)
		return 12;
	settings_done(&table, &config);
	if (getenv("NOTIFY_SOCKET") || getenv("WATCHDOG_USEC") || getenv("LISTEN_FDS"))
		return 13;
	if (!strings_equal(getenv("SLOT_TEST"), "kept")
	    || !strings_equal(getenv("CREDENTIALS_DIRECTORY"), "/run/credentials"))
		return 14;
	if (getsid(0) != getpid() || getpgrp() != getpid())
		return 15;
	sigset_t blocked;
	if (sigprocmask(SIG_BLOCK, NULL, &blocked) < 0 || sigismember(&blocked, SIGTERM))
		return 16;
	return fstat(5, &about) == 0 ? 17 : 0;
}

static int
tell_of_work(const char *directory)
{
	struct outcome outcome = {.success = true};
	scoped_fd int fd = -1;
	tell("{\"step\":\"clone\",\"progress\":{\"done\":1,\"total\":4,\"unit\":\"objects\"}}\n");
	tell("no JSON\n\n{\"step\":");
	tell("\"a step with a name that is much longer than any step has\"}\n");
	tell("{\"step\":\"upload\",\"progress\":{\"done\":7,\"total\":9,\"unit\":\"bytes\"},"
	     "\"trouble\":\"busy\"}\n");
	tell("{\"step\":\"never ends");
	return directory_open(AT_FDCWD, directory, &fd, NULL) && outcome_write(&outcome, fd, NULL)
	           ? 0
	           : 20;
}

static int
tell_too_much(void)
{
	scoped(text_done) struct text text = TEXT_INIT;
	while (text.length < 300000)
		text_add_string(&text, "{\"step\":\"wrong\"} ");
	tell(text_string(&text));
	tell("\n{\"step\":\"right\"}\n");
	return 0;
}

/* Ends at no request; nor does its child, which holds the pipe. */
static int
be_stubborn(void)
{
	signal(SIGTERM, SIG_IGN);
	if (fork() > 0)
		tell("{\"step\":\"stubborn\"}\n");
	while (pause() < 0)
		;
	return 0;
}

static int
be_polite(void)
{
	tell("{\"step\":\"polite\"}\n");
	while (pause() < 0)
		;
	return 0;
}

static int
run_job(int argc, char **argv)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(job_done) struct job job = JOB_INIT;
	if (!read_all(0, 65536, &text, NULL)
	    || !job_read(text_string(&text), text.length, &job, NULL))
		return 98;
	if (strings_equal(job.id, "look"))
		return look_around(argc, argv);
	if (strings_equal(job.id, "work"))
		return tell_of_work(strchr(argv[4], '=') + 1);
	if (strings_equal(job.id, "talk"))
		return tell_too_much();
	if (strings_equal(job.id, "stubborn"))
		return be_stubborn();
	if (strings_equal(job.id, "polite"))
		return be_polite();
	if (strings_equal(job.id, "crash"))
		raise(SIGKILL);
	return 3;
}

/* ---- the manager's side ---- */

struct fixture {
	struct loop *loop;
	struct loop_source *patience, *post;
	struct slot slot;
	struct config config;
	bool (*reached)(struct slot *slot);
	bool late;
};

static void
on_turn(void *data)
{
	struct fixture *fixture = data;
	if (fixture->reached(&fixture->slot))
		loop_stop(fixture->loop);
}

static void
on_late(void *data)
{
	struct fixture *fixture = data;
	fixture->late = true;
	loop_stop(fixture->loop);
}

/* Runs until that is so. */
static void
open_fixture(struct fixture *fixture, bool (*reached)(struct slot *slot))
{
	*fixture = (struct fixture){.reached = reached};
	assert_true(loop_new(&fixture->loop, NULL));
	fixture->patience = loop_timer(fixture->loop, on_late, fixture);
	loop_timer_at(fixture->patience, clock_ms() + PATIENCE);
	fixture->post = loop_post(fixture->loop, on_turn, fixture);
	slot_init(&fixture->slot, fixture->loop);
	fixture->config.word = copy_string("of mine");
	fixture->config.secret.path = copy_string("/nonexistent");
	fixture->config.secret.value = copy_string("s3cret");
}

static void
start(struct fixture *fixture, const char *id)
{
	scoped(claim_done) struct claim claim = {
	    .job = {.id = copy_string(id), .commit = copy_string(COMMIT), .attempt = 1}};
	scoped_free char *directory = NULL;
	struct failure why = FAILURE_INIT;
	assert_true(workspace_make(unit_directory, &claim.job, &directory, NULL));
	if (!slot_start(&fixture->slot, &program, &fixture->config, &claim, directory, &why))
		print_error("%s\n", why.message);
	assert_int_equal(why.code, FAILURE_NONE);
	assert_null(claim.job.id);
	assert_int_equal(fixture->slot.state, SLOT_STARTING);
}

static void
run(struct fixture *fixture)
{
	assert_true(loop_run(fixture->loop, NULL));
	assert_false(fixture->late);
}

static void
close_fixture(struct fixture *fixture)
{
	slot_clear(&fixture->slot);
	assert_int_equal(fixture->slot.state, SLOT_IDLE);
	assert_null(fixture->slot.claim.job.id);
	assert_int_equal(slot_due(&fixture->slot), -1);
	loop_source_drop(&fixture->patience);
	loop_source_drop(&fixture->post);
	loop_free(&fixture->loop);
	settings_done(&table, &fixture->config);
}

static bool
has_ended(struct slot *slot)
{
	return slot->ended;
}

/* Nobody holds the pipe any more either. */
static bool
has_ended_with_all(struct slot *slot)
{
	return slot->ended && !slot->pipe;
}

static void
expect_exit(const struct slot *slot, int code, int status)
{
	assert_int_equal(slot->how.si_code, code);
	assert_int_equal(slot->how.si_status, status);
}

static void
a_runner_gets_what_it_needs_and_no_more(void **state)
{
	(void)state;
	struct fixture fixture;
	setenv("NOTIFY_SOCKET", "/run/notify", 1);
	setenv("LISTEN_FDS", "1", 1);
	setenv("CREDENTIALS_DIRECTORY", "/run/credentials", 1);
	setenv("SLOT_TEST", "kept", 1);
	scoped_fd int other = open("/dev/null", O_RDONLY);
	open_fixture(&fixture, has_ended);
	start(&fixture, "look");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("LISTEN_FDS");
	unsetenv("CREDENTIALS_DIRECTORY");
	run(&fixture);
	expect_exit(&fixture.slot, CLD_EXITED, 0);
	close_fixture(&fixture);
}

static void
what_it_tells_is_noted(void **state)
{
	(void)state;
	struct fixture fixture;
	scoped_free char *saved = unit_path("jobs/work-1/job.json");
	scoped_free char *outcome = unit_path("jobs/work-1/outcome.json");
	open_fixture(&fixture, has_ended_with_all);
	start(&fixture, "work");
	struct subject about = slot_subject(&fixture.slot);
	assert_string_equal(about.job, "work");
	assert_int_equal(about.attempt, 1);
	run(&fixture);
	expect_exit(&fixture.slot, CLD_EXITED, 0);
	assert_int_equal(fixture.slot.state, SLOT_RUNNING);
	assert_string_equal(fixture.slot.step, "upload");
	assert_string_equal(fixture.slot.unit, "bytes");
	assert_string_equal(fixture.slot.trouble, "busy");
	assert_int_equal(fixture.slot.done, 7);
	assert_int_equal(fixture.slot.total, 9);
	assert_int_equal(fixture.slot.reason, STOP_NONE);
	assert_true(file_exists(AT_FDCWD, saved) && file_exists(AT_FDCWD, outcome));
	close_fixture(&fixture);
}

static void
a_line_without_end_is_dropped(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture, has_ended_with_all);
	start(&fixture, "talk");
	run(&fixture);
	expect_exit(&fixture.slot, CLD_EXITED, 0);
	assert_string_equal(fixture.slot.step, "right");
	assert_true(fixture.slot.line.room < 64 * 1024);
	close_fixture(&fixture);
}

static void
a_crash_and_a_silent_end_are_seen(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture, has_ended);
	start(&fixture, "crash");
	run(&fixture);
	expect_exit(&fixture.slot, CLD_KILLED, SIGKILL);
	/* It told nothing: it never came so far as to run. */
	assert_int_equal(fixture.slot.state, SLOT_STARTING);
	close_fixture(&fixture);
	open_fixture(&fixture, has_ended);
	start(&fixture, "silent");
	run(&fixture);
	expect_exit(&fixture.slot, CLD_EXITED, 3);
	close_fixture(&fixture);
}

static bool
stop_polite(struct slot *slot)
{
	if (slot->state == SLOT_RUNNING)
		slot_stop(slot, STOP_HANDBACK);
	return slot->ended;
}

static void
a_runner_is_asked_to_end(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture, stop_polite);
	start(&fixture, "polite");
	run(&fixture);
	expect_exit(&fixture.slot, CLD_KILLED, SIGTERM);
	assert_int_equal(fixture.slot.reason, STOP_HANDBACK);
	close_fixture(&fixture);
}

/* The grace is over at once, to the test's clock. */
static bool
insist(struct slot *slot)
{
	if (slot->state == SLOT_RUNNING) {
		slot_stop(slot, STOP_CANCEL);
		assert_int_equal(slot->state, SLOT_STOPPING);
		int64_t due = slot_due(slot);
		assert_true(due > clock_ms());
		slot_enforce(slot, due - 1);
		assert_int_equal(slot_due(slot), due);
		slot_enforce(slot, due);
		assert_true(slot_due(slot) > due);
	}
	return has_ended_with_all(slot);
}

static void
one_that_will_not_end_is_killed_with_its_children(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture, insist);
	start(&fixture, "stubborn");
	run(&fixture);
	expect_exit(&fixture.slot, CLD_KILLED, SIGKILL);
	assert_int_equal(slot_due(&fixture.slot), -1);
	close_fixture(&fixture);
}

/* To the test's clock half an hour passes, in which it is heard once. */
static bool
lose_patience(struct slot *slot)
{
	if (slot->state == SLOT_RUNNING && slot->step[0]) {
		int64_t due = slot_due(slot);
		slot_enforce(slot, due - 1);
		assert_int_equal(slot->state, SLOT_RUNNING);
		slot->heard += 1000;
		slot_enforce(slot, due);
		assert_int_equal(slot->state, SLOT_RUNNING);
		assert_int_equal(slot_due(slot), due + 1000);
		slot_enforce(slot, due + 1000);
		assert_int_equal(slot->state, SLOT_STOPPING);
		assert_int_equal(slot->reason, STOP_SILENT);
	}
	return slot->ended;
}

static void
one_that_hangs_is_ended(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture, lose_patience);
	start(&fixture, "polite");
	run(&fixture);
	expect_exit(&fixture.slot, CLD_KILLED, SIGTERM);
	close_fixture(&fixture);
}

static bool
stop_for_many_reasons(struct slot *slot)
{
	if (slot->state == SLOT_RUNNING) {
		slot_stop(slot, STOP_CANCEL);
		int64_t due = slot_due(slot);
		slot_stop(slot, STOP_HANDBACK);
		assert_int_equal(slot->reason, STOP_CANCEL);
		slot_stop(slot, STOP_LEASE_LOST);
		assert_int_equal(slot->reason, STOP_LEASE_LOST);
		/* Asking again does not give it longer. */
		assert_int_equal(slot_due(slot), due);
	}
	return slot->ended;
}

static void
the_weightier_reason_wins(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture, stop_for_many_reasons);
	slot_stop(&fixture.slot, STOP_CANCEL);
	assert_int_equal(fixture.slot.reason, STOP_NONE);
	start(&fixture, "polite");
	run(&fixture);
	slot_stop(&fixture.slot, STOP_CANCEL);
	assert_int_equal(fixture.slot.reason, STOP_LEASE_LOST);
	close_fixture(&fixture);
}

static void
what_cannot_be_started_stays_the_callers(void **state)
{
	(void)state;
	struct fixture fixture;
	struct failure why = FAILURE_INIT;
	scoped(claim_done) struct claim claim = {
	    .job = {.id = copy_string("work"), .commit = copy_string(COMMIT), .attempt = 1}};
	scoped_free char *none = unit_path("none");
	open_fixture(&fixture, has_ended);
	assert_false(slot_start(&fixture.slot, &program, &fixture.config, &claim, none, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
	assert_string_equal(claim.job.id, "work");
	assert_int_equal(fixture.slot.state, SLOT_IDLE);
	/* And the place is as good as new. */
	start(&fixture, "silent");
	run(&fixture);
	close_fixture(&fixture);
}

static void
states_have_names(void **state)
{
	(void)state;
	assert_string_equal(slot_state_name(SLOT_IDLE), "idle");
	assert_string_equal(slot_state_name(SLOT_STARTING), "starting");
	assert_string_equal(slot_state_name(SLOT_RUNNING), "running");
	assert_string_equal(slot_state_name(SLOT_STOPPING), "stopping");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(a_runner_gets_what_it_needs_and_no_more),
	    unit_test_in_directory(what_it_tells_is_noted),
	    unit_test_in_directory(a_line_without_end_is_dropped),
	    unit_test_in_directory(a_crash_and_a_silent_end_are_seen),
	    unit_test_in_directory(a_runner_is_asked_to_end),
	    unit_test_in_directory(one_that_will_not_end_is_killed_with_its_children),
	    unit_test_in_directory(one_that_hangs_is_ended),
	    unit_test_in_directory(the_weightier_reason_wins),
	    unit_test_in_directory(what_cannot_be_started_stays_the_callers),
	    cmocka_unit_test(states_have_names),
	};
	if (argc > 1 && strcmp(argv[1], "run-job") == 0)
		return run_job(argc, argv);
	loop_block_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
