#include "engine/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "outside/child.h"
#include "outside/json.h"
#include "work/unfinished.h"
#include "work/workspace.h"

#define JOB_LIMIT (64 * 1024)

static bool
read_job(const struct worker_program *program, struct job *ret_job, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(job_done) struct job job = JOB_INIT;
	if (!read_all(STDIN_FILENO, JOB_LIMIT, &text, why)
	    || !job_read(text_string(&text), text.length, &job, why))
		return fail_within(why, "job on standard input");
	if (job.type != program->type)
		return fail(why, FAILURE_BAD_MESSAGE, "this is a %s job; moolloy-%s takes %s jobs",
		            job_type_name(job.type), program->name, job_type_name(program->type));
	*ret_job = job;
	job = (struct job)JOB_INIT;
	return true;
}

static bool
make_directory(char **ret_path, struct failure *why)
{
	const char *top = getenv("TMPDIR");
	scoped_free char *path = format("%s/moolloy-job-XXXXXX", top ? top : "/tmp");
	if (!mkdtemp(path))
		return fail_errno(why, "cannot make a directory like %s", path);
	*ret_path = take_pointer(&path);
	return true;
}

/* ---- before the job ---- */

/* Killed runners could not end their uploads. That it fails costs room in the store, no more. */
static void
end_unfinished(const struct runner *runner)
{
	const struct worker_config *config = runner->config;
	scoped(strings_done) struct strings ended = STRINGS_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_free char *current = workspace_name(runner->job->id, runner->job->attempt);
	if (!unfinished_end(config->state_directory, &config->store, current, &ended, &why))
		log_failure(LEVEL_WARNING, NULL, &why, "unfinished uploads of killed jobs stay");
	for (size_t i = 0; i < ended.count; i++)
		log_info(NULL, "what a killed job began to upload as %s is ended", ended.items[i]);
}

/* ---- after the job ---- */

/* What is left to the manager: the outcome, and a model to upload. */
static void
tidy(const struct runner *runner)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool good = directory_list(runner->directory_fd, ".", &names, &why);
	for (size_t i = 0; good && i < names.count; i++)
		if (!strings_equal(names.items[i], OUTCOME_FILE)
		    && !strings_equal(names.items[i], runner->outcome->populated))
			good = tree_remove(runner->directory_fd, names.items[i], &why);
	if (!good)
		log_failure(LEVEL_WARNING, &runner->steps.about, &why, "could not tidy up");
}

/* Is this job's directory kept for people to look at? Then the policy is what it leaves to others.
 * One that filled the disk goes at once. */
static bool
is_kept(const struct runner *runner, struct workspace_policy *policy)
{
	int64_t bytes = 0;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (runner->outcome->success || runner->outcome->why.code == FAILURE_DISK_FULL)
		return false;
	if (!tree_size(runner->directory_fd, ".", &bytes, &why))
		log_failure(LEVEL_WARNING, &runner->steps.about, &why, "size not known");
	if (policy->count < 1 || bytes > policy->bytes)
		return false;
	policy->count--;
	policy->bytes -= bytes;
	return true;
}

/* Old directories of failed jobs go, by the policy. This job's own stays in any case, for the
 * manager has still to read the outcome in it. */
static void
sweep(const struct runner *runner)
{
	const struct worker_config *config = runner->config;
	struct workspace_policy policy = {.count = config->keep_failed_count,
	                                  .bytes = config->keep_failed_bytes,
	                                  .age = config->keep_failed_age};
	scoped(strings_done) struct strings removed = STRINGS_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_free char *current = workspace_name(runner->job->id, runner->job->attempt);
	if (!is_kept(runner, &policy))
		tidy(runner);
	if (!workspace_sweep(config->state_directory, &policy, current, &removed, &why))
		log_failure(LEVEL_WARNING, NULL, &why, "could not remove old job directories");
	for (size_t i = 0; i < removed.count; i++)
		log_info(NULL, "removed the kept directory of job %s (keep-failed)",
		         removed.items[i]);
}

