#include "run_job.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "execute.h"
#include "outside/archive.h"
#include "package.h"
#include "work/cache.h"

static void
run_job_done(struct run_job *job)
{
	store_close(&job->store);
	strings_done(&job->command);
	comparison_done(&job->comparison);
	failure_done(&job->why);
}

/* ---- the steps ---- */

static bool
fail_if_absent(struct run_job *job, const char *key, enum failure_code absent)
{
	if (job->why.code != FAILURE_NOT_FOUND)
		return false;
	return fail(&job->why, absent, "%s: the store (%s) holds no such object", key,
	            store_describe(job->store));
}

/* An object of the store into a new file of the job's. absent: what it means when the store has
 * none. */
static bool
fetch(struct run_job *job, const char *key, int fd, enum failure_code absent,
      struct store_object *ret_object)
{
	struct tick tick = steps_tick(job->steps, "bytes");
	return store_get(job->store, key, fd, &tick, ret_object, &job->why)
	       || fail_if_absent(job, key, absent);
}

static bool
create(struct run_job *job, const char *path, int *ret_fd)
{
	*ret_fd = openat(job->directory_fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return *ret_fd >= 0 || fail_errno(&job->why, "cannot create %s", path);
}

/* What the jar must hash to: the job says, else the store's metadata. */
static bool
find_wanted_hash(struct run_job *job)
{
	struct store_object metadata;
	const char *sha256 = job->job->jar_sha256;
	if (!sha256) {
		if (!store_head(job->store, job->job->jar_key, &metadata, &job->why))
			return fail_if_absent(job, job->job->jar_key, FAILURE_NO_JAR);
		sha256 = metadata.sha256;
	}
	snprintf(job->wanted, sizeof job->wanted, "%s", sha256);
	return true;
}

static bool
uses_cache(const struct run_job *job)
{
	return job->wanted[0] && job->config->cache_size > 0 && !store_is_local(job->store);
}

/* A cache that cannot be read costs a download, no more. */
static void
take_from_cache(struct run_job *job, int fd)
{
	struct tick tick = steps_tick(job->steps, "bytes");
	scoped(failure_done) struct failure why = FAILURE_INIT;
	enum cache_found found = CACHE_ABSENT;
	if (!uses_cache(job))
		return;
	if (!cache_take(job->config->worker.cache_directory, job->wanted, fd, &tick, &found, &why))
		log_failure(LEVEL_WARNING, &job->steps->about, &why, "no jar from the cache");
	if (found == CACHE_DAMAGED) {
		log_warning(&job->steps->about, "the cached jar %s was damaged: removed",
		            job->wanted);
		steps_healed(job->steps);
	}
	job->cached = found == CACHE_FOUND;
}

static bool
get_jar(struct run_job *job, int fd)
{
	struct stat about;
	take_from_cache(job, fd);
	if (!job->cached)
		return fetch(job, job->job->jar_key, fd, FAILURE_NO_JAR, &job->jar);
	if (fstat(fd, &about) < 0)
		return fail_errno(&job->why, "cannot look at run/moolloy.jar");
	log_info(&job->steps->about, "%s is in the cache", job->job->jar_key);
	job->jar.size = about.st_size;
	memcpy(job->jar.sha256, job->wanted, SHA256_TEXT);
	return true;
}

static bool
fetch_jar(struct run_job *job)
{
	const struct tick tick = steps_tick(job->steps, "bytes");
	scoped_fd int fd = -1;
	if (!store_open(&job->config->worker.store, &job->store, &job->why))
		return false;
	store_set_tick(job->store, &tick);
	return find_wanted_hash(job) && create(job, "run/moolloy.jar", &fd) && get_jar(job, fd);
}

/* A cache that cannot be written costs the next run a download, no more. */
static void
keep_in_cache(const struct run_job *job)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_fd int fd = openat(job->directory_fd, "run/moolloy.jar", O_RDONLY | O_CLOEXEC);
	if (!cache_keep(job->config->worker.cache_directory, &job->jar, fd, job->config->cache_size,
	                &why))
		log_failure(LEVEL_WARNING, &job->steps->about, &why, "the jar was not cached");
}

static bool
verify_jar(struct run_job *job)
{
	job->outcome->jar_sha256 = copy_string(job->jar.sha256);
	if (!job->wanted[0] && strings_equal(job->config->jar_hash, "if-known"))
		return true;
	if (!job->wanted[0])
		return fail(&job->why, FAILURE_NO_HASH,
		            "nothing says what %s must hash to: request the build again, or set "
		            "jar-hash: if-known",
		            job->job->jar_key);
	if (!strings_equal(job->wanted, job->jar.sha256))
		return fail(&job->why, FAILURE_HASH_MISMATCH, "%s hashes to %s, not to %s",
		            job->job->jar_key, job->jar.sha256, job->wanted);
	if (uses_cache(job) && !job->cached)
		keep_in_cache(job);
	return true;
}

