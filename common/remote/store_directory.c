/*
 * A directory as a store: the object is the file <path>/<key>, its metadata beside it in
 * sha256sum(1)'s form, <key>.sha256, so that `sha256sum -c` works there. Needs a local file system
 * (flock, renameat2). No link below <path> is followed: to put results on another disk, mount it.
 *
 * An object appears whole or not at all: it is written as .uploads/<random> in the directory of
 * its key, synced, then renamed. Its writer holds a lock on it until then, so that what a dead one
 * left can be told and removed.
 *
 * Bytes and metadata change under a lock on .uploads, and never lie: first the old metadata goes,
 * then the object changes, then the new metadata comes. A crash in between leaves an object without
 * metadata, which whoever reads it next can hash.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/text.h"
#include "remote/store_body.h"

#define METADATA_ENDING ".sha256"
#define UPLOADS         ".uploads"

struct directory_store {
	struct store store;
	int top; /* fd of the directory */
};

/* Where the object of a key lies, or will. */
struct place {
	int parent; /* fd of the directory that holds it */
	char *path; /* the key, cut up */
	const char *name;
	char *metadata; /* the name of its metadata */
};
#define PLACE_INIT                                                                                 \
	{                                                                                          \
		.parent = -1                                                                       \
	}

struct directory_upload {
	struct store_upload upload;
	char *key;
	bool once;
	char *sha256; /* announced; or NULL */
	struct place place;
	char *temporary; /* its name in place.parent until it is published; NULL then */
	int fd;          /* of the temporary file, locked */
	struct digest *digest;
	int64_t size;
};

static int
top_of(const struct store *store)
{
	return ((const struct directory_store *)store)->top;
}

static bool
open_store(const struct store_settings *settings, struct store **ret, struct failure *why)
{
	int top;
	if (!settings->path)
		return fail(why, FAILURE_CONFIGURATION, "store.path is not set");
	if (!directory_make(settings->path, 0755, why)
	    || !directory_open(AT_FDCWD, settings->path, &top, why))
		return fail_within(why, "store");
	struct directory_store *store = allocate(sizeof *store);
	store->store.body = &store_directory;
	store->store.description = format("directory %s", settings->path);
	store->top = top;
	*ret = &store->store;
	return true;
}

static void
close_store(struct store *store)
{
	struct directory_store *directory = (struct directory_store *)store;
	close_fd(&directory->top);
	free(directory);
}

/* ---- places ---- */

static void
place_done(struct place *place)
{
	close_fd(&place->parent);
	free_pointer(&place->path);
	free_pointer(&place->metadata);
}

static bool
fail_absent(const struct store *store, const char *key, struct failure *why)
{
	return fail(why, FAILURE_NOT_FOUND, "the store (%s) holds no %s", store->description, key);
}

static bool
open_place(const struct store *store, const char *key, int *made, struct place *place,
           struct failure *why)
{
	if (ends_with(key, METADATA_ENDING))
		return fail(why, FAILURE_REJECTED, "%s: keys must not end in " METADATA_ENDING,
		            key);
	place->path = copy_string(key);
	place->parent = directory_descend(top_of(store), place->path, made, &place->name);
	if (place->parent >= 0) {
		place->metadata = format("%s" METADATA_ENDING, place->name);
		return true;
	}
	if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		return fail_errno(why, "cannot open the directory of %s in the store", key);
	if (!made)
		return fail_absent(store, key, why);
	return fail(why, FAILURE_SYSTEM,
	            "cannot store %s: part of its path in the store is no directory", key);
}

static bool
make_uploads(const struct place *place, struct failure *why)
{
	return mkdirat(place->parent, UPLOADS, 0755) == 0 || errno == EEXIST
	       || fail_errno(why, "cannot make " UPLOADS " in the store");
}

/* The same, with directories made where they are missing, for good. */
static bool
make_place(const struct store *store, const char *key, struct place *place, struct failure *why)
{
	int made = 0;
	if (!open_place(store, key, &made, place, why) || !make_uploads(place, why))
		return false;
	return made == 0 || syncfs(place->parent) == 0 || fail_errno(why, "cannot sync the store");
}

/* Held until the fd is closed. Where nothing was ever uploaded there is nothing to lock. */
static bool
lock(const struct place *place, int how, int *ret_fd, struct failure *why)
{
	scoped_fd int fd = openat(place->parent, UPLOADS,
	                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return (errno == ENOENT && how == LOCK_SH)
		       || fail_errno(why, "cannot open " UPLOADS " in the store");
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return fail_errno(why, "cannot lock " UPLOADS " in the store");
	*ret_fd = take_fd(&fd);
	return true;
}

/* ---- reading ---- */

static int
open_regular(int dir, const char *name, struct stat *ret_about)
{
	scoped_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, ret_about) < 0)
		return -1;
	if (S_ISREG(ret_about->st_mode))
		return take_fd(&fd);
	errno = ENOENT;
	return -1;
}

