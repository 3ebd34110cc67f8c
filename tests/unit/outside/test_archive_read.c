/* Extraction: every format and filter that is on the list, and every way that archives are known
 * to be hostile. The archives are made with libarchive, which writes what it would not unpack. */
#include <locale.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/files.h"
#include "outside/archive.h"
#include "unit.h"

struct world {
	char top[32];
	int dir; /* where is unpacked: top/in */
};

static int
make_world(void **state)
{
	struct world *world = allocate(sizeof *world);
	*state = world;
	strcpy(world->top, "/tmp/test-archive-XXXXXX");
	if (!mkdtemp(world->top))
		return -1;
	scoped_free char *in = format("%s/in", world->top);
	return directory_make(in, 0755, NULL) && directory_open(AT_FDCWD, in, &world->dir, NULL)
	           ? 0
	           : -1;
}

static int
remove_world(void **state)
{
	struct world *world = *state;
	close_fd(&world->dir);
	bool removed = tree_remove(AT_FDCWD, world->top, NULL);
	free(world);
	return removed ? 0 : -1;
}

/* ---- archives ---- */

struct entry {
	const char *name;
	mode_t mode;       /* 0: a file, 0644 */
	const char *bytes; /* of a file */
	const char *link;  /* of a symbolic link, or of a hard link if it is a file */
	int64_t zeros;     /* a file of so many */
};

static void
write_entry(struct archive *archive, const struct entry *given)
{
	struct archive_entry *entry = archive_entry_new();
	mode_t mode = given->mode ? given->mode : S_IFREG | 0644;
	size_t length = given->bytes ? strlen(given->bytes) : 0;
	static const char zeros[65536];
	archive_entry_set_pathname(entry, given->name);
	archive_entry_set_mode(entry, mode);
	archive_entry_set_mtime(entry, 1400000000, 0);
	if (S_ISREG(mode) && !given->link)
		archive_entry_set_size(entry, given->zeros ? given->zeros : (int64_t)length);
	if (S_ISLNK(mode))
		archive_entry_set_symlink(entry, given->link);
	else if (given->link)
		archive_entry_set_hardlink(entry, given->link);
	if (S_ISCHR(mode))
		archive_entry_set_rdev(entry, makedev(1, 5));
	assert_true(archive_write_header(archive, entry) >= ARCHIVE_WARN);
	archive_entry_free(entry);
	if (length)
		assert_int_equal(archive_write_data(archive, given->bytes, length), length);
	for (int64_t done = 0; done < given->zeros; done += (int64_t)sizeof zeros)
		archive_write_data(archive, zeros, sizeof zeros);
}

/* An archive of these entries, up to one without a name; an fd at its start. */
static int
archive_of(const char *form, const char *filter, const struct entry *entries)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);
	struct archive *archive = archive_write_new();
	assert_int_equal(archive_write_set_format_by_name(archive, form), ARCHIVE_OK);
	if (filter)
		assert_int_equal(archive_write_add_filter_by_name(archive, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_open_fd(archive, fd), ARCHIVE_OK);
	for (; entries->name; entries++)
		write_entry(archive, entries);
	assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
	archive_write_free(archive);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int
file_of(const void *bytes, size_t length)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	assert_true(write_all(fd, bytes, length, NULL));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* ---- what comes of it ---- */

static const struct archive_limits ample = {.bytes = 1 << 20, .entries = 100};

static void
assert_extracts(struct world *world, int fd)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool extracted = archive_extract(fd, world->dir, &ample, NULL, &why);
	assert_string_equal(why.message, "");
	assert_true(extracted);
	close(fd);
}

static void
assert_refuses_within(struct world *world, int fd, const struct archive_limits *limits,
                      const char *part)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_false(archive_extract(fd, world->dir, limits, NULL, &why));
	assert_int_equal(why.code, FAILURE_BAD_ARCHIVE);
	if (!strstr(why.message, part))
		assert_string_equal(why.message, part);
	close(fd);
}

static void
assert_refuses(struct world *world, int fd, const char *part)
{
	assert_refuses_within(world, fd, &ample, part);
}

