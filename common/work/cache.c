#include "work/cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/scoped.h"
#include "base/text.h"

#define BLOCK 262144

/* An entry as eviction sees it. */
struct entry {
	char *name;
	int64_t size;
	struct timespec used;
};

static bool
open_jars(const char *cache_directory, int *ret_fd, struct failure *why)
{
	scoped_free char *path = format("%s/jars", cache_directory);
	return (directory_make(path, 0750, why) && directory_open(AT_FDCWD, path, ret_fd, why))
	       || fail_within(why, "cache");
}

/* ---- taking ---- */

static bool
copy_hashed(int from, int to, const struct tick *tick, char ret_sha256[SHA256_TEXT],
            struct failure *why)
{
	scoped(digest_drop) struct digest *digest = digest_new();
	scoped_free char *block = allocate(BLOCK);
	int64_t done = 0;
	ssize_t got;
	while ((got = read(from, block, BLOCK)) > 0) {
		digest_update(digest, block, (size_t)got);
		if (!write_all(to, block, (size_t)got, why))
			return false;
		done += got;
		if (!tick_tell(tick, done, 0))
			return fail(why, FAILURE_CANCELLED, "stopped while reading the cache");
	}
	if (got < 0)
		return fail_errno(why, "cannot read a jar");
	digest_finish(&digest, ret_sha256);
	return true;
}

static bool
empty(int fd, struct failure *why)
{
	return (ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0)
	       || fail_errno(why, "cannot empty a file");
}

/* The time of its last use is the file's time of modification: that of access may be off. */
static void
mark_used(int fd)
{
	const struct timespec now[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
	futimens(fd, now);
}

bool
cache_take(const char *cache_directory, const char *sha256, int fd, const struct tick *tick,
           enum cache_found *ret_found, struct failure *why)
{
	char got[SHA256_TEXT];
	scoped_fd int jars = -1;
	if (!open_jars(cache_directory, &jars, why))
		return false;
	scoped_fd int jar = openat(jars, sha256, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (jar < 0 && errno != ENOENT)
		return fail_errno(why, "cannot open %s in the cache", sha256);
	if (jar < 0) {
		*ret_found = CACHE_ABSENT;
		return true;
	}
	bool read = copy_hashed(jar, fd, tick, got, why);
	bool good = read && strings_equal(got, sha256);
	/* What is fetched instead must not stand behind half of this one. */
	if (!good && !empty(fd, read ? why : NULL))
		return false;
	if (!read)
		return false;
	if (good)
		mark_used(jar);
	else
		unlinkat(jars, sha256, 0);
	*ret_found = good ? CACHE_FOUND : CACHE_DAMAGED;
	return true;
}

/* ---- keeping ---- */

/* Without a name until it is whole, so that a crash leaves nothing. */
static bool
write_nameless(int jars, int from, const char *sha256, int *ret_fd, struct failure *why)
{
	char got[SHA256_TEXT];
	scoped_fd int to = openat(jars, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	if (to < 0)
		return fail_errno(why, "cannot make a file in the cache");
	if (lseek(from, 0, SEEK_SET) < 0)
		return fail_errno(why, "cannot read what is to be cached");
	if (!copy_hashed(from, to, NULL, got, why))
		return false;
	if (!strings_equal(got, sha256))
		return fail(why, FAILURE_HASH_MISMATCH,
		            "what is to be cached hashes to %s, not to %s", got, sha256);
	*ret_fd = take_fd(&to);
	return true;
}

static bool
give_name(int jars, int fd, const char *name, struct failure *why)
{
	scoped_free char *nameless = format("/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, nameless, jars, name, AT_SYMLINK_FOLLOW) == 0 || errno == EEXIST
	       || fail_errno(why, "cannot name %s in the cache", name);
}

static int
least_recent_first(const void *a, const void *b)
{
	const struct timespec *one = &((const struct entry *)a)->used;
	const struct timespec *other = &((const struct entry *)b)->used;
	if (one->tv_sec != other->tv_sec)
		return one->tv_sec < other->tv_sec ? -1 : 1;
	return (one->tv_nsec > other->tv_nsec) - (one->tv_nsec < other->tv_nsec);
}

/* Removes the least recently used of the entries until `limit` is kept. */
static bool
evict_entries(int jars, struct entry *entries, size_t count, int64_t limit, struct failure *why)
{
	int64_t total = 0;
	qsort(entries, count, sizeof *entries, least_recent_first);
	for (size_t i = 0; i < count; i++)
		total += entries[i].size;
	for (size_t i = 0; i < count && total > limit; i++) {
		if (unlinkat(jars, entries[i].name, 0) < 0 && errno != ENOENT)
			return fail_errno(why, "cannot remove %s from the cache", entries[i].name);
		total -= entries[i].size;
	}
	return true;
}

/* One worker at a time, or two would remove twice what is too much. */
static bool
evict(int jars, int64_t limit, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_fd int locked = openat(jars, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (locked < 0 || flock(locked, LOCK_EX) < 0)
		return fail_errno(why, "cannot lock the cache");
	if (!directory_list(jars, ".", &names, why))
		return false;
	scoped_free struct entry *entries = allocate((names.count + 1) * sizeof *entries);
	size_t count = 0;
	for (size_t i = 0; i < names.count; i++) {
		struct stat about;
		if (fstatat(jars, names.items[i], &about, AT_SYMLINK_NOFOLLOW) == 0)
			entries[count++] = (struct entry){
			    .name = names.items[i], .size = about.st_size, .used = about.st_mtim};
	}
	return evict_entries(jars, entries, count, limit, why);
}

bool
cache_keep(const char *cache_directory, const struct store_object *object, int fd, int64_t limit,
           struct failure *why)
{
	scoped_fd int jars = -1, copy = -1;
	if (object->size > limit)
		return true;
	return open_jars(cache_directory, &jars, why)
	       && write_nameless(jars, fd, object->sha256, &copy, why)
	       && give_name(jars, copy, object->sha256, why) && evict(jars, limit, why);
}
