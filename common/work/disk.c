#include "work/disk.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/scoped.h"
#include "base/text.h"
#include "base/units.h"

#define LOOK_EVERY    1000                /* ms: asking the file system costs a call */
#define MEASURE_EVERY 3000                /* ms: measuring the directory costs a walk through it */
#define RESERVE_BYTES (4LL * 1024 * 1024) /* an outcome and a letter have up to 1 MiB each */

static bool
has_room(const char *directory, int64_t free_bytes, const char *whose, struct failure *why)
{
	int64_t bytes, inodes;
	if (!space_free(directory, &bytes, &inodes, why))
		return false;
	scoped_free char *left = size_rough(bytes);
	if (bytes < free_bytes)
		return fail(why, FAILURE_DISK_FULL,
		            "stopped with only %s free on the %s's disk (disk.stop-bytes)", left,
		            whose);
	return inodes > 0
	       || fail(why, FAILURE_DISK_FULL, "no inode is free on the %s's disk", whose);
}

bool
disk_look_now(const struct disk_watch *watch, struct failure *why)
{
	bool cached = watch->cache && file_exists(AT_FDCWD, watch->cache);
	return !watch->directory
	       || (has_room(watch->directory, watch->free_bytes, "job", why)
	           && (!cached || has_room(watch->cache, watch->free_bytes, "cache", why)));
}

static bool
is_within_bounds(const struct disk_watch *watch, struct failure *why)
{
	int64_t bytes;
	/* Files come and go while it is measured; what cannot be measured now can be later. */
	if (!tree_size(AT_FDCWD, watch->directory, &bytes, NULL) || bytes <= watch->job_bytes)
		return true;
	scoped_free char *held = size_rough(bytes);
	scoped_free char *limit = size_rough(watch->job_bytes);
	return fail(why, FAILURE_DISK_FULL,
	            "the job's directory holds %s, more than %s (disk.job-bytes)", held, limit);
}

bool
disk_look(struct disk_watch *watch, struct failure *why)
{
	int64_t now = clock_ms();
	if (!watch->directory || now - watch->looked < LOOK_EVERY)
		return true;
	watch->looked = now;
	if (!disk_look_now(watch, why))
		return false;
	if (!watch->job_bytes || now - watch->measured < MEASURE_EVERY)
		return true;
	watch->measured = now;
	return is_within_bounds(watch, why);
}

/* ---- the reserve ---- */

static char *
reserve_path(const char *state_directory)
{
	return format("%s/reserve", state_directory);
}

void
disk_make_reserve(const char *state_directory)
{
	struct stat about;
	scoped_free char *path = reserve_path(state_directory);
	scoped_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(fd, &about) < 0 || about.st_size >= RESERVE_BYTES)
		return;
	if (posix_fallocate(fd, 0, RESERVE_BYTES) != 0)
		unlink(path);
}

bool
disk_gave_up_reserve(const char *state_directory, const struct failure *why)
{
	scoped_free char *path = reserve_path(state_directory);
	return why && why->code == FAILURE_DISK_FULL && unlink(path) == 0;
}
