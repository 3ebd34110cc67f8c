#include "build_job.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/units.h"
#include "commands.h"
#include "jar.h"

static void
build_job_done(struct build_job *job)
{
	store_close(&job->store);
	free_pointer(&job->key);
	free_pointer(&job->tree);
	failure_done(&job->why);
}

/* ---- deadlines: a tick that also looks at the clock ---- */

struct deadline {
	struct tick tick;
	int64_t at; /* clock_ms() */
};

static bool
tell_in_time(void *data, int64_t done, int64_t total)
{
	const struct deadline *deadline = data;
	return tick_tell(&deadline->tick, done, total) && clock_ms() < deadline->at;
}

/* What the tick stopped for want of time was not cancelled. */
static bool
fail_in_time(struct build_job *job, const struct deadline *deadline)
{
	scoped_free char *limit = duration_rough(job->config->git_timeout);
	if (job->why.code != FAILURE_CANCELLED || steps_cancelled() || clock_ms() < deadline->at)
		return false;
	return fail(&job->why, FAILURE_TIMEOUT, "it took longer than %s (git.timeout)", limit);
}

/* ---- the steps ---- */

static bool
look_up(struct build_job *job)
{
	const struct tick tick = steps_tick(job->steps, "bytes");
	job->key = format("builds/%s.jar", job->job->commit);
	if (!store_open(&job->config->worker.store, &job->store, &job->why))
		return false;
	store_set_tick(job->store, &tick);
	return jar_adopt(job);
}

static bool
clone_repository(struct build_job *job)
{
	struct deadline deadline = {.tick = steps_tick(job->steps, "objects"),
	                            .at = clock_ms() + job->config->git_timeout};
	const struct tick tick = {.tell = tell_in_time, .data = &deadline};
	job->tree = format("%s/tree", job->directory);
	job->access = build_config_access(job->config);
	return (repository_start(&job->access, &job->why)
	        && repository_clone(job->config->repository, job->tree, &tick, &job->why))
	       || fail_in_time(job, &deadline);
}

static bool
checkout_commit(struct build_job *job)
{
	struct tick tick = steps_tick(job->steps, "files");
	return repository_checkout(job->tree, job->job->commit, &tick, &job->why);
}

static bool
update_submodules(struct build_job *job)
{
	struct deadline deadline = {.tick = steps_tick(job->steps, "objects"),
	                            .at = clock_ms() + job->config->git_timeout};
	const struct tick tick = {.tell = tell_in_time, .data = &deadline};
	return repository_submodules(job->tree, &tick, &job->why) || fail_in_time(job, &deadline);
}

/* ---- the job ---- */

static bool
step(struct build_job *job, const char *name, bool (*work)(struct build_job *))
{
	return steps_begin(job->steps, name, &job->why)
	       && steps_end(job->steps, work(job), &job->why);
}

/* A build, from the first step to the last. The first that fails ends it. */
static bool
go_through(struct build_job *job)
{
	if (!step(job, "lookup", look_up)) // each commit is built once
		return false;
	return job->built
	       || (step(job, "clone", clone_repository)          // -> tree/
	           && step(job, "checkout", checkout_commit)     // tree/ at the commit
	           && step(job, "submodules", update_submodules) // and theirs
	           && step(job, "build", commands_run)           // the commands, boxed
	           && step(job, "upload", jar_upload));          // the artifact -> store
}

bool
build_job(struct runner *runner)
{
	struct outcome *outcome = runner->outcome;
	scoped(build_job_done) struct build_job job = {.config = runner->config,
	                                               .job = runner->job,
	                                               .directory = runner->directory,
	                                               .directory_fd = runner->directory_fd,
	                                               .steps = &runner->steps,
	                                               .outcome = outcome};
	bool done = go_through(&job);
	if (!done) {
		failure_copy(&outcome->why, &job.why);
		return false;
	}
	outcome->return_code = 0;
	outcome->result_key = take_pointer(&job.key);
	outcome->jar_sha256 = copy_string(job.stored.sha256);
	return true;
}
