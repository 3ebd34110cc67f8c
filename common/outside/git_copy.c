/* A tree made by copying another one: what was checked out once is not inflated again. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "git_state.h"
#include "outside/git.h"

#define BLOCK      65536
#define LARGE      (64 << 20)
#define LINK_LIMIT 4096

/* Two directories, one in each tree, under the same path. */
struct place {
	int from_top, to_top;
	char *path;   /* of the directory, "" for the top; NULL: none is open */
	int from, to; /* fds */
	char block[BLOCK];
};

static void
place_done(struct place *place)
{
	free(place->path);
	close_fd(&place->from);
	close_fd(&place->to);
	close_fd(&place->from_top);
	close_fd(&place->to_top);
}

/* ---- one file ---- */

/* Of a file, less than was asked for is the rest of it. */
static bool
copy_bytes(struct place *place, int from, int to, struct failure *why)
{
	ssize_t got;
	do {
		got = read(from, place->block, BLOCK);
		if (got < 0)
			return fail_errno(why, "cannot read");
		if (!write_all(to, place->block, (size_t)got, why))
			return false;
	} while (got == BLOCK);
	return true;
}

/* Of a large file the kernel may share what it need not copy; what it left is left to us. */
static void
copy_by_kernel(int from, int to)
{
	while (copy_file_range(from, NULL, to, NULL, LARGE, 0) > 0)
		;
}

