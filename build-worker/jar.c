#include "jar.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/files.h"
#include "work/unfinished.h"

#define RACES 3 /* for one key; who loses more is told to come back */

/* ---- found ---- */

/* Its bytes, hashed on the way to nowhere. */
static bool
hash_stored(struct build_job *job, struct store_object *ret)
{
	struct tick tick = steps_tick(job->steps, "bytes");
	scoped_fd int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (nowhere < 0)
		return fail_errno(&job->why, "cannot open /dev/null");
	return store_get(job->store, job->key, nowhere, &tick, ret, &job->why);
}

static bool
has_hash(struct build_job *job, const struct store_object *metadata,
         const struct store_object *bytes)
{
	return metadata->sha256[0]
	       || store_set_sha256(job->store, job->key, bytes->sha256, &job->why);
}

static bool
take_over(struct build_job *job, const struct store_object *metadata,
          const struct store_object *bytes)
{
	if (!has_hash(job, metadata, bytes))
		return false;
	job->stored = *bytes;
	job->built = true;
	log_info(&job->steps->about, "%s is in the store already", job->key);
	return true;
}

static bool
look(struct build_job *job)
{
	struct store_object metadata, bytes;
	if (!store_head(job->store, job->key, &metadata, &job->why) || !hash_stored(job, &bytes))
		return false;
	if (!metadata.sha256[0] || strings_equal(metadata.sha256, bytes.sha256))
		return take_over(job, &metadata, &bytes);
	log_warning(&job->steps->about, "%s hashes to %s, not to %s: damaged, building it again",
	            job->key, bytes.sha256, metadata.sha256);
	steps_healed(job->steps);
	job->replace = true;
	memcpy(job->replaced, bytes.version, sizeof bytes.version);
	return true;
}

/* Others may put it, replace it and remove it at the same time; that is no job's fault. */
static bool
blame_others(struct build_job *job)
{
	return fail(&job->why, FAILURE_SERVER,
	            "%s in the store (%s) is changed by others all the time", job->key,
	            store_describe(job->store));
}

bool
jar_adopt(struct build_job *job)
{
	job->replace = false;
	if (look(job))
		return true;
	if (job->why.code == FAILURE_EXISTS)
		return blame_others(job);
	if (job->why.code != FAILURE_NOT_FOUND)
		return false;
	failure_clear(&job->why);
	return true;
}

/* ---- put ---- */

/* Below the tree, by way of no link: the build may have put anything there. */
static bool
open_artifact(struct build_job *job, int *ret_fd)
{
	const char *path = job->config->artifact;
	struct stat about;
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	scoped_fd int tree = -1;
	if (!directory_open(AT_FDCWD, job->tree, &tree, &job->why))
		return false;
	scoped_fd int fd = (int)syscall(SYS_openat2, tree, path, &how, sizeof how);
	if (fd < 0)
		return fail(&job->why, FAILURE_NO_ARTIFACT,
		            "the build left no %s (build.artifact): %s", path, strerror(errno));
	if (fstat(fd, &about) < 0 || !S_ISREG(about.st_mode) || about.st_size == 0)
		return fail(&job->why, FAILURE_NO_ARTIFACT, "%s is %s (build.artifact)", path,
		            S_ISREG(about.st_mode) ? "empty" : "no file");
	*ret_fd = take_fd(&fd);
	return true;
}

static bool
put(struct build_job *job, int fd)
{
	struct tick tick = steps_tick(job->steps, "bytes");
	const struct store_put how = {.once = !job->replace,
	                              .replaces = job->replace ? job->replaced : NULL};
	return unfinished_note(job->directory_fd, job->store, job->key, &job->why)
	       && store_put_fd(job->store, job->key, fd, &how, &tick, &job->stored, &job->why);
}

bool
jar_upload(struct build_job *job)
{
	scoped_fd int fd = -1;
	if (!open_artifact(job, &fd))
		return false;
	for (int i = 0; !job->built && i < RACES; i++) {
		failure_clear(&job->why);
		if (put(job, fd))
			return true;
		if (job->why.code != FAILURE_EXISTS)
			return false;
		log_info(&job->steps->about, "another worker was faster with %s", job->key);
		if (!jar_adopt(job))
			return false;
	}
	return job->built || blame_others(job);
}