static bool
fetch_model(struct run_job *job)
{
	scoped_fd int fd = -1;
	return create(job, "model.archive", &fd)
	       && fetch(job, job->job->model_key, fd, FAILURE_NO_MODEL, &job->model);
}

static bool
unpack(struct run_job *job, int model)
{
	struct tick tick = steps_tick(job->steps, "bytes");
	const struct archive_limits limits = {.bytes = job->config->model_max_bytes,
	                                      .entries = job->config->model_max_entries};
	scoped_fd int archive = openat(job->directory_fd, "model.archive", O_RDONLY | O_CLOEXEC);
	if (archive < 0)
		return fail_errno(&job->why, "cannot open model.archive");
	return archive_extract(archive, model, &limits, &tick, &job->why)
	       || fail_within(&job->why, "%s", job->job->model_key);
}

static bool
extract_model(struct run_job *job)
{
	struct stat about;
	scoped_fd int model = -1;
	if (!directory_open(job->directory_fd, "model", &model, &job->why) || !unpack(job, model))
		return false;
	if (fstatat(model, "model.als", &about, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(about.st_mode))
		return fail(&job->why, FAILURE_NO_MODEL_FILE,
		            "%s holds no file model.als at its top level", job->job->model_key);
	job->unpopulated = file_exists(model, UNPOPULATED_MARK);
	return true;
}

/* A run that was ended by a limit or exited with an error is a result, not a failure. */
static bool
execute(struct run_job *job)
{
	if (!execute_moolloy(job))
		return false;
	job->populate = job->unpopulated && job->outcome->return_code == 0;
	return true;
}

static bool
compare(struct run_job *job)
{
	struct tick tick = steps_tick(job->steps, "bytes");
	struct comparison *comparison = &job->comparison;
	scoped_fd int run = -1, model = -1;
	if (!directory_open(job->directory_fd, "run", &run, &job->why)
	    || !directory_open(job->directory_fd, "model", &model, &job->why)
	    || !solutions_read(run, &tick, &comparison->run, &job->why)
	    || !solutions_read(job->populate ? run : model, &tick, &comparison->model, &job->why))
		return false;
	comparison_make(comparison);
	job->outcome->correct = comparison->equal && job->outcome->return_code == 0;
	if (!comparison->equal && job->outcome->return_code == 0) {
		fail(&job->outcome->why, FAILURE_WRONG_SOLUTIONS,
		     "the run's %zu solutions are not the model's %zu", comparison->run.count,
		     comparison->model.count);
		job->outcome->why.step = "compare";
	}
	return true;
}

/* The model gets the run's solutions; without any there is nothing to populate it with. */
static bool
populate(struct run_job *job)
{
	bool any = job->comparison.run.count > 0 && job->comparison.equal;
	return !job->populate || !any || package_model(job);
}

/* ---- the job ---- */

static bool
step(struct run_job *job, const char *name, bool (*work)(struct run_job *))
{
	return steps_begin(job->steps, name, &job->why)
	       && steps_end(job->steps, work(job), &job->why);
}

/* A run, from the first step to the last. The first that cannot be done ends it. */
static bool
go_through(struct run_job *job)
{
	return step(job, "fetch-jar", fetch_jar)         // cache or store -> run/moolloy.jar
	       && step(job, "verify", verify_jar)        // its bytes are those announced
	       && step(job, "fetch-model", fetch_model)  // store -> model.archive
	       && step(job, "extract", extract_model)    // -> model/
	       && step(job, "execute", execute)          // java, boxed -> run/
	       && step(job, "compare", compare)          // run/ against model/
	       && step(job, "populate", populate)        // a model without solutions gets them
	       && step(job, "package", package_results); // a tarball, streamed into the store
}

/* A step's failure must not hide what is known of the run: it becomes the evidence. */
static void
tell_failure(struct run_job *job)
{
	struct failure *verdict = &job->outcome->why;
	if (verdict->code != FAILURE_NONE && !job->why.details)
		failure_set_details(&job->why, verdict->message, strlen(verdict->message));
	failure_copy(verdict, &job->why);
}

static bool
make_directories(struct run_job *job)
{
	return (mkdirat(job->directory_fd, "model", 0755) == 0
	        && mkdirat(job->directory_fd, "run", 0755) == 0)
	       || fail_errno(&job->why, "cannot make the job's directories");
}

bool
run_job(struct runner *runner)
{
	scoped(run_job_done) struct run_job job = {.config = runner->config,
	                                           .job = runner->job,
	                                           .directory = runner->directory,
	                                           .directory_fd = runner->directory_fd,
	                                           .steps = &runner->steps,
	                                           .outcome = runner->outcome};
	bool done = make_directories(&job) && go_through(&job);
	if (!done)
		tell_failure(&job);
	return done;
}