static void
print_outcome(const struct runner *runner)
{
	scoped(text_done) struct text text = TEXT_INIT;
	if (file_read(runner->directory_fd, OUTCOME_FILE, 1024 * 1024, &text, NULL))
		fputs(text_string(&text), stdout);
	fprintf(stderr, "the job's directory stays: %s\n", runner->directory);
}

/* ---- the job ---- */

static void
do_job(const struct worker_program *program, struct runner *runner)
{
	struct outcome *outcome = runner->outcome;
	outcome->success = program->run(runner);
	if (runner->steps.timings)
		outcome->timings = js_copy(runner->steps.timings);
	if (!outcome->success && outcome->why.code == FAILURE_NONE)
		fail(&outcome->why, FAILURE_INTERNAL, "a step failed without a word");
	/* Nothing that a job started may outlive it. */
	child_end_descendants();
}

static bool
leave_word(const struct runner *runner, struct failure *why)
{
	const struct worker_config *config = runner->config;
	const struct failure *reason = &runner->outcome->why;
	if (outcome_write(runner->outcome, runner->directory_fd, why)
	    || (disk_gave_up_reserve(config->state_directory, why)
	        && outcome_write(runner->outcome, runner->directory_fd, why)))
		return true;
	/* The manager would have told. */
	if (reason->code != FAILURE_NONE)
		log_failure(LEVEL_WARNING, &runner->steps.about, reason, "failed");
	return false;
}

static void
watch_disk(struct runner *runner)
{
	const struct worker_config *config = runner->config;
	int64_t stop = config->stop_bytes, claim = config->free_bytes;
	runner->steps.disk = (struct disk_watch){.directory = runner->directory,
	                                         .cache = config->cache_directory,
	                                         .job_bytes = config->job_bytes,
	                                         .free_bytes = stop < claim ? stop : claim};
}

static bool
run(const struct worker_program *program, struct runner *runner, bool by_hand, struct failure *why)
{
	if (!directory_open(AT_FDCWD, runner->directory, &runner->directory_fd, why))
		return false;
	runner->steps.about.job = runner->job->id;
	runner->steps.about.attempt = runner->job->attempt;
	watch_disk(runner);
	if (!by_hand)
		end_unfinished(runner);
	do_job(program, runner);
	if (!leave_word(runner, why))
		return false;
	if (by_hand) {
		print_outcome(runner);
		return true;
	}
	sweep(runner);
	return true;
}

int
runner_main(const struct worker_program *program, const struct runner_options *options)
{
	scoped(job_done) struct job job = JOB_INIT;
	scoped(outcome_done) struct outcome outcome = OUTCOME_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_free char *made = NULL;
	/* It was executed by way of /proc/self/exe, which would be its name. */
	scoped_free char *process = format("moolloy-%s", program->kind);
	prctl(PR_SET_NAME, process);
	steps_catch_signals();
	child_become_subreaper();
	if (!read_job(program, &job, &why)) {
		log_failure(LEVEL_ERROR, NULL, &why, "no job");
		return EX_USAGE;
	}
	bool by_hand = !options->directory;
	bool ready = !by_hand || make_directory(&made, &why);
	struct runner runner = {.config = options->config,
	                        .job = &job,
	                        .directory = by_hand ? made : options->directory,
	                        .directory_fd = -1,
	                        .steps = {.progress_fd = options->progress_fd},
	                        .outcome = &outcome};
	bool ran = ready && run(program, &runner, by_hand, &why);
	close_fd(&runner.directory_fd);
	steps_done(&runner.steps);
	if (!ran) {
		log_failure(LEVEL_ERROR, NULL, &why, "the job could not be done");
		return EX_TEMPFAIL;
	}
	return outcome.success ? EXIT_SUCCESS : EXIT_FAILURE;
}
