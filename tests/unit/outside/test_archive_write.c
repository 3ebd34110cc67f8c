/* Tarballs: read back by our own extraction, and by tar(1), which is what people have. */
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/files.h"
#include "outside/archive.h"
#include "unit.h"

struct world {
	char top[32];
	int dir;          /* of top */
	struct text made; /* the tarball */
	size_t fail_at;   /* the sink fails from so many bytes on */
};

static int
make_world(void **state)
{
	struct world *world = allocate(sizeof *world);
	*state = world;
	world->fail_at = SIZE_MAX;
	strcpy(world->top, "/tmp/test-archive-XXXXXX");
	return mkdtemp(world->top) && directory_open(AT_FDCWD, world->top, &world->dir, NULL) ? 0
	                                                                                      : -1;
}

static int
remove_world(void **state)
{
	struct world *world = *state;
	close_fd(&world->dir);
	text_done(&world->made);
	bool removed = tree_remove(AT_FDCWD, world->top, NULL);
	free(world);
	return removed ? 0 : -1;
}

static bool
to_world(void *data, const void *bytes, size_t length, struct failure *why)
{
	struct world *world = data;
	text_add(&world->made, bytes, length);
	return world->made.length < world->fail_at
	       || fail(why, FAILURE_DISK_FULL, "the store is full");
}

static struct archive_writer *
begun(struct world *world, const char *compression)
{
	struct archive_writer *writer = NULL;
	text_clear(&world->made);
	assert_true(archive_begin(compression, to_world, world, &writer, NULL));
	return writer;
}

static void
write_file(struct world *world, const char *path, const char *bytes, mode_t mode)
{
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_string(&text, bytes);
	assert_true(file_replace(world->dir, path, &text, mode, NULL));
}

static void
assert_holds(struct world *world, const char *path, const char *bytes)
{
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(file_read(world->dir, path, 4096, &text, NULL));
	assert_string_equal(text_string(&text), bytes);
}

/* job/{run/{stdout.out, moolloy.jar, tool}, model/deep/model.als} */
static void
make_job(struct world *world)
{
	assert_int_equal(mkdirat(world->dir, "job", 0755), 0);
	assert_int_equal(mkdirat(world->dir, "job/run", 0755), 0);
	assert_int_equal(mkdirat(world->dir, "job/model", 0755), 0);
	assert_int_equal(mkdirat(world->dir, "job/model/deep", 0755), 0);
	write_file(world, "job/run/stdout.out", "solved\n", 0644);
	write_file(world, "job/run/moolloy.jar", "PK", 0644);
	write_file(world, "job/run/tool", "#!", 0755);
	write_file(world, "job/model/deep/model.als", "sig A {}\n", 0600);
}

static void
package_job(struct world *world, const char *compression)
{
	scoped(strings_done) struct strings skip = STRINGS_INIT;
	scoped(text_done) struct text hostname = TEXT_INIT;
	scoped(archive_drop) struct archive_writer *writer = begun(world, compression);
	strings_add(&skip, "run/moolloy.jar");
	text_add_string(&hostname, "host/1\n");
	assert_true(archive_add_bytes(writer, "hostname", &hostname, NULL));
	text_clear(&hostname);
	assert_true(archive_add_bytes(writer, "empty", &hostname, NULL));
	assert_true(archive_add(writer, world->dir, "job/model", "model", NULL, NULL));
	assert_true(archive_add(writer, world->dir, "job/run", "run", &skip, NULL));
	assert_true(archive_finish(&writer, NULL));
	assert_null(writer);
}

