#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Levels of a tree that are gone down into: each costs an fd. */
#define DEEPEST 128

bool
write_all(int fd, const void *bytes, size_t length, struct failure *why)
{
	const char *next = bytes;
	while (length > 0) {
		ssize_t written = write(fd, next, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return fail_errno(why, "cannot write %zu bytes", length);
		next += written;
		length -= (size_t)written;
	}
	return true;
}

bool
read_all(int fd, size_t limit, struct text *text, struct failure *why)
{
	size_t before = text->length;
	for (;;) {
		char *room = text_reserve(text, 16384);
		ssize_t got = read(fd, room, 16384);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_errno(why, "cannot read");
		text->length += (size_t)got;
		text->bytes[text->length] = '\0';
		if (text->length - before > limit)
			return fail(why, FAILURE_REJECTED, "more than %zu bytes", limit);
		if (got == 0)
			return true;
	}
}

bool
file_read(int dir, const char *path, size_t limit, struct text *text, struct failure *why)
{
	scoped_fd int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail_errno(why, "cannot open %s", path);
	return read_all(fd, limit, text, why) || fail_within(why, "%s", path);
}

/* The directory that holds path: dir itself, or the one path names. */
static bool
open_parent(int dir, const char *path, int *ret_fd, struct failure *why)
{
	scoped_free char *copy = copy_string(path);
	return directory_open(dir, dirname(copy), ret_fd, why);
}

static bool
write_temporary(int dir, const char *name, const struct text *bytes, mode_t mode, int *ret_fd,
                struct failure *why)
{
	scoped_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	                          mode);
	if (fd < 0)
		return fail_errno(why, "cannot create %s", name);
	if (!write_all(fd, text_string(bytes), bytes->length, why))
		return false;
	*ret_fd = take_fd(&fd);
	return true;
}

/* Temporary file, sync if it must last, rename, sync of the directory likewise. */
static bool
put_in_place(int dir, const char *path, const struct text *bytes, mode_t mode, bool lasting,
             struct failure *why)
{
	scoped_fd int parent = -1, fd = -1;
	if (!open_parent(dir, path, &parent, why))
		return false;
	scoped_free char *copy = copy_string(path);
	const char *name = basename(copy);
	scoped_free char *temporary = format(".%s.tmp", name);
	if (!write_temporary(parent, temporary, bytes, mode, &fd, why)) {
		unlinkat(parent, temporary, 0);
		return fail_within(why, "%s", path);
	}
	if (lasting && fsync(fd) < 0)
		return fail_errno(why, "cannot sync %s", path);
	if (renameat(parent, temporary, parent, name) < 0)
		return fail_errno(why, "cannot rename %s to %s", temporary, path);
	return !lasting || directory_sync(parent, why);
}

bool
file_replace(int dir, const char *path, const struct text *bytes, mode_t mode, struct failure *why)
{
	return put_in_place(dir, path, bytes, mode, true, why);
}

bool
file_publish(int dir, const char *path, const struct text *bytes, mode_t mode, struct failure *why)
{
	return put_in_place(dir, path, bytes, mode, false, why);
}

bool
file_remove(int dir, const char *path, struct failure *why)
{
	if (unlinkat(dir, path, 0) < 0)
		return errno == ENOENT || fail_errno(why, "cannot remove %s", path);
	scoped_fd int parent = -1;
	return open_parent(dir, path, &parent, why) && directory_sync(parent, why);
}

bool
file_exists(int dir, const char *path)
{
	struct stat about;
	return fstatat(dir, path, &about, AT_SYMLINK_NOFOLLOW) == 0;
}

bool
directory_make(const char *path, mode_t mode, struct failure *why)
{
	if (mkdir(path, mode) == 0)
		return true;
	if (errno == ENOENT) {
		scoped_free char *copy = copy_string(path);
		const char *parent = dirname(copy);
		if (strings_equal(parent, path))
			return fail_errno(why, "cannot make directory %s", path);
		if (!directory_make(parent, mode, why))
			return false;
		if (mkdir(path, mode) == 0)
			return true;
	}
	struct stat about;
	if (errno == EEXIST && stat(path, &about) == 0 && S_ISDIR(about.st_mode))
		return true;
	return fail_errno(why, "cannot make directory %s", path);
}

