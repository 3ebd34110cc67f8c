#include "commands.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/units.h"
#include "outside/command.h"

static bool
open_log(const struct build_job *job, int *ret_fd, struct failure *why)
{
	*ret_fd = openat(job->directory_fd, "build.log",
	                 O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
	return *ret_fd >= 0 || fail_errno(why, "cannot create build.log");
}

static bool
announce(int log, const char *command, struct failure *why)
{
	scoped_free char *line = format("$ %s\n", command);
	return write_all(log, line, strlen(line), why);
}

/* How it ended; true only for exit status 0. */
static bool
judge(const struct build_job *job, const char *command, const struct command_result *result,
      struct failure *why)
{
	scoped_free char *all = duration_rough(job->config->timeout);
	scoped_free char *quiet = duration_rough(job->config->no_output_timeout);
	switch (result->end) {
	case COMMAND_STOPPED:
		return fail(why, FAILURE_CANCELLED, "%s: stopped", command);
	case COMMAND_TIMED_OUT:
		return fail(why, FAILURE_TIMEOUT,
		            "%s: the build took longer than %s (build.timeout)", command, all);
	case COMMAND_QUIET:
		return fail(why, FAILURE_NO_OUTPUT,
		            "%s: no output for %s (build.no-output-timeout)", command, quiet);
	case COMMAND_EXITED:
		break;
	}
	if (result->status > 128)
		return fail(why, FAILURE_COMMAND, "%s: ended by signal %d", command,
		            result->status - 128);
	return result->status == 0
	       || fail(why, FAILURE_COMMAND, "%s: exit status %d", command, result->status);
}

static bool
run_command(struct build_job *job, const char *text, struct command *command)
{
	struct command_result result;
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	build_config_split(text, &arguments);
	command->arguments = &arguments;
	if (!announce(command->output, text, &job->why)
	    || !command_run(command, &result, &job->why))
		return false;
	job->outcome->return_code = result.status;
	return judge(job, text, &result, &job->why);
}

/* One time limit over all of them. */
static bool
run_in_order(struct build_job *job, struct command *command)
{
	const struct strings *commands = &job->config->commands;
	int64_t deadline = clock_ms() + job->config->timeout;
	for (size_t i = 0; i < commands->count; i++) {
		int64_t left = deadline - clock_ms();
		command->timeout = left > 1 ? left : 1;
		if (!run_command(job, commands->items[i], command))
			return false;
	}
	return true;
}

/* Moolloy's configure wants JAVA_HOME: where javac really lies, less "/bin/javac". */
static void
add_java_home(const struct strings *configured, struct strings *environment)
{
	for (size_t i = 0; i < configured->count; i++)
		if (starts_with(configured->items[i], "JAVA_HOME"))
			return;
	scoped_free char *javac = realpath("/usr/bin/javac", NULL);
	if (javac && ends_with(javac, "/bin/javac"))
		strings_addf(environment, "JAVA_HOME=%.*s",
		             (int)(strlen(javac) - strlen("/bin/javac")), javac);
}

bool
commands_run(struct build_job *job)
{
	const struct build_config *config = job->config;
	struct tick tick = steps_tick(job->steps, "bytes");
	scoped(strings_done) struct strings environment = STRINGS_INIT;
	scoped_fd int log = -1;
	if (!open_log(job, &log, &job->why))
		return false;
	command_environment(&config->environment, &environment);
	add_java_home(&config->environment, &environment);
	/* The trees borrow their objects of the mirrors. */
	scoped(strings_done) struct strings mirrors = STRINGS_INIT;
	source_mirrors(&job->source, &mirrors);
	const struct box box = {
	    .writable = job->tree, .readonly = &mirrors, .network = config->network};
	struct command command = {.environment = &environment,
	                          .directory = job->tree,
	                          .box = &box,
	                          .output = log,
	                          .errors = log,
	                          .output_limit = config->log_limit,
	                          .quiet_timeout = config->no_output_timeout,
	                          .tick = &tick};
	if (run_in_order(job, &command))
		return true;
	command_evidence(log, &job->why);
	return false;
}
