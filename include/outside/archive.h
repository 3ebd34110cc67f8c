/*
 * Archives (libarchive): models come in, result tarballs go out.
 *
 * Reading enables by name: tar (ustar, pax, gnu) plain or with gzip, bzip2, xz, zstd, and zip;
 * nothing that would start a program. Extraction writes regular files and directories below one
 * directory and nothing else: an absolute path, a
 * "..", a link of either kind or a special file is FAILURE_BAD_ARCHIVE, and so is anything over the
 * limits, or more than 32 directories deep.
 */
#ifndef OUTSIDE_ARCHIVE_H
#define OUTSIDE_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "base/tick.h"

struct archive_limits {
	int64_t bytes;   /* of all files, unpacked */
	int64_t entries; /* files and directories, those only implied by a name too */
};

/* Unpacks the archive that `fd` holds into the directory. Files get 0644 or 0755, directories 0755.
 * tick: bytes written. */
bool must_check archive_extract(int fd, int directory, const struct archive_limits *limits,
                                const struct tick *tick, struct failure *why);

/* Compressors by name, in the order of preference, and the file name ending of each: "zstd" gives
 * ".tar.zst". */
#define ARCHIVE_COMPRESSIONS "zstd bzip2 gzip xz none"
const char *archive_ending(const char *compression); /* NULL for an unknown one */

/* A tarball being written: begin, add..., finish. Its bytes go to `sink`, in order; false from it
 * ends the writing with its failure. */
struct archive_writer;
typedef bool archive_sink(void *data, const void *bytes, size_t length, struct failure *why);
bool must_check archive_begin(const char *compression, archive_sink *sink, void *data,
                              struct archive_writer **ret, struct failure *why);
/*
 * Adds what stands at dir/path under the name `name`, a directory with all below it. Regular files,
 * directories and symbolic links (as links), down to 64 levels; others are left out. Owners are
 * left out, times kept. A file that shrinks meanwhile is padded. `skip`, if not NULL, lists names
 * inside the tarball
 * ("run/moolloy.jar") to leave out.
 */
bool must_check archive_add(struct archive_writer *writer, int dir, const char *path,
                            const char *name, const struct strings *skip, struct failure *why);
bool must_check archive_add_bytes(struct archive_writer *writer, const char *name,
                                  const struct text *bytes, struct failure *why);
/* Writes what is left and frees it. */
bool must_check archive_finish(struct archive_writer **writer, struct failure *why);
/* For scoped(): given up. */
void archive_drop(struct archive_writer **writer);

#endif