bool
directory_open(int dir, const char *path, int *ret_fd, struct failure *why)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(why, "cannot open directory %s", path);
	*ret_fd = fd;
	return true;
}

/* Makes it if it is missing; true if it may be there now. */
static bool
make_missing(int dir, const char *name, int *made)
{
	if (mkdirat(dir, name, 0755) == 0) {
		++*made;
		return true;
	}
	return errno == EEXIST;
}

int
directory_descend(int dir, char *path, int *made, const char **ret_last)
{
	scoped_fd int at = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	char *rest = NULL, *part = strtok_r(path, "/", &rest);
	for (char *next; (next = strtok_r(NULL, "/", &rest)); part = next) {
		if (strcmp(part, ".") == 0)
			continue;
		if (made && !make_missing(at, part, made))
			return -1;
		int deeper = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (deeper < 0)
			return -1;
		close_fd(&at);
		at = deeper;
	}
	*ret_last = part;
	return take_fd(&at);
}

bool
directory_sync(int dir, struct failure *why)
{
	/* Some file systems cannot sync a directory and say EINVAL: there is nothing to sync then.
	 */
	if (fsync(dir) < 0 && errno != EINVAL)
		return fail_errno(why, "cannot sync directory");
	return true;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Opens path as a directory stream; with nofollow a symbolic link is an error. */
static DIR *
open_stream(int dir, const char *path, int flags)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !stream)
		close(fd);
	return stream;
}

static bool
is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

bool
directory_list(int dir, const char *path, struct strings *names, struct failure *why)
{
	scoped_dir DIR *stream = open_stream(dir, path, 0);
	if (!stream)
		return fail_errno(why, "cannot list %s", path);
	for (struct dirent *entry; (entry = readdir(stream));)
		if (!is_dots(entry->d_name))
			strings_add(names, entry->d_name);
	if (names->count)
		qsort(names->items, names->count, sizeof *names->items, by_name);
	return true;
}

/* Opens a directory to empty it; one that lacks the permission is given it. */
static DIR *
open_to_empty(int dir, const char *path)
{
	DIR *stream = open_stream(dir, path, O_NOFOLLOW);
	if (stream || errno != EACCES)
		return stream;
	if (fchmodat(dir, path, 0700, 0) < 0)
		return NULL;
	return open_stream(dir, path, O_NOFOLLOW);
}

/* A tree being removed. */
struct removal {
	dev_t device;    /* of its root: no mount is entered */
	int root;        /* fd */
	int depth;       /* of where we are */
	unsigned lifted; /* directories that were moved from too deep up to the root */
};

/* Deeper down we neither have fds enough nor stack: what lies there becomes shallow. */
static bool
lift(struct removal *removal, int dir, const char *name, struct failure *why)
{
	/* A directory that changes its parent must be writable itself. */
	if (fchmodat(dir, name, 0700, 0) < 0)
		return fail_errno(why, "cannot open up %s", name);
	for (;;) {
		scoped_free char *to = format(".lifted-%u", removal->lifted++);
		if (renameat(dir, name, removal->root, to) == 0)
			return true;
		if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
			return fail_errno(why, "cannot move %s to remove it", name);
	}
}

static bool remove_entry(struct removal *removal, int dir, const char *name, struct failure *why);

