#include <signal.h>
#include <sys/wait.h>

#include "outside/box.h"
#include "outside/child.h"
#include "outside/stray.h"
#include "unit.h"
#include "unit_directory.h"

/* Something that sleeps under the name and with the argument of somebody else. */
static pid_t
start(const char *name, const char *verb, const char *argument)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT, environment = STRINGS_INIT;
	struct child_start child = CHILD_START_INIT;
	pid_t pid;
	strings_add(&arguments, name);
	strings_add(&arguments, "-f");
	strings_add(&arguments, "/dev/null");
	strings_add(&arguments, "--");
	strings_add(&arguments, verb);
	strings_add(&arguments, argument);
	child.program = "/usr/bin/tail";
	child.arguments = &arguments;
	child.environment = &environment;
	assert_true(child_start(&child, &pid, NULL));
	return pid;
}

static bool
was_killed(pid_t pid)
{
	int status;
	pid_t ended = waitpid(pid, &status, WNOHANG);
	if (ended == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	return ended == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void
boxes_and_runners_below_the_path_are_ended(void **state)
{
	(void)state;
	scoped_free char *below = unit_path("another/jobs/1-1");
	scoped_free char *tree = unit_path("jobs/1-1/tree");
	scoped_free char *option = format("--directory=%s", tree);
	scoped_free char *longer = format("/mnt%s", tree);
	scoped_free char *other = unit_path("jobs-2/1-1");
	pid_t box = start(BOX_PROGRAM, "--bind", tree);
	pid_t probe = start(BOX_PROGRAM, "--bind", unit_directory);
	pid_t runner = start("moolloy-run-worker", "run-job", option);
	pid_t editor = start("vi", "--", tree);
	pid_t worker = start("moolloy-run-worker", "serve", tree);
	pid_t neighbour = start(BOX_PROGRAM, "--bind", longer);
	pid_t inner = start(BOX_PROGRAM, "--bind", below);
	pid_t relative = start(BOX_PROGRAM, "--bind", other);
	assert_int_equal(stray_end_all(unit_directory), 3);
	assert_true(was_killed(box) && was_killed(probe) && was_killed(runner));
	assert_false(was_killed(editor) || was_killed(worker) || was_killed(neighbour)
	             || was_killed(relative) || was_killed(inner));
	assert_int_equal(stray_end_all(unit_directory), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(boxes_and_runners_below_the_path_are_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
