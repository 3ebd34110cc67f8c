/* Result tarballs go out: pax, compressed, streamed to a sink. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/files.h"
#include "outside/archive.h"

#define BLOCK       (64 * 1024)
#define DEPTH_LIMIT 64
#define THREADS     4

static const struct {
	const char *name, *ending;
	int filter;
} compressions[] = {
    {"zstd", ".tar.zst", ARCHIVE_FILTER_ZSTD}, {"bzip2", ".tar.bz2", ARCHIVE_FILTER_BZIP2},
    {"gzip", ".tar.gz", ARCHIVE_FILTER_GZIP},  {"xz", ".tar.xz", ARCHIVE_FILTER_XZ},
    {"none", ".tar", ARCHIVE_FILTER_NONE},
};
#define COMPRESSIONS (sizeof compressions / sizeof *compressions)

struct archive_writer {
	struct archive *archive;
	archive_sink *sink; /* NULL once it failed or the tarball is given up */
	void *data;
	struct failure why; /* of the sink */
	bool within;        /* an entry is not whole */
	locale_t utf8;      /* in which names are given to libarchive */
};

const char *
archive_ending(const char *compression)
{
	for (size_t i = 0; i < COMPRESSIONS; i++)
		if (strcmp(compressions[i].name, compression) == 0)
			return compressions[i].ending;
	return NULL;
}

static int
filter_of(const char *compression)
{
	for (size_t i = 0; i < COMPRESSIONS; i++)
		if (strcmp(compressions[i].name, compression) == 0)
			return compressions[i].filter;
	return -1;
}

static bool
fail_writer(struct archive_writer *writer, struct failure *why)
{
	const char *text = archive_error_string(writer->archive);
	if (writer->why.code == FAILURE_NONE)
		return fail(why, FAILURE_PACKAGE, "the tarball cannot be written: %s",
		            text ? text : "?");
	if (why)
		failure_copy(why, &writer->why);
	return false;
}

/* libarchive is not told when the sink fails: it would forget to free its compressor then. */
static la_ssize_t
on_bytes(struct archive *archive, void *data, const void *bytes, size_t length)
{
	struct archive_writer *writer = data;
	(void)archive;
	if (writer->sink && !writer->sink(writer->data, bytes, length, &writer->why))
		writer->sink = NULL;
	return (la_ssize_t)length;
}

/* Did libarchive, and the sink behind it, do what they were asked to? */
static bool
went_well(struct archive_writer *writer, la_ssize_t result, struct failure *why)
{
	return (result >= ARCHIVE_WARN && writer->sink) || fail_writer(writer, why);
}

/* zstd and xz compress on as many processors as there are, within reason; the others do not know
 * the option (archive_write_set_options(3)). */
static bool
use_threads(struct archive_writer *writer)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	scoped_free char *threads = format("%ld", processors < THREADS ? processors : THREADS);
	return archive_write_set_filter_option(writer->archive, NULL, "threads", threads)
	       > ARCHIVE_FATAL;
}

bool
archive_begin(const char *compression, archive_sink *sink, void *data, struct archive_writer **ret,
              struct failure *why)
{
	int filter = filter_of(compression);
	if (filter < 0)
		return fail(why, FAILURE_CONFIGURATION, "unknown compression '%s'", compression);
	scoped(archive_drop) struct archive_writer *writer = allocate(sizeof *writer);
	writer->archive = archive_write_new();
	if (!writer->archive)
		abort();
	writer->sink = sink;
	writer->data = data;
	writer->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	archive_write_set_format_pax_restricted(writer->archive);
	/* The sink gets what there is, without padding to a tape's block. */
	archive_write_set_bytes_in_last_block(writer->archive, 1);
	if (archive_write_add_filter(writer->archive, filter) != ARCHIVE_OK || !use_threads(writer)
	    || archive_write_open(writer->archive, writer, NULL, on_bytes, NULL) != ARCHIVE_OK)
		return fail_writer(writer, why);
	*ret = take_pointer(&writer);
	return true;
}

/* ---- entries ---- */

static void
free_entry(struct archive_entry **entry)
{
	archive_entry_free(*entry);
}

static struct archive_entry *
new_entry(const char *name, const struct stat *about)
{
	struct archive_entry *entry = archive_entry_new();
	if (!entry)
		abort();
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, about->st_mode & S_IFMT);
	archive_entry_set_perm(entry, about->st_mode & 0777);
	archive_entry_set_mtime(entry, about->st_mtim.tv_sec, 0);
	if (S_ISREG(about->st_mode))
		archive_entry_set_size(entry, about->st_size);
	return entry;
}

static bool
write_header(struct archive_writer *writer, struct archive_entry *entry, struct failure *why)
{
	locale_t before = uselocale(writer->utf8);
	int result = archive_write_header(writer->archive, entry);
	uselocale(before);
	return went_well(writer, result, why);
}