static bool
open_placed(const struct store *store, const char *key, const struct place *place, int *ret_fd,
            struct stat *ret_about, struct failure *why)
{
	int fd = open_regular(place->parent, place->name, ret_about);
	if (fd < 0 && (errno == ENOENT || errno == ELOOP))
		return fail_absent(store, key, why);
	if (fd < 0)
		return fail_errno(why, "cannot open %s in the store", key);
	*ret_fd = fd;
	return true;
}

static bool
open_object(struct store *store, const char *key, const struct tick *tick, int *ret_fd,
            struct failure *why)
{
	(void)tick;
	scoped(place_done) struct place place = PLACE_INIT;
	struct stat about;
	return open_place(store, key, NULL, &place, why)
	       && open_placed(store, key, &place, ret_fd, &about, why);
}

/* "" where there is none, or none that can be understood. */
static void
read_metadata(const struct place *place, char ret_sha256[SHA256_TEXT])
{
	struct stat about;
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_fd int fd = open_regular(place->parent, place->metadata, &about);
	ret_sha256[0] = '\0';
	if (fd < 0 || !read_all(fd, 4096, &text, NULL) || text.length < SHA256_TEXT
	    || text.bytes[SHA256_TEXT - 1] != ' ')
		return;
	text.bytes[SHA256_TEXT - 1] = '\0';
	if (digest_is_sha256(text.bytes))
		memcpy(ret_sha256, text.bytes, SHA256_TEXT);
}

static bool
head(struct store *store, const char *key, struct store_object *ret_object, struct failure *why)
{
	struct stat about;
	scoped(place_done) struct place place = PLACE_INIT;
	scoped_fd int locked = -1, fd = -1;
	if (!open_place(store, key, NULL, &place, why) || !lock(&place, LOCK_SH, &locked, why)
	    || !open_placed(store, key, &place, &fd, &about, why))
		return false;
	ret_object->size = about.st_size;
	read_metadata(&place, ret_object->sha256);
	return true;
}

static bool
copy_out(int from, int to, int64_t total, const struct tick *tick, struct store_object *object,
         struct failure *why)
{
	scoped(digest_drop) struct digest *digest = digest_new();
	char block[65536];
	ssize_t got;
	object->size = 0;
	while ((got = read(from, block, sizeof block)) > 0) {
		digest_update(digest, block, (size_t)got);
		if (!write_all(to, block, (size_t)got, why))
			return false;
		object->size += got;
		if (!tick_tell(tick, object->size, total))
			return fail(why, FAILURE_CANCELLED, "stopped while reading from the store");
	}
	if (got < 0)
		return fail_errno(why, "cannot read from the store");
	digest_finish(&digest, object->sha256);
	return true;
}

static bool
get(struct store *store, const char *key, int fd, const struct tick *tick,
    struct store_object *ret_object, struct failure *why)
{
	scoped(place_done) struct place place = PLACE_INIT;
	scoped_fd int from = -1;
	struct stat about;
	struct store_object object = {0};
	if (!open_place(store, key, NULL, &place, why)
	    || !open_placed(store, key, &place, &from, &about, why))
		return false;
	if (!copy_out(from, fd, about.st_size, tick, &object, why))
		return fail_within(why, "%s", key);
	*ret_object = object;
	return true;
}

/* ---- metadata ---- */

/* Under the lock: a crash leaves it half written where the next upload sweeps. */
static bool
write_metadata(const struct place *place, const char *sha256, struct failure *why)
{
	scoped_free char *temporary = format(UPLOADS "/%s", place->metadata);
	scoped_free char *line = format("%s  %s\n", sha256, place->name);
	scoped_fd int fd = openat(place->parent, temporary,
	                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return fail_errno(why, "cannot write %s into the store", temporary);
	if (!write_all(fd, line, strlen(line), why))
		return fail_within(why, "%s", place->metadata);
	if (fsync(fd) < 0 || renameat(place->parent, temporary, place->parent, place->metadata) < 0)
		return fail_errno(why, "cannot store %s", place->metadata);
	return directory_sync(place->parent, why);
}

static bool
set_sha256(struct store *store, const char *key, const char *sha256, struct failure *why)
{
	scoped(place_done) struct place place = PLACE_INIT;
	scoped_fd int locked = -1, fd = -1;
	struct stat about;
	char present[SHA256_TEXT];
	if (!open_place(store, key, NULL, &place, why) || !make_uploads(&place, why)
	    || !lock(&place, LOCK_EX, &locked, why)
	    || !open_placed(store, key, &place, &fd, &about, why))
		return false;
	read_metadata(&place, present);
	if (present[0])
		return strings_equal(present, sha256)
		       || fail(why, FAILURE_EXISTS, "%s has the SHA-256 %s in the store, not %s",
		               key, present, sha256);
	return write_metadata(&place, sha256, why);
}

/* ---- writing ---- */

/* Removes what writers left that are dead: they no longer hold their locks. */
static void
sweep(int uploads)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(uploads, ".", &names, NULL))
		return;
	for (size_t i = 0; i < names.count; i++) {
		struct stat about;
		scoped_fd int fd = open_regular(uploads, names.items[i], &about);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(uploads, names.items[i], 0);
	}
}

