/*
 * Files and directories, relative to a directory fd where there is a choice (AT_FDCWD for the
 * current one). Every fd is close-on-exec.
 */
#ifndef BASE_FILES_H
#define BASE_FILES_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"

bool must_check write_all(int fd, const void *bytes, size_t length, struct failure *why);
/* Appends all that fd gives to *text; more than `limit` bytes is FAILURE_REJECTED. */
bool must_check read_all(int fd, size_t limit, struct text *text, struct failure *why);

/* Appends the file to *text. A missing file is FAILURE_NOT_FOUND. */
bool must_check file_read(int dir, const char *path, size_t limit, struct text *text,
                          struct failure *why);
/*
 * The file holds exactly these bytes, or what it held before, whatever happens: temporary file in
 * the same directory (".NAME.tmp"), fsync, rename, fsync of the directory.
 */
bool must_check file_replace(int dir, const char *path, const struct text *bytes, mode_t mode,
                             struct failure *why);
/* The same without the syncs: readers see the old bytes or the new, a crash of the machine may lose
 * both. For what is only of now. */
bool must_check file_publish(int dir, const char *path, const struct text *bytes, mode_t mode,
                             struct failure *why);
/* Removes a file; that it was not there is fine. The directory is synced. */
bool must_check file_remove(int dir, const char *path, struct failure *why);
/* false without failure if it is not there; symbolic links are not followed. */
bool file_exists(int dir, const char *path);

/* Makes path and its missing parents with mode. */
bool must_check directory_make(const char *path, mode_t mode, struct failure *why);
bool must_check directory_open(int dir, const char *path, int *ret_fd, struct failure *why);
/*
 * Opens the directory that holds what `path` names below dir, component by component, following no
 * link. `made`: missing directories are made (0755) and counted there; NULL: they are not. `path`
 * is cut up; *ret_last is its last component. -1 with errno if it could not be done: callers know
 * whose fault it is.
 */
int directory_descend(int dir, char *path, int *made, const char **ret_last);
bool must_check directory_sync(int dir, struct failure *why);
/* Names in the directory but . and .. , sorted. */
bool must_check directory_list(int dir, const char *path, struct strings *names,
                               struct failure *why);
/* Removes path and everything below it, following no link and leaving no mount; absent is fine.
 * Directories that were made unwritable are opened up first. */
bool must_check tree_remove(int dir, const char *path, struct failure *why);
/* Bytes allocated to regular files below path (each inode once). */
bool must_check tree_size(int dir, const char *path, int64_t *ret_bytes, struct failure *why);
/* Bytes and inodes that this user may still use on the file system of path. */
bool must_check space_free(const char *path, int64_t *ret_bytes, int64_t *ret_inodes,
                           struct failure *why);

#endif