static void
assert_holds(struct world *world, const char *path, const char *bytes)
{
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(file_read(world->dir, path, 4096, &text, NULL));
	assert_string_equal(text_string(&text), bytes);
}

static mode_t
mode_of(struct world *world, const char *path)
{
	struct stat about;
	assert_int_equal(fstatat(world->dir, path, &about, AT_SYMLINK_NOFOLLOW), 0);
	return about.st_mode;
}

static const struct entry model[] = {
    {.name = "model.als", .bytes = "sig A {}"},
    {.name = "sub/", .mode = S_IFDIR | 0755},
    {.name = "sub/solution.xml", .bytes = "<alloy/>"},
    {.name = NULL},
};

/* ---- good ones ---- */

static void
unpacks_every_format_on_the_list(void **state)
{
	struct world *world = *state;
	static const char *const forms[] = {"ustar", "pax", "gnutar"};
	static const char *const filters[] = {NULL, "gzip", "bzip2", "xz", "zstd"};
	for (size_t i = 0; i < 15; i++) {
		assert_extracts(world, archive_of(forms[i / 5], filters[i % 5], model));
		assert_holds(world, "model.als", "sig A {}");
		assert_holds(world, "sub/solution.xml", "<alloy/>");
		assert_true(tree_remove(world->dir, "sub", NULL));
		assert_true(file_remove(world->dir, "model.als", NULL));
	}
	assert_extracts(world, archive_of("zip", NULL, model));
	assert_holds(world, "model.als", "sig A {}");
	assert_holds(world, "sub/solution.xml", "<alloy/>");
}

static void
modes_are_ours(void **state)
{
	struct world *world = *state;
	static const struct entry entries[] = {
	    {.name = "plain", .mode = S_IFREG | 0600, .bytes = "x"},
	    {.name = "program", .mode = S_IFREG | 06755, .bytes = "x"},
	    {.name = "readonly", .mode = S_IFREG | 0444, .bytes = "x"},
	    {.name = "locked/", .mode = S_IFDIR | 0},
	    {.name = "locked/in", .bytes = "x"},
	    {.name = NULL},
	};
	assert_extracts(world, archive_of("pax", NULL, entries));
	assert_int_equal(mode_of(world, "plain"), S_IFREG | 0644);
	assert_int_equal(mode_of(world, "program"), S_IFREG | 0755);
	assert_int_equal(mode_of(world, "readonly"), S_IFREG | 0644);
	assert_int_equal(mode_of(world, "locked"), S_IFDIR | 0755);
}

static void
takes_names_as_people_pack_them(void **state)
{
	struct world *world = *state;
	static const struct entry entries[] = {
	    {.name = "./", .mode = S_IFDIR | 0755},    {.name = "./model.als", .bytes = "1"},
	    {.name = "no/entry/for/me", .bytes = "2"}, {.name = "a//b", .bytes = "3"},
	    {.name = "..dots..", .bytes = "4"},        {.name = "mod\xc3\xa8le.als", .bytes = "5"},
	    {.name = "a/", .mode = S_IFDIR | 0755},    {.name = NULL},
	};
	assert_extracts(world, archive_of("gnutar", NULL, entries));
	assert_holds(world, "model.als", "1");
	assert_holds(world, "no/entry/for/me", "2");
	assert_holds(world, "a/b", "3");
	assert_holds(world, "..dots..", "4");
	assert_holds(world, "mod\xc3\xa8le.als", "5");
}

/* pax and zip say that names are UTF-8; the daemons run in whatever locale. */
static void
takes_utf8_names_in_any_locale(void **state)
{
	struct world *world = *state;
	static const struct entry entries[] = {
	    {.name = "mod\xc3\xa8le.als", .bytes = "x"},
	    {.name = NULL},
	};
	static const char *const forms[] = {"pax", "zip"};
	for (size_t i = 0; i < 2; i++) {
		assert_non_null(setlocale(LC_ALL, "C.UTF-8"));
		int fd = archive_of(forms[i], NULL, entries);
		assert_non_null(setlocale(LC_ALL, "C"));
		assert_extracts(world, fd);
		assert_holds(world, "mod\xc3\xa8le.als", "x");
		assert_true(file_remove(world->dir, "mod\xc3\xa8le.als", NULL));
	}
}