/* Under the lock on .uploads, so that nobody sweeps it before it is locked itself. */
static bool
make_temporary(struct directory_upload *upload, struct failure *why)
{
	scoped_fd int uploads = -1;
	scoped_free char *name = random_hex(16);
	if (!lock(&upload->place, LOCK_EX, &uploads, why))
		return false;
	sweep(uploads);
	upload->fd = openat(uploads, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (upload->fd < 0)
		return fail_errno(why, "cannot write %s into the store", upload->key);
	upload->temporary = format(UPLOADS "/%s", name);
	return flock(upload->fd, LOCK_EX) == 0
	       || fail_errno(why, "cannot lock %s in the store", upload->temporary);
}

static void
drop(struct store_upload *upload)
{
	struct directory_upload *directory = (struct directory_upload *)upload;
	if (directory->temporary)
		unlinkat(directory->place.parent, directory->temporary, 0);
	close_fd(&directory->fd);
	digest_drop(&directory->digest);
	place_done(&directory->place);
	free(directory->key);
	free(directory->sha256);
	free(directory->temporary);
	free(directory);
}

static bool
begin(struct store *store, const char *key, const struct store_put *put, struct store_upload **ret,
      struct failure *why)
{
	struct directory_upload *upload = allocate(sizeof *upload);
	*upload = (struct directory_upload){.upload = {.store = store},
	                                    .key = copy_string(key),
	                                    .once = put->once,
	                                    .sha256 = copy_string(put->sha256),
	                                    .place = PLACE_INIT,
	                                    .fd = -1,
	                                    .digest = digest_new()};
	if (!make_place(store, key, &upload->place, why) || !make_temporary(upload, why)) {
		drop(&upload->upload);
		return false;
	}
	*ret = &upload->upload;
	return true;
}

static bool
write_upload(struct store_upload *upload, const void *bytes, size_t length, struct failure *why)
{
	struct directory_upload *directory = (struct directory_upload *)upload;
	digest_update(directory->digest, bytes, length);
	directory->size += (int64_t)length;
	return write_all(directory->fd, bytes, length, why)
	       || fail_within(why, "%s", directory->key);
}

static bool
fail_taken(const struct directory_upload *upload, struct failure *why)
{
	return fail(why, FAILURE_EXISTS, "the store holds %s already", upload->key);
}

static bool
put_in_place(struct directory_upload *upload, struct failure *why)
{
	const struct place *place = &upload->place;
	unsigned flags = upload->once ? RENAME_NOREPLACE : 0;
	if (renameat2(place->parent, upload->temporary, place->parent, place->name, flags) < 0)
		return errno == EEXIST ? fail_taken(upload, why)
		                       : fail_errno(why, "cannot store %s", upload->key);
	free_pointer(&upload->temporary);
	return directory_sync(place->parent, why);
}

static bool
publish(struct directory_upload *upload, const char *sha256, struct failure *why)
{
	const struct place *place = &upload->place;
	scoped_fd int locked = -1;
	if (fsync(upload->fd) < 0)
		return fail_errno(why, "cannot sync %s", upload->key);
	if (!lock(place, LOCK_EX, &locked, why))
		return false;
	if (upload->once && file_exists(place->parent, place->name))
		return fail_taken(upload, why);
	return file_remove(place->parent, place->metadata, why) && put_in_place(upload, why)
	       && write_metadata(place, sha256, why);
}

static bool
finish(struct store_upload *upload, struct store_object *ret_object, struct failure *why)
{
	struct directory_upload *directory = (struct directory_upload *)upload;
	struct store_object object = {.size = directory->size};
	digest_finish(&directory->digest, object.sha256);
	if (directory->sha256 && !strings_equal(directory->sha256, object.sha256))
		return fail(why, FAILURE_HASH_MISMATCH,
		            "%s hashes to %s on its way into the store, not to %s", directory->key,
		            object.sha256, directory->sha256);
	if (!publish(directory, object.sha256, why))
		return false;
	*ret_object = object;
	return true;
}

const struct store_body store_directory = {
    .type = "directory",
    .local = true,
    .open = open_store,
    .close = close_store,
    .head = head,
    .get = get,
    .open_object = open_object,
    .set_sha256 = set_sha256,
    .begin = begin,
    .write = write_upload,
    .finish = finish,
    .drop = drop,
};
