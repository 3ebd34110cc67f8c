#include "execute.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/units.h"

/* What the jar left deeper than this is not looked at. */
#define DEPTH_LIMIT 64

void
execute_arguments(const struct run_job *job, struct strings *arguments)
{
	strings_add(arguments, job->config->java);
	strings_add_all(arguments, &job->config->jvm_options);
	strings_add(arguments, "-jar");
	strings_addf(arguments, "%s/run/moolloy.jar", job->directory);
	if (job->job->algorithm)
		strings_addf(arguments, "--MooAlgorithm=%s", job->job->algorithm);
	strings_addf(arguments, "%s/model/model.als", job->directory);
}

static bool
open_output(struct run_job *job, const char *path, int *ret_fd)
{
	*ret_fd = openat(job->directory_fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return *ret_fd >= 0 || fail_errno(&job->why, "cannot create %s", path);
}

static bool
run_java(struct run_job *job, int output, int errors)
{
	const struct run_config *config = job->config;
	struct tick tick = steps_tick(job->steps, "bytes");
	scoped_free char *writable = format("%s/run", job->directory);
	scoped(strings_done) struct strings readonly = STRINGS_INIT;
	scoped(strings_done) struct strings environment = STRINGS_INIT;
	strings_addf(&readonly, "%s/model", job->directory);
	strings_addf(&readonly, "%s/run/moolloy.jar", job->directory);
	command_environment(&config->environment, &environment);
	const struct box box = {
	    .writable = writable, .readonly = &readonly, .network = config->network};
	const struct command command = {.arguments = &job->command,
	                                .environment = &environment,
	                                .directory = writable,
	                                .box = &box,
	                                .output = output,
	                                .errors = errors,
	                                .output_limit = config->log_limit,
	                                .timeout = config->timeout,
	                                .quiet_timeout = config->no_output_timeout,
	                                .tick = &tick};
	return command_run(&command, &job->result, &job->why);
}

/* ---- after the run ---- */

/* The jar may have closed its files and directories to their owner, which is us. */
static void
open_up(int directory, int depth)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (depth > DEPTH_LIMIT || !directory_list(directory, ".", &names, NULL))
		return;
	for (size_t i = 0; i < names.count; i++) {
		struct stat about;
		const char *name = names.items[i];
		if (fstatat(directory, name, &about, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		mode_t wanted = S_ISDIR(about.st_mode) ? 0700 : S_ISREG(about.st_mode) ? 0400 : 0;
		if ((about.st_mode & wanted) != wanted
		    && fchmodat(directory, name, (about.st_mode & 0777) | wanted, 0) < 0)
			continue;
		scoped_fd int below = -1;
		if (S_ISDIR(about.st_mode) && directory_open(directory, name, &below, NULL))
			open_up(below, depth + 1);
	}
}

static bool
open_up_run(struct run_job *job)
{
	scoped_fd int run = -1;
	if (fchmodat(job->directory_fd, "run", 0755, 0) < 0)
		return fail_errno(&job->why, "cannot open up run/");
	if (!directory_open(job->directory_fd, "run", &run, &job->why))
		return false;
	open_up(run, 0);
	return true;
}

/* What the run's end says of its result. errors: what it wrote to standard error. */
static void
judge(const struct run_job *job, int errors, struct failure *verdict)
{
	scoped_free char *timeout = duration_rough(job->config->timeout);
	scoped_free char *quiet = duration_rough(job->config->no_output_timeout);
	if (job->result.end == COMMAND_TIMED_OUT)
		fail(verdict, FAILURE_TIMEOUT, "moolloy ran longer than %s (run.timeout)", timeout);
	else if (job->result.end == COMMAND_QUIET)
		fail(verdict, FAILURE_NO_OUTPUT,
		     "moolloy printed nothing for %s (run.no-output-timeout)", quiet);
	else if (job->result.status > 128 && job->result.status <= 128 + SIGRTMAX)
		fail(verdict, FAILURE_EXIT_STATUS, "moolloy was ended by signal %d",
		     job->result.status - 128);
	else if (job->result.status != 0)
		fail(verdict, FAILURE_EXIT_STATUS, "moolloy ended with exit status %d",
		     job->result.status);
	if (verdict->code == FAILURE_NONE)
		return;
	verdict->step = "execute";
	command_evidence(errors, verdict);
}

bool
execute_moolloy(struct run_job *job)
{
	struct outcome *outcome = job->outcome;
	scoped_fd int output = -1, errors = -1;
	execute_arguments(job, &job->command);
	if (!open_output(job, "run/stdout.out", &output)
	    || !open_output(job, "run/stderr.out", &errors) || !run_java(job, output, errors))
		return false;
	if (job->result.end == COMMAND_STOPPED)
		return fail(&job->why, FAILURE_CANCELLED, "moolloy was stopped");
	/* What fails on a full disk says nothing of the model. */
	if (job->result.status != 0 && !steps_have_room(job->steps, &job->why))
		return false;
	outcome->return_code = job->result.status;
	outcome->wall_seconds = job->result.wall_seconds;
	outcome->cpu_seconds = job->result.cpu_seconds;
	outcome->max_rss_bytes = job->result.peak_rss_bytes;
	outcome->measured_by = copy_string(job->result.measured_by);
	judge(job, errors, &outcome->why);
	return open_up_run(job);
}