/* ---- hostile ones ---- */

static void
refuses_names_that_lead_outside(void **state)
{
	struct world *world = *state;
	static const char *const names[] = {"../evil",   "a/../../evil", "/tmp/evil", "a/..",
	                                    "a/../evil", "..",           "./../evil"};
	static const char *const forms[] = {"pax", "zip"};
	for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
		const struct entry entries[] = {{.name = names[i / 2], .bytes = "evil"},
		                                {.name = NULL}};
		assert_refuses(world, archive_of(forms[i % 2], NULL, entries),
		               "lies outside of it");
	}
	assert_false(file_exists(world->dir, "../evil"));
	assert_false(file_exists(AT_FDCWD, "/tmp/evil"));
}

static void
refuses_all_but_files_and_directories(void **state)
{
	struct world *world = *state;
	static const struct entry special[][2] = {
	    {{.name = "odd", .mode = S_IFLNK | 0777, .link = "model.als"}, {.name = NULL}},
	    {{.name = "odd", .mode = S_IFLNK | 0777, .link = "/etc/passwd"}, {.name = NULL}},
	    {{.name = "odd", .link = "/etc/passwd"}, {.name = NULL}},
	    {{.name = "odd", .mode = S_IFCHR | 0666}, {.name = NULL}},
	    {{.name = "odd", .mode = S_IFIFO | 0666}, {.name = NULL}},
	};
	for (size_t i = 0; i < sizeof special / sizeof *special; i++)
		assert_refuses(world, archive_of("pax", NULL, special[i]),
		               "'odd' in the archive is neither file nor directory");
	assert_refuses(world, archive_of("zip", NULL, special[0]),
	               "'odd' in the archive is neither file nor directory");
	assert_false(file_exists(world->dir, "odd"));
}

/* Links that stand there already, whoever made them, lead nowhere either. */
static void
writes_through_no_link(void **state)
{
	struct world *world = *state;
	scoped_free char *outside = format("%s/outside", world->top);
	assert_true(directory_make(outside, 0755, NULL));
	assert_int_equal(symlinkat(outside, world->dir, "sub"), 0);
	assert_refuses(world, archive_of("pax", NULL, model), "sub");
	assert_int_equal(symlinkat("../outside/new", world->dir, "name"), 0);
	static const struct entry entries[] = {{.name = "name", .bytes = "x"}, {.name = NULL}};
	assert_refuses(world, archive_of("pax", NULL, entries), "'name' in the archive");
	scoped(strings_done) struct strings names = STRINGS_INIT;
	assert_true(directory_list(AT_FDCWD, outside, &names, NULL));
	assert_int_equal(names.count, 0);
}

static void
refuses_names_that_are_taken(void **state)
{
	struct world *world = *state;
	static const struct entry twice[] = {
	    {.name = "a", .bytes = "1"}, {.name = "a", .bytes = "2"}, {.name = NULL}};
	static const struct entry below_file[] = {
	    {.name = "b", .bytes = "1"}, {.name = "b/c", .bytes = "2"}, {.name = NULL}};
	static const struct entry over_directory[] = {
	    {.name = "d/e", .bytes = "1"}, {.name = "d", .bytes = "2"}, {.name = NULL}};
	assert_refuses(world, archive_of("pax", NULL, twice), "'a' in the archive");
	assert_refuses(world, archive_of("pax", NULL, below_file), "'b/c' in the archive");
	assert_refuses(world, archive_of("pax", NULL, over_directory), "'d' in the archive");
}

static void
stops_at_the_limit_of_bytes(void **state)
{
	struct world *world = *state;
	static const struct entry bomb[] = {{.name = "bomb", .zeros = 64 << 20}, {.name = NULL}};
	static const char *const filters[] = {"gzip", "bzip2", "xz", "zstd"};
	struct stat about;
	for (size_t i = 0; i < 4; i++) {
		int fd = archive_of("pax", filters[i], bomb);
		assert_int_equal(fstat(fd, &about), 0);
		assert_true(about.st_size < 100000);
		assert_refuses(world, fd, "unpacks to more than 1048576 bytes");
		assert_int_equal(fstatat(world->dir, "bomb", &about, 0), 0);
		assert_true(about.st_size <= ample.bytes);
		assert_true(file_remove(world->dir, "bomb", NULL));
	}
	assert_refuses(world, archive_of("zip", NULL, bomb), "unpacks to more than 1048576 bytes");
}

