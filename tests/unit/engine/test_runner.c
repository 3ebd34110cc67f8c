#include <sys/stat.h>
#include <sysexits.h>

#include "engine/runner.h"
#include "unit.h"
#include "unit_directory.h"
#include "work/workspace.h"

#define COMMIT "287a688f338d5d8c7b27b8915629893721a1fcac"
#define JOB    "{\"id\":\"7\",\"attempt\":2,\"type\":\"build\",\"commit\":\"" COMMIT "\"}"
#define MUCH   (1LL << 40)

/* ---- jobs ---- */

/* What every job here leaves in its directory. */
static void
work(struct runner *runner)
{
	scoped(text_done) struct text text = TEXT_INIT;
	while (text.length < 50000)
		text_add_string(&text, "many bytes ");
	assert_true(file_replace(runner->directory_fd, "build.log", &text, 0644, NULL));
	assert_true(file_replace(runner->directory_fd, "model.tar", &text, 0644, NULL));
	assert_true(steps_begin(&runner->steps, "build", &runner->outcome->why));
}

static bool
succeed(struct runner *runner)
{
	work(runner);
	runner->outcome->return_code = 0;
	runner->outcome->populated = copy_string("model.tar");
	return steps_end(&runner->steps, true, &runner->outcome->why);
}

static bool
break_down(struct runner *runner)
{
	struct failure *why = &runner->outcome->why;
	work(runner);
	return steps_end(&runner->steps, fail(why, FAILURE_COMMAND, "ant dist: exit 1"), why);
}

static bool
break_down_in_silence(struct runner *runner)
{
	(void)runner;
	return false;
}

/* ---- running them ---- */

/* Keeps that many failed jobs' directories, of so many bytes together. */
static struct worker_config
keeping(int64_t count, int64_t bytes)
{
	return (struct worker_config){.state_directory = unit_directory,
	                              .keep_failed_count = count,
	                              .keep_failed_bytes = bytes,
	                              .keep_failed_age = INT64_MAX};
}

/* The exit status of the runner that reads `job`. directory NULL: by hand. */
static int
run(bool (*work_of)(struct runner *runner), const struct worker_config *config, const char *job,
    const char *directory)
{
	const struct worker_program program = {
	    .name = "test-worker", .kind = "test", .type = JOB_BUILD, .run = work_of};
	const struct runner_options options = {
	    .config = config, .directory = directory, .progress_fd = -1};
	scoped_free char *path = unit_path("stdin");
	unit_write("stdin", job);
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	return runner_main(&program, &options);
}

/* Runs JOB in its own directory. */
static int
run_job(bool (*work_of)(struct runner *runner), const struct worker_config *config)
{
	scoped_free char *directory = unit_path("jobs/7-2");
	assert_true(directory_make(directory, 0700, NULL));
	return run(work_of, config, JOB, directory);
}

static void
expect_names(const char *directory, const char *wanted)
{
	scoped_free char *path = unit_path(directory);
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(directory_list(AT_FDCWD, path, &names, NULL));
	for (size_t i = 0; i < names.count; i++)
		text_addf(&text, "%s%s", i ? " " : "", names.items[i]);
	assert_string_equal(text_string(&text), wanted);
}

static struct outcome
outcome_in(const char *directory)
{
	struct outcome outcome = OUTCOME_INIT;
	scoped_free char *path = unit_path(directory);
	scoped_fd int fd = -1;
	assert_true(directory_open(AT_FDCWD, path, &fd, NULL));
	assert_true(outcome_read(fd, &outcome, NULL));
	return outcome;
}

