#include "build_job.h"

#include "commands.h"
#include "jar.h"
#include "work/mirror.h"
#include "work/template.h"

static void
build_job_done(struct build_job *job)
{
	store_close(&job->store);
	free_pointer(&job->key);
	wipe_string(&job->token);
	free_pointer(&job->token_url);
	free_pointer(&job->tree);
	source_done(&job->source);
	failure_done(&job->why);
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

/* What nobody asked for in a long time makes room; that it cannot costs only that room. The job's
 * own mirrors are in use. */
static void
sweep(struct build_job *job)
{
	const struct worker_config *config = &job->config->worker;
	struct failure why = FAILURE_INIT;
	scoped(strings_done) struct strings removed = STRINGS_INIT;
	const struct mirror_limits limits = {.age = job->config->mirror_max_age,
	                                     .bytes = job->config->mirror_max_bytes};
	if (!mirrors_sweep(config->cache_directory, &limits, &removed, &why)
	    || !templates_sweep(config->state_directory, job->config->mirror_max_age, &why))
		log_failure(LEVEL_WARNING, &job->steps->about, &why, "old mirrors stay");
	for (size_t i = 0; i < removed.count; i++)
		log_info(&job->steps->about,
		         "removed the mirror of %s (mirror-max-age, mirror-max-bytes)",
		         removed.items[i]);
	failure_done(&why);
}

static bool
clone_repository(struct build_job *job)
{
	job->access = build_config_access(job->config);
	job->token_url = repository_rewrite_url(&job->config->rewrite, job->config->repository);
	job->access.token_url = job->token_url;
	if (!secret_read(&job->config->token, &job->token, &job->why))
		return fail_within(&job->why, "git.token-file");
	job->access.token = job->token;
	job->how = (struct source_how){.url = job->config->repository,
	                               .cache_directory = job->config->worker.cache_directory,
	                               .state_directory = job->config->worker.state_directory,
	                               .rewrite = &job->config->rewrite,
	                               .timeout = job->config->git_timeout,
	                               .steps = job->steps};
	job->source = (struct source)SOURCE_INIT(&job->how);
	return repository_start(&job->access, &job->why)
	       && source_fetch(&job->source, job->job->commit, &job->why);
}

static bool
checkout_commit(struct build_job *job)
{
	job->tree = format("%s/tree", job->directory);
	return source_check_out(&job->source, job->tree, &job->why);
}

static bool
update_submodules(struct build_job *job)
{
	bool updated = source_submodules(&job->source, &job->why);
	sweep(job);
	return updated;
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
	       || (step(job, "clone", clone_repository)          // its mirror holds the commit
	           && step(job, "checkout", checkout_commit)     // -> tree/
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