/* The announced size is kept: a file that shrinks meanwhile is padded by libarchive, one that grows
 * is cut. */
static bool
write_contents(struct archive_writer *writer, int fd, int64_t size, const char *name,
               struct failure *why)
{
	char block[BLOCK];
	while (size > 0) {
		ssize_t got = read(fd, block, size < BLOCK ? (size_t)size : BLOCK);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_errno(why, "cannot read %s", name);
		if (got == 0)
			return true;
		if (!went_well(writer, archive_write_data(writer->archive, block, (size_t)got),
		               why))
			return false;
		size -= got;
	}
	return true;
}

static bool
add_file(struct archive_writer *writer, int dir, const char *path, const char *name,
         struct failure *why)
{
	struct stat about;
	scoped_fd int fd = openat(dir, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &about) < 0)
		return fail_errno(why, "cannot open %s", name);
	if (!S_ISREG(about.st_mode))
		return true;
	scoped(free_entry) struct archive_entry *entry = new_entry(name, &about);
	return write_header(writer, entry, why)
	       && write_contents(writer, fd, about.st_size, name, why);
}

static bool
add_link(struct archive_writer *writer, int dir, const char *path, const char *name,
         const struct stat *about, struct failure *why)
{
	char target[4096];
	ssize_t length = readlinkat(dir, path, target, sizeof target - 1);
	if (length < 0)
		return fail_errno(why, "cannot read the link %s", name);
	target[length] = '\0';
	scoped(free_entry) struct archive_entry *entry = new_entry(name, about);
	archive_entry_set_symlink(entry, target);
	return write_header(writer, entry, why);
}

struct place {
	int dir;
	const char *path; /* in dir */
	const char *name; /* in the tarball */
	const struct strings *skip;
	int depth;
};

static bool add(struct archive_writer *writer, const struct place *place, struct failure *why);

static bool
add_directory(struct archive_writer *writer, const struct place *place, const struct stat *about,
              struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(free_entry) struct archive_entry *entry = new_entry(place->name, about);
	scoped_fd int fd = openat(place->dir, place->path,
	                          O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(why, "cannot open %s", place->name);
	if (!write_header(writer, entry, why) || !directory_list(fd, ".", &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped_free char *name = format("%s/%s", place->name, names.items[i]);
		struct place below = {.dir = fd,
		                      .path = names.items[i],
		                      .name = name,
		                      .skip = place->skip,
		                      .depth = place->depth + 1};
		if (!add(writer, &below, why))
			return false;
	}
	return true;
}

static bool
add(struct archive_writer *writer, const struct place *place, struct failure *why)
{
	struct stat about;
	if (place->skip && strings_contain(place->skip, place->name))
		return true;
	if (place->depth > DEPTH_LIMIT)
		return true;
	if (fstatat(place->dir, place->path, &about, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(why, "cannot look at %s", place->name);
	if (S_ISDIR(about.st_mode))
		return add_directory(writer, place, &about, why);
	if (S_ISREG(about.st_mode))
		return add_file(writer, place->dir, place->path, place->name, why);
	if (S_ISLNK(about.st_mode))
		return add_link(writer, place->dir, place->path, place->name, &about, why);
	return true;
}

bool
archive_add(struct archive_writer *writer, int dir, const char *path, const char *name,
            const struct strings *skip, struct failure *why)
{
	const struct place place = {.dir = dir, .path = path, .name = name, .skip = skip};
	return add(writer, &place, why);
}

bool
archive_add_bytes(struct archive_writer *writer, const char *name, const struct text *bytes,
                  struct failure *why)
{
	const struct stat about = {.st_mode = S_IFREG | 0644,
	                           .st_size = (off_t)bytes->length,
	                           .st_mtim = {.tv_sec = time(NULL)}};
	scoped(free_entry) struct archive_entry *entry = new_entry(name, &about);
	if (!write_header(writer, entry, why))
		return false;
	return bytes->length == 0
	       || went_well(writer,
	                    archive_write_data(writer->archive, bytes->bytes, bytes->length), why);
}

bool
archive_finish(struct archive_writer **writer, struct failure *why)
{
	bool closed = went_well(*writer, archive_write_close((*writer)->archive), why);
	archive_drop(writer);
	return closed;
}

void
archive_drop(struct archive_writer **writer)
{
	if (!*writer)
		return;
	/* What was not finished must not reach the sink as if it were. */
	(*writer)->sink = NULL;
	/* Nor is the rest of an entry worth being filled up with zeros. */
	if ((*writer)->within)
		archive_write_fail((*writer)->archive);
	archive_write_free((*writer)->archive);
	if ((*writer)->utf8)
		freelocale((*writer)->utf8);
	failure_done(&(*writer)->why);
	free_pointer(writer);
}
