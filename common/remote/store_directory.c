/*
 * A directory as a store: the object is the file <path>/<key>, its metadata beside it in
 * sha256sum(1)'s form, <key>.sha256, so that `sha256sum -c` works there.
 *
 * An object appears whole or not at all: written without a name (O_TMPFILE), synced, then linked.
 * The metadata follows the object: a crash in between leaves an object without metadata, which
 * whoever reads it next can hash.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/text.h"
#include "remote/store_body.h"

#define METADATA_ENDING ".sha256"

struct directory_store {
	struct store store;
	int top; /* fd of the directory */
};

struct directory_upload {
	struct store_upload upload;
	char *key;
	bool once;
	char *sha256; /* announced; or NULL */
	int fd;       /* a file without a name yet */
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

/* ---- reading ---- */

static bool
open_object(struct store *store, const char *key, int *ret_fd, struct failure *why)
{
	struct stat about;
	if (ends_with(key, METADATA_ENDING))
		return fail(why, FAILURE_NOT_FOUND, "the store holds no %s", key);
	scoped_fd int fd = openat(top_of(store), key,
	                          O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return fail(why, FAILURE_NOT_FOUND, "the store (%s) holds no %s",
		            store->description, key);
	if (fd < 0 || fstat(fd, &about) < 0)
		return fail_errno(why, "cannot open %s in the store", key);
	if (!S_ISREG(about.st_mode))
		return fail(why, FAILURE_NOT_FOUND, "%s in the store is no file", key);
	*ret_fd = take_fd(&fd);
	return true;
}

/* "" where there is none, or none that can be understood. */
static void
read_metadata(const struct store *store, const char *key, char ret_sha256[SHA256_TEXT])
{
	scoped_free char *path = format("%s" METADATA_ENDING, key);
	scoped(text_done) struct text text = TEXT_INIT;
	ret_sha256[0] = '\0';
	if (!file_read(top_of(store), path, 4096, &text, NULL) || text.length < SHA256_TEXT)
		return;
	text.bytes[SHA256_TEXT - 1] = '\0';
	if (digest_is_sha256(text.bytes))
		memcpy(ret_sha256, text.bytes, SHA256_TEXT);
}

static bool
head(struct store *store, const char *key, struct store_object *ret_object, struct failure *why)
{
	struct stat about;
	scoped_fd int fd = -1;
	if (!open_object(store, key, &fd, why))
		return false;
	if (fstat(fd, &about) < 0)
		return fail_errno(why, "cannot look at %s in the store", key);
	ret_object->size = about.st_size;
	read_metadata(store, key, ret_object->sha256);
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
	scoped_fd int from = -1;
	struct stat about;
	struct store_object object = {0};
	if (!open_object(store, key, &from, why))
		return false;
	if (fstat(from, &about) < 0)
		return fail_errno(why, "cannot look at %s in the store", key);
	if (!copy_out(from, fd, about.st_size, tick, &object, why))
		return fail_within(why, "%s", key);
	*ret_object = object;
	return true;
}

/* ---- writing ---- */

static bool
make_parents(const struct store *store, const char *key, int *ret_parent, struct failure *why)
{
	scoped_free char *copy = copy_string(key);
	scoped_free char *path = format("/proc/self/fd/%d/%s", top_of(store), dirname(copy));
	return directory_make(path, 0755, why) && directory_open(AT_FDCWD, path, ret_parent, why);
}

static bool
set_sha256(struct store *store, const char *key, const char *sha256, struct failure *why)
{
	scoped_free char *path = format("%s" METADATA_ENDING, key);
	scoped_free char *copy = copy_string(key);
	scoped(text_done) struct text text = TEXT_INIT;
	text_addf(&text, "%s  %s\n", sha256, basename(copy));
	return file_replace(top_of(store), path, &text, 0644, why);
}

static bool
begin(struct store *store, const char *key, const struct store_put *put, struct store_upload **ret,
      struct failure *why)
{
	scoped_fd int parent = -1, fd = -1;
	if (ends_with(key, METADATA_ENDING))
		return fail(why, FAILURE_REJECTED, "keys must not end in " METADATA_ENDING);
	if (!make_parents(store, key, &parent, why))
		return false;
	fd = openat(parent, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail_errno(why, "cannot write %s into the store", key);
	struct directory_upload *upload = allocate(sizeof *upload);
	upload->upload.store = store;
	upload->key = copy_string(key);
	upload->once = put->once;
	upload->sha256 = copy_string(put->sha256);
	upload->fd = take_fd(&fd);
	upload->digest = digest_new();
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

/* Gives the unnamed file a name: false with EEXIST if that is taken. */
static bool
link_as(const struct directory_upload *upload, const char *name)
{
	scoped_free char *from = format("/proc/self/fd/%d", upload->fd);
	return linkat(AT_FDCWD, from, top_of(upload->upload.store), name, AT_SYMLINK_FOLLOW) == 0;
}

/* A name in use must be replaced in one step, which link(2) cannot: by way of a second name. */
static bool
replace(const struct directory_upload *upload, struct failure *why)
{
	int top = top_of(upload->upload.store);
	scoped_free char *copy = copy_string(upload->key);
	scoped_free char *random = random_hex(8);
	scoped_free char *temporary = format("%s/.upload-%s", dirname(copy), random);
	if (!link_as(upload, temporary))
		return fail_errno(why, "cannot store %s", upload->key);
	if (renameat(top, temporary, top, upload->key) == 0)
		return true;
	fail_errno(why, "cannot store %s", upload->key);
	unlinkat(top, temporary, 0);
	return false;
}

static bool
publish(const struct directory_upload *upload, struct failure *why)
{
	scoped_fd int parent = -1;
	if (fsync(upload->fd) < 0)
		return fail_errno(why, "cannot sync %s", upload->key);
	if (!link_as(upload, upload->key)) {
		if (errno != EEXIST)
			return fail_errno(why, "cannot store %s", upload->key);
		if (upload->once)
			return fail(why, FAILURE_EXISTS, "the store holds %s already", upload->key);
		/* While the two do not fit, better no metadata than that of the old bytes. */
		scoped_free char *metadata = format("%s" METADATA_ENDING, upload->key);
		if (!file_remove(top_of(upload->upload.store), metadata, why)
		    || !replace(upload, why))
			return false;
	}
	return make_parents(upload->upload.store, upload->key, &parent, why)
	       && directory_sync(parent, why);
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
	if (!publish(directory, why)
	    || !set_sha256(upload->store, directory->key, object.sha256, why))
		return false;
	*ret_object = object;
	return true;
}

static void
drop(struct store_upload *upload)
{
	struct directory_upload *directory = (struct directory_upload *)upload;
	close_fd(&directory->fd);
	digest_drop(&directory->digest);
	free(directory->key);
	free(directory->sha256);
	free(directory);
}

const struct store_body store_directory = {
    .type = "directory",
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