/* A directory kept of an earlier job, older the lower its number. */
static void
keep(int number)
{
	scoped_free char *relative = format("jobs/%d-1", number);
	scoped_free char *file = format("%s/build.log", relative);
	scoped_free char *path = unit_path(relative);
	const struct timespec when = {.tv_sec = 1767225600 + number};
	const struct timespec times[2] = {when, when};
	assert_true(directory_make(path, 0700, NULL));
	unit_write(file, "x");
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
a_success_leaves_what_the_manager_needs(void **state)
{
	(void)state;
	const struct worker_config config = keeping(5, MUCH);
	assert_int_equal(run_job(succeed, &config), 0);
	expect_names("jobs/7-2", "model.tar outcome.json");
	scoped(outcome_done) struct outcome outcome = outcome_in("jobs/7-2");
	assert_true(outcome.success);
	assert_int_equal(outcome.return_code, 0);
	assert_non_null(outcome.timings);
}

static void
a_failure_keeps_its_directory(void **state)
{
	(void)state;
	const struct worker_config config = keeping(5, MUCH);
	assert_int_equal(run_job(break_down, &config), 1);
	expect_names("jobs/7-2", "build.log model.tar outcome.json");
	scoped(outcome_done) struct outcome outcome = outcome_in("jobs/7-2");
	assert_int_equal(outcome.why.code, FAILURE_COMMAND);
	assert_string_equal(outcome.why.step, "build");
}

static void
it_counts_among_those_that_are_kept(void **state)
{
	(void)state;
	const struct worker_config config = keeping(3, MUCH);
	for (int i = 1; i <= 4; i++)
		keep(i);
	assert_int_equal(run_job(break_down, &config), 1);
	expect_names("jobs", "3-1 4-1 7-2");
	/* A success is not among them. */
	assert_int_equal(run_job(succeed, &config), 0);
	expect_names("jobs", "3-1 4-1 7-2");
	keep(5);
	keep(6);
	assert_int_equal(run_job(succeed, &config), 0);
	expect_names("jobs", "4-1 5-1 6-1 7-2");
}

/* Whatever is not to be kept: the manager has still to read the outcome. */
static void
the_outcome_outlives_the_sweep(void **state)
{
	(void)state;
	const struct worker_config none = keeping(0, MUCH), little = keeping(5, 80000);
	keep(1);
	assert_int_equal(run_job(break_down, &little), 1);
	expect_names("jobs/7-2", "outcome.json");
	expect_names("jobs", "1-1 7-2");
	assert_int_equal(run_job(break_down, &none), 1);
	expect_names("jobs/7-2", "outcome.json");
	expect_names("jobs", "7-2");
	scoped(outcome_done) struct outcome outcome = outcome_in("jobs/7-2");
	assert_int_equal(outcome.why.code, FAILURE_COMMAND);
}

static void
a_failure_without_a_word_is_ours(void **state)
{
	(void)state;
	const struct worker_config config = keeping(5, MUCH);
	assert_int_equal(run_job(break_down_in_silence, &config), 1);
	scoped(outcome_done) struct outcome outcome = outcome_in("jobs/7-2");
	assert_int_equal(outcome.why.code, FAILURE_INTERNAL);
}

static void
what_is_no_job_of_ours_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
	    "",
	    "{}",
	    "{\"id\":\"7\",\"type\":\"build\",\"commit\":\"master\"}",
	    "{\"id\":\"7\",\"type\":\"run\",\"commit\":\"" COMMIT
	    "\",\"jar_key\":\"j\",\"model_key\":\"m\"}",
	};
	const struct worker_config config = keeping(5, MUCH);
	scoped_free char *directory = unit_path("jobs/7-2");
	assert_true(directory_make(directory, 0700, NULL));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(run(succeed, &config, texts[i], directory), EX_USAGE);
	expect_names("jobs/7-2", "");
}

static void
without_its_directory_it_cannot_begin(void **state)
{
	(void)state;
	const struct worker_config config = keeping(5, MUCH);
	assert_int_equal(run(succeed, &config, JOB, "/nonexistent/7-2"), EX_TEMPFAIL);
}

static void
by_hand_everything_stays(void **state)
{
	(void)state;
	const struct worker_config config = keeping(0, MUCH);
	scoped(strings_done) struct strings names = STRINGS_INIT;
	keep(1);
	setenv("TMPDIR", unit_directory, 1);
	assert_int_equal(run(break_down, &config, JOB, NULL), 1);
	unsetenv("TMPDIR");
	expect_names("jobs", "1-1");
	assert_true(directory_list(AT_FDCWD, unit_directory, &names, NULL));
	assert_int_equal(names.count, 3);
	assert_true(starts_with(names.items[1], "moolloy-job-"));
	expect_names(names.items[1], "build.log model.tar outcome.json");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(a_success_leaves_what_the_manager_needs),
	    unit_test_in_directory(a_failure_keeps_its_directory),
	    unit_test_in_directory(it_counts_among_those_that_are_kept),
	    unit_test_in_directory(the_outcome_outlives_the_sweep),
	    unit_test_in_directory(a_failure_without_a_word_is_ours),
	    unit_test_in_directory(what_is_no_job_of_ours_is_refused),
	    unit_test_in_directory(without_its_directory_it_cannot_begin),
	    unit_test_in_directory(by_hand_everything_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