static bool
copy_file(struct place *place, const git_index_entry *entry, const char *name, struct stat *ret,
          struct failure *why)
{
	mode_t mode = entry->mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0777 : 0666;
	scoped_fd int from = openat(place->from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0)
		return fail_errno(why, "cannot open");
	scoped_fd int to = openat(place->to, name,
	                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (to < 0)
		return fail_errno(why, "cannot create");
	if (entry->file_size > BLOCK)
		copy_by_kernel(from, to);
	return copy_bytes(place, from, to, why)
	       && (fstat(to, ret) == 0 || fail_errno(why, "cannot look at"));
}

static bool
copy_link(struct place *place, const char *name, struct stat *ret, struct failure *why)
{
	char target[LINK_LIMIT];
	ssize_t length = readlinkat(place->from, name, target, sizeof target - 1);
	if (length < 0)
		return fail_errno(why, "cannot read link");
	target[length] = '\0';
	return (symlinkat(target, place->to, name) == 0
	        && fstatat(place->to, name, ret, AT_SYMLINK_NOFOLLOW) == 0)
	       || fail_errno(why, "cannot make link");
}

/* Where a submodule is to be. */
static bool
make_directory(struct place *place, const char *name, struct stat *ret, struct failure *why)
{
	return (mkdirat(place->to, name, 0777) == 0
	        && fstatat(place->to, name, ret, AT_SYMLINK_NOFOLLOW) == 0)
	       || fail_errno(why, "cannot make directory");
}

/* ---- where it lies ---- */

/* Entries come sorted, so that most lie where the one before did. */
static bool
go_to(struct place *place, const char *path, const char **ret_name, struct failure *why)
{
	const char *slash = strrchr(path, '/'), *last;
	size_t length = slash ? (size_t)(slash - path) : 0;
	int made = 0;
	*ret_name = slash ? slash + 1 : path;
	if (place->path && strlen(place->path) == length && strncmp(place->path, path, length) == 0)
		return true;
	scoped_free char *one = copy_string(path), *other = copy_string(path);
	free_pointer(&place->path);
	close_fd(&place->from);
	close_fd(&place->to);
	place->from = directory_descend(place->from_top, one, NULL, &last);
	if (place->from < 0)
		return fail_errno(why, "cannot open the directory of");
	place->to = directory_descend(place->to_top, other, &made, &last);
	if (place->to < 0)
		return fail_errno(why, "cannot make the directory of");
	place->path = format("%.*s", (int)length, path);
	return true;
}

/* ---- all of them ---- */

static void
set_stat(git_index_entry *entry, const struct stat *about)
{
	entry->ctime.seconds = (int32_t)about->st_ctim.tv_sec;
	entry->ctime.nanoseconds = (uint32_t)about->st_ctim.tv_nsec;
	entry->mtime.seconds = (int32_t)about->st_mtim.tv_sec;
	entry->mtime.nanoseconds = (uint32_t)about->st_mtim.tv_nsec;
	entry->dev = (uint32_t)about->st_dev;
	entry->ino = (uint32_t)about->st_ino;
	entry->uid = about->st_uid;
	entry->gid = about->st_gid;
	entry->file_size = (uint32_t)about->st_size;
}

static bool
copy_entry(struct place *place, git_index_entry *entry, struct failure *why)
{
	struct stat about;
	const char *name;
	bool copied = go_to(place, entry->path, &name, why);
	if (copied && entry->mode == GIT_FILEMODE_COMMIT)
		copied = make_directory(place, name, &about, why);
	else if (copied && entry->mode == GIT_FILEMODE_LINK)
		copied = copy_link(place, name, &about, why);
	else if (copied)
		copied = copy_file(place, entry, name, &about, why);
	if (!copied)
		return fail_within(why, "%.200s", entry->path);
	/* As git has it, submodules carry no stat data. */
	if (entry->mode != GIT_FILEMODE_COMMIT)
		set_stat(entry, &about);
	return true;
}

/* Most of it is the kernel's work, which two can have done at once. */
#define SHARES 2

/* A share of the entries, and who copies it. */
struct share {
	git_index *from;
	size_t begin, end;
	git_index_entry *copies; /* of all entries: what is to stand in the new index */
	atomic_bool *stop;       /* the other one failed */
	struct place place;
	bool asks; /* the one that may ask the tick */
	bool good;
	struct failure why;
};

static bool
may_go_on(const struct share *share, size_t at, struct failure *why)
{
	if (atomic_load(share->stop))
		return fail(why, FAILURE_CANCELLED, "stopped with the other share");
	return !share->asks
	       || tick_tell(git_state.tick, (int64_t)((at - share->begin) * SHARES),
	                    (int64_t)((share->end - share->begin) * SHARES))
	       || fail(why, FAILURE_CANCELLED, "stopped");
}

static void *
copy_share(void *data)
{
	struct share *share = data;
	share->good = true;
	for (size_t i = share->begin; share->good && i < share->end; i++) {
		share->copies[i] = *git_index_get_byindex(share->from, i);
		share->good = may_go_on(share, i, &share->why)
		              && copy_entry(&share->place, &share->copies[i], &share->why);
	}
	if (!share->good)
		atomic_store(share->stop, true);
	return NULL;
}

static void
share_done(struct share *share)
{
	place_done(&share->place);
	failure_done(&share->why);
}

/* The last share is ours, which alone asks the tick. */
static bool
copy_shares(struct share shares[SHARES], struct failure *why)
{
	pthread_t others[SHARES - 1];
	int started = 0;
	while (started < SHARES - 1
	       && pthread_create(&others[started], NULL, copy_share, &shares[started]) == 0)
		started++;
	for (int i = started; i < SHARES; i++)
		copy_share(&shares[i]);
	for (int i = 0; i < started; i++)
		pthread_join(others[i], NULL);
	/* Of two failures, one only says that there was the other. */
	const struct share *failed = NULL;
	for (int i = 0; i < SHARES; i++)
		if (!shares[i].good && (!failed || failed->why.code == FAILURE_CANCELLED))
			failed = &shares[i];
	if (failed)
		failure_copy(why, &failed->why);
	return !failed;
}

static bool
copy_files(const char *from, const char *to, git_index *index, git_index_entry *copies,
           struct failure *why)
{
	size_t count = git_index_entrycount(index);
	atomic_bool stop = false;
	struct share shares[SHARES];
	bool opened = true;
	for (int i = 0; i < SHARES; i++) {
		struct place *place = &shares[i].place;
		shares[i] = (struct share){.from = index,
		                           .begin = count * (size_t)i / SHARES,
		                           .end = count * ((size_t)i + 1) / SHARES,
		                           .copies = copies,
		                           .stop = &stop,
		                           .asks = i == SHARES - 1};
		place->from_top = place->to_top = place->from = place->to = -1;
		opened = opened && directory_open(AT_FDCWD, from, &place->from_top, why)
		         && directory_open(AT_FDCWD, to, &place->to_top, why);
	}
	bool copied = opened && copy_shares(shares, why);
	for (int i = 0; i < SHARES; i++)
		share_done(&shares[i]);
	return copied;
}

static bool
open_index(const char *tree, git_index **ret, struct failure *why)
{
	scoped_free char *path = format("%s/.git/index", tree);
	int result = git_index_open(ret, path);
	return result == 0 || git_fail(result, FAILURE_SYSTEM, why, "cannot read %s", path);
}

static bool
write_head(const char *tree, const char *commit, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *path = format("%s/.git/HEAD", tree);
	text_addf(&text, "%s\n", commit);
	return file_publish(AT_FDCWD, path, &text, 0644, why);
}

static bool
write_index(const char *tree, const git_index_entry *entries, size_t count, struct failure *why)
{
	scoped(git_drop_index) git_index *index = NULL;
	if (!open_index(tree, &index, why))
		return false;
	int result = 0;
	for (size_t i = 0; result == 0 && i < count; i++)
		result = git_index_add(index, &entries[i]);
	if (result == 0)
		result = git_index_write(index);
	return result == 0
	       || git_fail(result, FAILURE_SYSTEM, why, "cannot write the index of %s", tree);
}

bool
tree_copy(const char *from, const char *to, const char *commit, const struct tick *tick,
          struct failure *why)
{
	scoped(git_drop_index) git_index *index = NULL;
	git_begin(tick);
	if (!open_index(from, &index, why))
		return false;
	size_t count = git_index_entrycount(index);
	scoped_free git_index_entry *copies = allocate((count + 1) * sizeof *copies);
	return copy_files(from, to, index, copies, why) && write_index(to, copies, count, why)
	       && write_head(to, commit, why);
}

/* ---- is it what it should be? ---- */

static int
hash_entry(const char *tree, const git_index_entry *entry, git_oid *ret)
{
	char target[LINK_LIMIT];
	scoped_free char *path = format("%s/%s", tree, entry->path);
	if (entry->mode != GIT_FILEMODE_LINK)
		return git_odb_hashfile(ret, path, GIT_OBJECT_BLOB);
	ssize_t length = readlink(path, target, sizeof target);
	return length < 0 ? -1 : git_odb_hash(ret, target, (size_t)length, GIT_OBJECT_BLOB);
}

bool
tree_verify(const char *path, const struct tick *tick, struct failure *why)
{
	scoped(git_drop_index) git_index *index = NULL;
	git_begin(tick);
	if (!open_index(path, &index, why))
		return false;
	size_t count = git_index_entrycount(index);
	for (size_t i = 0; i < count; i++) {
		const git_index_entry *entry = git_index_get_byindex(index, i);
		git_oid id;
		if (!tick_tell(tick, (int64_t)i, (int64_t)count))
			return fail(why, FAILURE_CANCELLED, "stopped");
		if (entry->mode == GIT_FILEMODE_COMMIT)
			continue;
		if (hash_entry(path, entry, &id) < 0 || !git_oid_equal(&id, &entry->id))
			return fail(why, FAILURE_HASH_MISMATCH,
			            "%.200s does not hash to what it should", entry->path);
	}
	return true;
}