/* Unpacks what was made into top/out, by tar, whose exit status must be 0. */
static void
untar(struct world *world, const char *how)
{
	assert_true(tree_remove(world->dir, "out", NULL));
	assert_int_equal(mkdirat(world->dir, "out", 0755), 0);
	assert_true(file_replace(world->dir, "tarball", &world->made, 0644, NULL));
	pid_t pid = fork();
	if (pid == 0) {
		int said = openat(world->dir, "said", O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (said >= 0 && dup2(said, STDOUT_FILENO) >= 0 && dup2(said, STDERR_FILENO) >= 0
		    && fchdir(world->dir) == 0)
			execlp("tar", "tar", how, "tarball", "-C", "out", NULL);
		_exit(127);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
tar_reads_every_compression(void **state)
{
	struct world *world = *state;
	static const char *const how[][2] = {
	    {"zstd", "-xf"}, {"bzip2", "-xjf"}, {"gzip", "-xzf"}, {"xz", "-xJf"}, {"none", "-xf"}};
	struct stat about;
	make_job(world);
	for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
		package_job(world, how[i][0]);

		untar(world, how[i][1]);
		assert_holds(world, "said", "");
		assert_holds(world, "out/hostname", "host/1\n");
		assert_holds(world, "out/empty", "");
		assert_holds(world, "out/model/deep/model.als", "sig A {}\n");
		assert_holds(world, "out/run/stdout.out", "solved\n");
		assert_false(file_exists(world->dir, "out/run/moolloy.jar"));
		assert_int_equal(fstatat(world->dir, "out/run/tool", &about, 0), 0);
		assert_int_equal(about.st_mode & 0777, 0755);
	}
}

static void
our_extraction_reads_every_compression(void **state)
{
	struct world *world = *state;
	const struct archive_limits limits = {.bytes = 1000, .entries = 20};
	char names[] = ARCHIVE_COMPRESSIONS, *rest = NULL;
	make_job(world);
	for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		scoped_fd int out = -1, fd = -1;
		package_job(world, name);
		assert_true(file_replace(world->dir, "tarball", &world->made, 0644, NULL));
		assert_int_equal(mkdirat(world->dir, "out", 0755), 0);
		assert_true(directory_open(world->dir, "out", &out, NULL));
		fd = openat(world->dir, "tarball", O_RDONLY | O_CLOEXEC);
		assert_true(archive_extract(fd, out, &limits, NULL, NULL));
		assert_holds(world, "out/model/deep/model.als", "sig A {}\n");
		assert_true(tree_remove(world->dir, "out", NULL));
	}
}

static void
endings_are_those_people_know(void **state)
{
	(void)state;
	assert_string_equal(archive_ending("zstd"), ".tar.zst");
	assert_string_equal(archive_ending("bzip2"), ".tar.bz2");
	assert_string_equal(archive_ending("gzip"), ".tar.gz");
	assert_string_equal(archive_ending("xz"), ".tar.xz");
	assert_string_equal(archive_ending("none"), ".tar");
	assert_null(archive_ending("rar"));
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct archive_writer *writer = NULL;
	assert_false(archive_begin("rar", to_world, NULL, &writer, &why));
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	assert_null(writer);
}

static void
links_stay_links_and_the_odd_is_left_out(void **state)
{
	struct world *world = *state;
	char target[32] = "";
	assert_int_equal(mkdirat(world->dir, "job", 0755), 0);
	write_file(world, "job/file", "x", 0644);
	assert_int_equal(symlinkat("/etc/passwd", world->dir, "job/link"), 0);
	assert_int_equal(mkfifoat(world->dir, "job/fifo", 0644), 0);
	scoped(archive_drop) struct archive_writer *writer = begun(world, "none");
	assert_true(archive_add(writer, world->dir, "job", "job", NULL, NULL));
	assert_true(archive_finish(&writer, NULL));
	untar(world, "-xf");
	assert_int_equal(readlinkat(world->dir, "out/job/link", target, sizeof target), 11);
	assert_string_equal(target, "/etc/passwd");
	assert_holds(world, "out/job/file", "x");
	assert_false(file_exists(world->dir, "out/job/fifo"));
}

static void
names_of_any_kind_survive(void **state)
{
	struct world *world = *state;
	static const char *const names[] = {"mod\xc3\xa8le.als", "latin\xe8", "new\nline", " ",
	                                    "-x"};
	scoped(text_done) struct text long_name = TEXT_INIT;
	while (long_name.length < 230)
		text_add_string(&long_name, "long name ");
	assert_int_equal(mkdirat(world->dir, "job", 0755), 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		scoped_free char *path = format("job/%s", names[i]);
		write_file(world, path, names[i], 0644);
	}
	scoped_free char *long_path = format("job/%s", long_name.bytes);
	write_file(world, long_path, "long", 0644);
	scoped(archive_drop) struct archive_writer *writer = begun(world, "gzip");
	assert_true(archive_add(writer, world->dir, "job", "job", NULL, NULL));
	assert_true(archive_finish(&writer, NULL));
	untar(world, "-xzf");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		scoped_free char *path = format("out/job/%s", names[i]);
		assert_holds(world, path, names[i]);
	}
	scoped_free char *out_path = format("out/job/%s", long_name.bytes);
	assert_holds(world, out_path, "long");
}

/* /proc says 0 bytes and gives more: as a file that grew since it was looked at. */
static void
a_file_that_grows_is_cut(void **state)
{
	struct world *world = *state;
	scoped(archive_drop) struct archive_writer *writer = begun(world, "none");
	assert_true(archive_add(writer, AT_FDCWD, "/proc/self/status", "status", NULL, NULL));
	assert_true(archive_finish(&writer, NULL));
	untar(world, "-xf");
	assert_holds(world, "out/status", "");
}

static void
what_does_not_exist_is_told(void **state)
{
	struct world *world = *state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(archive_drop) struct archive_writer *writer = begun(world, "zstd");
	assert_false(archive_add(writer, world->dir, "nothing", "run", NULL, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
	assert_non_null(strstr(why.message, "run"));
}

static void
a_failure_of_the_sink_is_told_as_it_was(void **state)
{
	struct world *world = *state;
	char names[] = ARCHIVE_COMPRESSIONS, *rest = NULL;
	make_job(world);
	for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		scoped(failure_done) struct failure why = FAILURE_INIT;
		world->fail_at = 1;
		scoped(archive_drop) struct archive_writer *writer = begun(world, name);
		/* Where it is seen depends on what the compressor holds back. */
		bool done = archive_add(writer, world->dir, "job", "job", NULL, &why)
		            && archive_finish(&writer, &why);
		assert_false(done);
		assert_int_equal(why.code, FAILURE_DISK_FULL);
		assert_string_equal(why.message, "the store is full");
	}
}

static void
what_is_given_up_is_not_ended(void **state)
{
	struct world *world = *state;
	char names[] = ARCHIVE_COMPRESSIONS, *rest = NULL;
	make_job(world);
	for (char *name = strtok_r(names, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
		struct archive_writer *writer = begun(world, name);
		assert_true(archive_add(writer, world->dir, "job", "job", NULL, NULL));
		size_t before = world->made.length;
		archive_drop(&writer);
		assert_null(writer);
		assert_int_equal(world->made.length, before);
	}
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, make_world, remove_world)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    in_world(tar_reads_every_compression),
	    in_world(our_extraction_reads_every_compression),
	    in_world(links_stay_links_and_the_odd_is_left_out),
	    in_world(names_of_any_kind_survive),
	    in_world(a_file_that_grows_is_cut),
	    in_world(what_does_not_exist_is_told),
	    in_world(a_failure_of_the_sink_is_told_as_it_was),
	    in_world(what_is_given_up_is_not_ended),
	    cmocka_unit_test(endings_are_those_people_know),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