static void
the_limit_itself_is_allowed(void **state)
{
	struct world *world = *state;
	static const struct entry full[] = {{.name = "full", .zeros = 1 << 20}, {.name = NULL}};
	assert_extracts(world, archive_of("pax", NULL, full));
}

static void
stops_at_the_limit_of_entries(void **state)
{
	struct world *world = *state;
	const struct archive_limits three = {.bytes = 100, .entries = 3};
	const struct archive_limits two = {.bytes = 100, .entries = 2};
	static const struct entry unnamed_directories[] = {
	    {.name = "a/b/c", .bytes = "1"}, {.name = "d", .bytes = "2"}, {.name = NULL}};
	assert_refuses_within(world, archive_of("pax", NULL, model), &two, "more than 2 entries");
	assert_refuses_within(world, archive_of("pax", NULL, unnamed_directories), &three,
	                      "more than 3 entries");
}

static void
refuses_bottomless_directories(void **state)
{
	struct world *world = *state;
	scoped(text_done) struct text name = TEXT_INIT;
	for (int i = 0; i < 1000; i++)
		text_add_string(&name, "d/");
	text_add_string(&name, "file");
	const struct entry entries[] = {{.name = name.bytes, .bytes = "x"}, {.name = NULL}};
	assert_refuses(world, archive_of("pax", NULL, entries), "directories deep");
	assert_false(file_exists(world->dir, "d"));
}

static void
refuses_names_too_long_for_the_file_system(void **state)
{
	struct world *world = *state;
	scoped_free char *name = format("%0300d", 1);
	const struct entry entries[] = {{.name = name, .bytes = "x"}, {.name = NULL}};
	assert_refuses(world, archive_of("pax", NULL, entries), "File name too long");
}

/* ---- damaged ones ---- */

static void
refuses_what_ends_too_early(void **state)
{
	struct world *world = *state;
	static const struct entry entries[] = {{.name = "file", .zeros = 1 << 19}, {.name = NULL}};
	static const char *const filters[] = {NULL, "gzip", "bzip2", "xz", "zstd"};
	struct stat about;
	for (size_t i = 0; i < 5; i++) {
		int fd = archive_of("ustar", filters[i], entries);
		assert_int_equal(fstat(fd, &about), 0);
		assert_int_equal(ftruncate(fd, about.st_size / 2), 0);
		assert_refuses(world, fd, "");
		assert_true(file_remove(world->dir, "file", NULL));
	}
	int fd = archive_of("zip", NULL, entries);
	assert_int_equal(fstat(fd, &about), 0);
	assert_int_equal(ftruncate(fd, about.st_size / 2), 0);
	assert_refuses(world, fd, "");
}

static void
refuses_damaged_contents(void **state)
{
	struct world *world = *state;
	int fd = archive_of("zip", NULL, model);
	struct stat about;
	assert_int_equal(fstat(fd, &about), 0);
	scoped_free char *bytes = allocate((size_t)about.st_size);
	assert_int_equal(pread(fd, bytes, (size_t)about.st_size, 0), about.st_size);
	char *contents = memmem(bytes, (size_t)about.st_size, "model.als", 9);
	assert_non_null(contents);
	/* Past the name and the extra fields lies the data, whose CRC then is wrong. */
	contents += 9 + contents[-2] + 256 * contents[-1];
	contents[2] ^= 0x55;
	assert_int_equal(pwrite(fd, bytes, (size_t)about.st_size, 0), about.st_size);
	assert_refuses(world, fd, "");
}

