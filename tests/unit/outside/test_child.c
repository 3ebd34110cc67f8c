#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/child.h"
#include "unit.h"

/* Runs a shell line as a child, with `start` completed; returns its wait status and what it
 * printed. */
static int
run(struct child_start *start, const char *line, struct text *output)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT, environment = STRINGS_INIT;
	int ends[2], status;
	pid_t pid;
	strings_add(&arguments, "sh");
	strings_add(&arguments, "-c");
	strings_add(&arguments, line);
	strings_add(&environment, "ONLY=this");
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	start->program = "/bin/sh";
	start->arguments = &arguments;
	start->environment = &environment;
	start->output = ends[1];
	assert_true(child_start(start, &pid, NULL));
	close(ends[1]);
	assert_true(read_all(ends[0], 65536, output, NULL));
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void
gives_exactly_its_environment_and_directory(void **state)
{
	(void)state;
	scoped(text_done) struct text output = TEXT_INIT;
	struct child_start start = CHILD_START_INIT;
	start.directory = "/usr";
	run(&start, "exec /usr/bin/env && :", &output);
	/* PWD is the shell's. */
	assert_non_null(strstr(text_string(&output), "ONLY=this\n"));
	assert_non_null(strstr(text_string(&output), "PWD=/usr\n"));
	assert_null(strstr(text_string(&output), "HOME="));
	assert_null(strstr(text_string(&output), "PATH="));
}

static void
gives_no_other_fd(void **state)
{
	(void)state;
	scoped(text_done) struct text output = TEXT_INIT;
	struct child_start start = CHILD_START_INIT;
	/* Neither a low nor a high one, though neither is close-on-exec. */
	int low = open("/dev/null", O_RDONLY);
	int high = fcntl(low, F_DUPFD, 500);
	run(&start, "cd /proc/self/fd && echo *", &output);
	/* 3 is the directory itself, being read. */
	assert_string_equal(text_string(&output), "0 1 2 3\n");
	close(low);
	close(high);
}

static void
keeps_fds_in_order(void **state)
{
	(void)state;
	scoped(text_done) struct text output = TEXT_INIT;
	struct child_start start = CHILD_START_INIT;
	char first[] = "/tmp/test-child-XXXXXX", second[] = "/tmp/test-child-XXXXXX";
	start.keep[0] = mkstemp(first);
	start.keep[1] = mkstemp(second);
	run(&start, "readlink /proc/$$/fd/3 /proc/$$/fd/4", &output);
	scoped_free char *expected = format("%s\n%s\n", first, second);
	assert_string_equal(text_string(&output), expected);
	close(start.keep[0]);
	close(start.keep[1]);
	unlink(first);
	unlink(second);
}

static void
starts_with_standard_signals(void **state)
{
	(void)state;
	scoped(text_done) struct text output = TEXT_INIT;
	struct child_start start = CHILD_START_INIT;
	sigset_t blocked, before;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signal(SIGPIPE, SIG_IGN);
	run(&start,
	    "while read name value; do case $name in Sig[BI]*) echo $value;; esac; done "
	    "< /proc/$$/status",
	    &output);
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	char *second;
	/* 32 and 33 are the C library's own, which posix_spawn() of some parent may have set. */
	const unsigned long long internal = 3ULL << 31;
	assert_int_equal(strtoull(text_string(&output), &second, 16), 0);
	assert_int_equal(strtoull(second, NULL, 16) & ~internal, 0);
}

static void
makes_a_session(void **state)
{
	(void)state;
	scoped(text_done) struct text output = TEXT_INIT;
	struct child_start start = CHILD_START_INIT;
	start.session = true;
	/* Fields 1, 5 and 6 of stat: process, group, session. */
	run(&start,
	    "read pid name state parent group session rest < /proc/$$/stat\n"
	    "[ $pid = $group ] && [ $pid = $session ] && echo leads",
	    &output);
	assert_string_equal(text_string(&output), "leads\n");
}

static void
names_a_program_that_is_not_there(void **state)
{
	(void)state;
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	struct strings environment = STRINGS_INIT;
	struct failure why = FAILURE_INIT;
	struct child_start start = CHILD_START_INIT;
	pid_t pid = -7;
	strings_add(&arguments, "nothing");
	start.program = "/no/such/program";
	start.arguments = &arguments;
	start.environment = &environment;
	assert_false(child_start(&start, &pid, &why));
	assert_non_null(strstr(why.message, "/no/such/program"));
	assert_non_null(strstr(why.message, strerror(ENOENT)));
	assert_int_equal(pid, -7);
	/* Nor is a zombie left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Three generations, each process in a session of its own: two children of each live on, it itself
 * ends. The last ones sleep. Never returns. */
static void
breed(void)
{
	for (int depth = 0; depth < 3; depth++) {
		setsid();
		if (fork() > 0 && fork() > 0)
			_exit(0);
	}
	for (;;)
		pause();
}

static void
ends_descendants_that_hide(void **state)
{
	(void)state;
	int ends[2];
	char byte;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child_become_subreaper();
	if (fork() == 0)
		breed();
	close(ends[1]);
	child_end_descendants();
	/* Nobody holds the pipe any more. */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_int_equal(child_end_descendants(), 0);
}

static void
inherits_but_what_is_withheld(void **state)
{
	(void)state;
	static const char *const withheld[] = {"CHILD_TEST_", "CHILD_WORD=", NULL};
	scoped(strings_done) struct strings environment = STRINGS_INIT;
	setenv("CHILD_TEST_A", "1", 1);
	setenv("CHILD_WORD", "2", 1);
	setenv("CHILD_WORDS", "3", 1);
	child_inherit(withheld, &environment);
	assert_true(strings_contain(&environment, "CHILD_WORDS=3"));
	for (size_t i = 0; i < environment.count; i++) {
		assert_false(starts_with(environment.items[i], "CHILD_TEST_"));
		assert_false(starts_with(environment.items[i], "CHILD_WORD="));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives_exactly_its_environment_and_directory),
	    cmocka_unit_test(gives_no_other_fd),
	    cmocka_unit_test(keeps_fds_in_order),
	    cmocka_unit_test(starts_with_standard_signals),
	    cmocka_unit_test(makes_a_session),
	    cmocka_unit_test(names_a_program_that_is_not_there),
	    cmocka_unit_test(ends_descendants_that_hide),
	    cmocka_unit_test(inherits_but_what_is_withheld),
	};
	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
