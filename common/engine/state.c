#include "engine/state.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"

#define PATIENCE 2000
#define SLICE    10

static bool
lock(int fd, const char *state_directory, struct failure *why)
{
	const struct timespec slice = {.tv_nsec = SLICE * 1000000};
	int64_t began = clock_ms();
	bool told = false;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return fail_errno(why, "cannot lock %s", state_directory);
		if (clock_ms() - began >= PATIENCE)
			return fail(why, FAILURE_EXISTS, "another worker uses %s", state_directory);
		if (!told)
			log_info(NULL, "somebody uses %s: waiting a little", state_directory);
		told = true;
		nanosleep(&slice, NULL);
	}
	return true;
}

static char *
lock_path(const char *state_directory)
{
	return format("%s/lock", state_directory);
}

bool
state_take(const char *state_directory, int *ret_fd, struct failure *why)
{
	scoped_free char *path = lock_path(state_directory);
	scoped_free char *jobs = format("%s/jobs", state_directory);
	scoped_free char *claims = format("%s/claims", state_directory);
	if (!directory_make(jobs, 0700, why) || !directory_make(claims, 0700, why))
		return false;
	scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno(why, "cannot open %s", path);
	if (!lock(fd, state_directory, why))
		return false;
	*ret_fd = take_fd(&fd);
	return true;
}

bool
state_is_held(const char *state_directory, int fd, struct failure *why)
{
	struct stat ours, there;
	scoped_free char *path = lock_path(state_directory);
	if (fstat(fd, &ours) < 0 || stat(path, &there) < 0)
		return fail_errno(why, "%s was removed: start this worker again", path);
	return (ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
	       || fail(why, FAILURE_EXISTS, "%s is another's by now: start this worker again",
	               path);
}