static void
refuses_empty_ones(void **state)
{
	struct world *world = *state;
	static const char end[1024];
	static const struct entry none[] = {{.name = NULL}};
	assert_refuses(world, file_of("", 0), "");
	assert_refuses(world, file_of(end, sizeof end), "");
	assert_refuses(world, archive_of("pax", "gzip", none), "");
	assert_refuses(world, archive_of("zip", NULL, none), "the archive is empty");
}

static void
refuses_other_formats_and_filters(void **state)
{
	struct world *world = *state;
	static const char *const forms[] = {"cpio", "arbsd", "7zip", "mtree", "shar"};
	static const char *const filters[] = {"compress", "uuencode", "b64encode", "lz4"};
	static const struct entry one[] = {{.name = "model.als", .bytes = "x"}, {.name = NULL}};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
		assert_refuses(world, archive_of(forms[i], NULL, one), "cannot be read");
	for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
		assert_refuses(world, archive_of("pax", filters[i], one), "cannot be read");
	assert_refuses(world, file_of("This is no archive.\n", 20), "cannot be read");
	assert_false(file_exists(world->dir, "model.als"));
}

/* libarchive would hand these to programs from PATH: lrzip, lzop, grzip. */
static void
starts_no_program(void **state)
{
	struct world *world = *state;
	static const char *const programs[] = {"lrzip", "lzop", "grzip", "rpm2cpio"};
	static const char lrzip[47] = "LRZI", lzop[47] = "\x89LZO\x00\x0d\x0a\x1a\x0a",
			  grzip[47] = "GRZipII\x00\x02\x04:)";
	scoped_free char *before = copy_string(getenv("PATH"));
	scoped_free char *bin = format("%s/bin", world->top);
	assert_true(directory_make(bin, 0755, NULL));
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		scoped_free char *path = format("%s/%s", bin, programs[i]);
		scoped(text_done) struct text script = TEXT_INIT;
		text_addf(&script, "#!/bin/sh\ntouch %s/started\n", world->top);
		assert_true(file_replace(AT_FDCWD, path, &script, 0755, NULL));
	}
	setenv("PATH", bin, 1);
	assert_refuses(world, file_of(lrzip, sizeof lrzip), "cannot be read");
	assert_refuses(world, file_of(lzop, sizeof lzop), "cannot be read");
	assert_refuses(world, file_of(grzip, sizeof grzip), "cannot be read");
	setenv("PATH", before, 1);
	assert_false(file_exists(world->dir, "../started"));
}

/* ---- told, and told to stop ---- */

static bool
stop(void *data, int64_t done, int64_t total)
{
	int64_t *seen = data;
	(void)total;
	*seen = done;
	return done < 200000;
}

static void
tells_its_progress_and_stops_when_told(void **state)
{
	struct world *world = *state;
	static const struct entry entries[] = {{.name = "file", .zeros = 1 << 19}, {.name = NULL}};
	int64_t seen = 0;
	const struct tick tick = {.tell = stop, .data = &seen};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_fd int fd = archive_of("pax", "gzip", entries);
	assert_false(archive_extract(fd, world->dir, &ample, &tick, &why));
	assert_int_equal(why.code, FAILURE_CANCELLED);
	assert_true(seen >= 200000 && seen < 1 << 19);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, make_world, remove_world)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    in_world(unpacks_every_format_on_the_list),
	    in_world(modes_are_ours),
	    in_world(takes_names_as_people_pack_them),
	    in_world(takes_utf8_names_in_any_locale),
	    in_world(refuses_names_that_lead_outside),
	    in_world(refuses_all_but_files_and_directories),
	    in_world(writes_through_no_link),
	    in_world(refuses_names_that_are_taken),
	    in_world(stops_at_the_limit_of_bytes),
	    in_world(the_limit_itself_is_allowed),
	    in_world(stops_at_the_limit_of_entries),
	    in_world(refuses_bottomless_directories),
	    in_world(refuses_names_too_long_for_the_file_system),
	    in_world(refuses_what_ends_too_early),
	    in_world(refuses_damaged_contents),
	    in_world(refuses_empty_ones),
	    in_world(refuses_other_formats_and_filters),
	    in_world(starts_no_program),
	    in_world(tells_its_progress_and_stops_when_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