static bool
empty(struct removal *removal, DIR *stream, const char *name, struct failure *why)
{
	struct stat about;
	if (fstat(dirfd(stream), &about) < 0 || about.st_dev != removal->device)
		return fail(why, FAILURE_SYSTEM, "%s is a mount point: not removed", name);
	/* Removing needs the write permission of the directory. */
	if ((about.st_mode & 0300) != 0300 && fchmod(dirfd(stream), 0700) < 0)
		return fail_errno(why, "cannot open up %s", name);
	removal->depth++;
	for (struct dirent *entry; (entry = readdir(stream));)
		if (!is_dots(entry->d_name)
		    && !remove_entry(removal, dirfd(stream), entry->d_name, why))
			return false;
	removal->depth--;
	return true;
}

static bool
remove_entry(struct removal *removal, int dir, const char *name, struct failure *why)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR && errno != EPERM)
		return fail_errno(why, "cannot remove %s", name);
	if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
		return true;
	if (removal->depth >= DEEPEST)
		return lift(removal, dir, name, why);
	scoped_dir DIR *stream = open_to_empty(dir, name);
	if (!stream)
		return fail_errno(why, "cannot open %s to remove it", name);
	if (!empty(removal, stream, name, why))
		return false;
	return unlinkat(dir, name, AT_REMOVEDIR) == 0 || fail_errno(why, "cannot remove %s", name);
}

/* As often as something was lifted into the root. */
static bool
empty_root(DIR *stream, const char *path, struct failure *why)
{
	struct stat about;
	unsigned before;
	if (fstat(dirfd(stream), &about) < 0)
		return fail_errno(why, "cannot look at %s", path);
	struct removal removal = {.device = about.st_dev, .root = dirfd(stream)};
	do {
		before = removal.lifted;
		rewinddir(stream);
		if (!empty(&removal, stream, path, why))
			return false;
	} while (removal.lifted != before);
	return true;
}

bool
tree_remove(int dir, const char *path, struct failure *why)
{
	if (unlinkat(dir, path, 0) == 0 || errno == ENOENT)
		return true;
	if (errno != EISDIR && errno != EPERM)
		return fail_errno(why, "cannot remove %s", path);
	scoped_dir DIR *stream = open_to_empty(dir, path);
	if (!stream)
		return fail_errno(why, "cannot open %s to remove it", path);
	if (!empty_root(stream, path, why))
		return false;
	return unlinkat(dir, path, AT_REMOVEDIR) == 0 || fail_errno(why, "cannot remove %s", path);
}

/* Adds the bytes below an open directory. A file with several links counts by its share, so that
 * each inode counts once. What lies too deep does not count. */
static bool
add_size(int dir, const char *path, int depth, int64_t *bytes, struct failure *why)
{
	if (depth > DEEPEST)
		return true;
	scoped_dir DIR *stream = open_stream(dir, path, O_NOFOLLOW);
	if (!stream)
		return errno == ENOENT || errno == EACCES
		       || fail_errno(why, "cannot list %s", path);
	for (struct dirent *entry; (entry = readdir(stream));) {
		struct stat about;
		if (is_dots(entry->d_name)
		    || fstatat(dirfd(stream), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(about.st_mode))
			*bytes += about.st_blocks * 512 / (int64_t)about.st_nlink;
		else if (S_ISDIR(about.st_mode)
		         && !add_size(dirfd(stream), entry->d_name, depth + 1, bytes, why))
			return false;
	}
	return true;
}

bool
tree_size(int dir, const char *path, int64_t *ret_bytes, struct failure *why)
{
	int64_t bytes = 0;
	if (!add_size(dir, path, 0, &bytes, why))
		return false;
	*ret_bytes = bytes;
	return true;
}

bool
space_free(const char *path, int64_t *ret_bytes, int64_t *ret_inodes, struct failure *why)
{
	struct statvfs about;
	if (statvfs(path, &about) < 0)
		return fail_errno(why, "cannot ask for the free space of %s", path);
	*ret_bytes = (int64_t)about.f_bavail * (int64_t)about.f_frsize;
	/* File systems without a fixed number of inodes (btrfs) say 0 of 0. */
	*ret_inodes = about.f_files == 0 ? INT64_MAX : (int64_t)about.f_favail;
	return true;
}
