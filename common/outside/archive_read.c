/* Models come in: extraction that trusts nothing. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/files.h"
#include "outside/archive.h"

#define BLOCK       (64 * 1024)
#define NAME_LIMIT  4000
#define DEPTH_LIMIT 32 /* each level costs an entry to make, and a file descriptor to remove */

struct extraction {
	struct archive *archive;
	int directory;
	const struct archive_limits *limits;
	const struct tick *tick;
	int64_t bytes, entries; /* so far */
	locale_t utf8, before;
};

static void
extraction_done(struct extraction *extraction)
{
	archive_read_free(extraction->archive);
	uselocale(extraction->before);
	if (extraction->utf8)
		freelocale(extraction->utf8);
}

static bool
fail_archive(struct archive *archive, struct failure *why)
{
	const char *text = archive_error_string(archive);
	if (archive_errno(archive) == ENOMEM)
		return fail(why, FAILURE_SYSTEM, "out of memory while reading the archive");
	return fail(why, FAILURE_BAD_ARCHIVE, "the archive cannot be read: %s",
	            text ? text : "damaged");
}

/* By name: "all" would start programs from PATH for some formats. */
static struct archive *
new_reader(void)
{
	struct archive *archive = archive_read_new();
	if (!archive)
		abort();
	archive_read_support_filter_gzip(archive);
	archive_read_support_filter_bzip2(archive);
	archive_read_support_filter_xz(archive);
	archive_read_support_filter_zstd(archive);
	archive_read_support_format_tar(archive);
	archive_read_support_format_zip(archive);
	return archive;
}

/* ---- names ---- */

/* Relative, and no component of it "..". */
static bool
is_inside(const char *name)
{
	if (name[0] == '/' || name[0] == '\0')
		return false;
	for (const char *at = name; *at; at += strcspn(at, "/"), at += *at == '/')
		if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
			return false;
	return true;
}

static int
depth_of(const char *name)
{
	int depth = 1;
	for (; *name; name++)
		depth += *name == '/';
	return depth;
}

static bool
check_entry(const struct extraction *extraction, struct archive_entry *entry, struct failure *why)
{
	const char *name = archive_entry_pathname(entry);
	mode_t type = archive_entry_filetype(entry);
	if (!name || strlen(name) > NAME_LIMIT)
		return fail(why, FAILURE_BAD_ARCHIVE,
		            "the archive holds a name that cannot be read");
	if (!is_inside(name))
		return fail(why, FAILURE_BAD_ARCHIVE,
		            "the archive holds '%.200s', which lies outside of it", name);
	if (depth_of(name) > DEPTH_LIMIT)
		return fail(why, FAILURE_BAD_ARCHIVE,
		            "'%.200s' in the archive lies more than %d directories deep", name,
		            DEPTH_LIMIT);
	if (archive_entry_hardlink(entry) || (type != AE_IFREG && type != AE_IFDIR))
		return fail(why, FAILURE_BAD_ARCHIVE,
		            "'%.200s' in the archive is neither file nor directory", name);
	if (archive_entry_is_encrypted(entry))
		return fail(why, FAILURE_BAD_ARCHIVE, "'%.200s' in the archive is encrypted", name);
	if (extraction->entries >= extraction->limits->entries)
		return fail(why, FAILURE_BAD_ARCHIVE,
		            "the archive holds more than %" PRId64 " entries",
		            extraction->limits->entries);
	return true;
}

/* ---- writing ---- */

static bool
fail_component(const char *name, struct failure *why)
{
	/* A name that is taken by something else, or too long, is the archive's fault. */
	if (errno == ENOTDIR || errno == EISDIR || errno == EEXIST || errno == ELOOP
	    || errno == ENAMETOOLONG || errno == EILSEQ)
		return fail(why, FAILURE_BAD_ARCHIVE, "'%.200s' in the archive cannot be made: %s",
		            name, strerror(errno));
	return fail_errno(why, "cannot unpack %.200s", name);
}

static bool
write_blocks(struct extraction *extraction, int fd, struct failure *why)
{
	char block[BLOCK];
	for (;;) {
		la_ssize_t got = archive_read_data(extraction->archive, block, sizeof block);
		if (got < 0)
			return fail_archive(extraction->archive, why);
		if (got == 0)
			return true;
		extraction->bytes += got;
		if (extraction->bytes > extraction->limits->bytes)
			return fail(why, FAILURE_BAD_ARCHIVE,
			            "the archive unpacks to more than %" PRId64 " bytes",
			            extraction->limits->bytes);
		if (!write_all(fd, block, (size_t)got, why))
			return false;
		if (!tick_tell(extraction->tick, extraction->bytes, 0))
			return fail(why, FAILURE_CANCELLED, "stopped while unpacking");
	}
}

static bool
extract_file(struct extraction *extraction, int parent, const char *name, bool executable,
             struct failure *why)
{
	scoped_fd int fd = openat(parent, name,
	                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	                          executable ? 0755 : 0644);
	return fd >= 0 ? write_blocks(extraction, fd, why) : fail_component(name, why);
}

static bool
extract_directory(int parent, const char *name, struct failure *why)
{
	struct stat about;
	if (!name || strcmp(name, ".") == 0 || mkdirat(parent, name, 0755) == 0)
		return true;
	if (errno == EEXIST && fstatat(parent, name, &about, AT_SYMLINK_NOFOLLOW) == 0
	    && S_ISDIR(about.st_mode))
		return true;
	return fail_component(name, why);
}

static bool
extract_entry(struct extraction *extraction, struct archive_entry *entry, struct failure *why)
{
	const char *last = NULL;
	int made = 0;
	if (!check_entry(extraction, entry, why))
		return false;
	scoped_free char *name = copy_string(archive_entry_pathname(entry));
	scoped_fd int parent = directory_descend(extraction->directory, name, &made, &last);
	if (parent < 0)
		return fail_component(archive_entry_pathname(entry), why);
	extraction->entries += 1 + made;
	if (archive_entry_filetype(entry) == AE_IFDIR)
		return extract_directory(parent, last, why);
	if (!last || strcmp(last, ".") == 0)
		return fail(why, FAILURE_BAD_ARCHIVE, "the archive holds a file without a name");
	return extract_file(extraction, parent, last, archive_entry_mode(entry) & 0100, why);
}

static bool
extract_all(struct extraction *extraction, struct failure *why)
{
	for (;;) {
		struct archive_entry *entry;
		int result = archive_read_next_header(extraction->archive, &entry);
		if (result == ARCHIVE_EOF)
			break;
		if (result < ARCHIVE_WARN)
			return fail_archive(extraction->archive, why);
		if (!extract_entry(extraction, entry, why))
			return false;
	}
	if (extraction->entries == 0)
		return fail(why, FAILURE_BAD_ARCHIVE, "the archive is empty");
	return true;
}

bool
archive_extract(int fd, int directory, const struct archive_limits *limits, const struct tick *tick,
                struct failure *why)
{
	scoped(extraction_done) struct extraction extraction = {
	    .archive = new_reader(), .directory = directory, .limits = limits, .tick = tick};
	/* libarchive gives names in UTF-8 to a program in the locale "C" as no names. */
	extraction.utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	extraction.before = uselocale(extraction.utf8);
	if (archive_read_open_fd(extraction.archive, fd, BLOCK) != ARCHIVE_OK)
		return fail_archive(extraction.archive, why);
	return extract_all(&extraction, why);
}
