#include "work/mirror.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "outside/digest.h"
#include "unit_directory.h"

#define ALL 1000000000 /* ms, bytes: more than anything here has */

/* ---- sweeping: mirrors are directories, whatever is in them ---- */

/* An entry of the cache: of that many bytes, used so many seconds ago. */
static void
make_entry(const char *name, size_t bytes, int seconds)
{
	scoped_free char *mirror = format("%s/git/%s/1", unit_directory, name);
	scoped_free char *description = format("git/%s/1/description", name);
	scoped_free char *pack = format("git/%s/1/pack", name);
	scoped_free char *lock = format("git/%s/lock", name), *path = unit_path(lock);
	scoped_free char *address = format("https://host/%s\n", name);
	scoped_free char *content = format("%0*d", (int)bytes, 0);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - seconds}};
	assert_true(directory_make(mirror, 0700, NULL));
	unit_write(description, address);
	unit_write(pack, content);
	unit_write(lock, "");
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* What goes, and how it is named. */
static void
assert_swept(int64_t age, int64_t bytes, const char *wanted)
{
	scoped(strings_done) struct strings removed = STRINGS_INIT;
	scoped(text_done) struct text all = TEXT_INIT;
	const struct mirror_limits limits = {.age = age, .bytes = bytes};
	assert_true(mirrors_sweep(unit_directory, &limits, &removed, NULL));
	for (size_t i = 0; i < removed.count; i++)
		text_addf(&all, "%s ", removed.items[i]);
	assert_string_equal(text_string(&all), wanted);
}

static bool
is_there(const char *name)
{
	scoped_free char *path = unit_path(name);
	return file_exists(AT_FDCWD, path);
}

static int
lock_shared(const char *name)
{
	scoped_free char *path = unit_path(name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && flock(fd, LOCK_SH) == 0);
	return fd;
}

static void
the_old_go(void **state)
{
	(void)state;
	assert_swept(0, 0, "");
	make_entry("old", 1, 100);
	make_entry("older", 1, 200);
	make_entry("new", 1, 10);
	assert_swept(50000, ALL, "https://host/older https://host/old ");
	assert_false(is_there("git/old"));
	assert_true(is_there("git/new/1/pack"));
}

static void
the_least_recently_used_make_room(void **state)
{
	(void)state;
	make_entry("a", 100000, 30);
	make_entry("b", 100000, 40);
	make_entry("c", 100000, 20);
	assert_swept(ALL, 250000, "https://host/b ");
	assert_swept(ALL, 250000, "");
}

static void
what_is_used_or_written_stays(void **state)
{
	(void)state;
	make_entry("used", 1, 100);
	make_entry("written", 1, 100);
	scoped_fd int used = lock_shared("git/used/1"), written = lock_shared("git/written/lock");
	assert_swept(0, 0, "");
	assert_true(is_there("git/used/1/pack") && is_there("git/written/1/pack"));
	close_fd(&used);
	assert_swept(0, 0, "https://host/used ");
}

/* One that never came to be, what another user's worker put aside, what has no name. */
static void
leftovers_go(void **state)
{
	(void)state;
	make_entry("x.7.aside", 1, 0);
	make_entry("half", 1, 100);
	make_entry("nameless", 1, 100);
	scoped_free char *half = unit_path("git/half/1"), *new = unit_path("git/half/new");
	scoped_free char *name = unit_path("git/nameless/1/description");
	scoped_free char *one = format("%s/git/half ", unit_directory);
	scoped_free char *other = format("%s/git/nameless ", unit_directory);
	assert_int_equal(rename(half, new), 0);
	assert_int_equal(unlink(name), 0);
	scoped(strings_done) struct strings removed = STRINGS_INIT;
	const struct mirror_limits limits = {.age = 50000, .bytes = ALL};
	assert_true(mirrors_sweep(unit_directory, &limits, &removed, NULL));
	assert_int_equal(removed.count, 2);
	assert_false(is_there("git/half") || is_there("git/nameless") || is_there("git/x.7.aside"));
}

/* ---- holding: what ends before anything was fetched ---- */

static enum failure_code
hold(const char *url, const struct tick *tick)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(steps_done) struct steps steps = STEPS_INIT;
	scoped(mirror_done) struct mirror mirror = MIRROR_INIT;
	struct transfer transfer = {0};
	const struct mirror_wish wish = {.cache_directory = unit_directory,
	                                 .url = url,
	                                 .commit = "0123456789012345678901234567890123456789",
	                                 .tick = tick,
	                                 .transfer = &transfer,
	                                 .steps = &steps};
	assert_false(mirror_hold(&wish, &mirror, &why));
	return why.code;
}

static void
start_with_files(void)
{
	static struct strings protocols;
	static const struct repository_access access = {.protocols = &protocols,
	                                                .stall_timeout = 1000};
	if (protocols.count == 0) {
		strings_add(&protocols, "file");
		assert_true(repository_start(&access, NULL));
	}
}

/* Of the entry for that address. */
static char *
entry_path(const char *url, const char *name)
{
	char sha256[SHA256_TEXT];
	digest_bytes(url, strlen(url), sha256);
	return format("%s/git/%s/%s", unit_directory, sha256, name);
}

static void
a_clone_that_failed_leaves_nothing(void **state)
{
	(void)state;
	start_with_files();
	assert_int_equal(hold("/nowhere/at/all", NULL), FAILURE_NO_REPOSITORY);
	assert_int_equal(hold("https://127.0.0.1:1/x", NULL), FAILURE_BAD_REPOSITORY);
	scoped_free char *first = entry_path("/nowhere/at/all", "1");
	scoped_free char *new = entry_path("/nowhere/at/all", "new");
	scoped_free char *lock = entry_path("/nowhere/at/all", "lock");
	assert_false(file_exists(AT_FDCWD, first) || file_exists(AT_FDCWD, new));
	assert_true(file_exists(AT_FDCWD, lock));
}

static void
waiting_for_another_can_be_stopped(void **state)
{
	(void)state;
	static const struct tick tick = {.tell = unit_stop};
	start_with_files();
	assert_int_equal(hold("/nowhere", NULL), FAILURE_NO_REPOSITORY);
	scoped_free char *path = entry_path("/nowhere", "lock");
	scoped_fd int lock = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	assert_int_equal(hold("/nowhere", &tick), FAILURE_CANCELLED);
}

/* A mirror that is none is not believed, nor is it touched when it cannot be replaced. */
static void
what_cannot_be_replaced_stays(void **state)
{
	(void)state;
	start_with_files();
	assert_int_equal(hold("/nowhere", NULL), FAILURE_NO_REPOSITORY);
	scoped_free char *path = entry_path("/nowhere", "3");
	assert_true(directory_make(path, 0700, NULL));
	assert_int_equal(hold("/nowhere", NULL), FAILURE_NO_REPOSITORY);
	assert_true(file_exists(AT_FDCWD, path));
}

static void
a_cache_that_cannot_be_made(void **state)
{
	(void)state;
	start_with_files();
	unit_write("git", "in the way");
	assert_int_not_equal(hold("/nowhere", NULL), FAILURE_NO_REPOSITORY);
	scoped(strings_done) struct strings removed = STRINGS_INIT;
	const struct mirror_limits limits = {0};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_false(mirrors_sweep(unit_directory, &limits, &removed, &why));
	assert_non_null(strstr(why.message, unit_directory));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(the_old_go),
	    unit_test_in_directory(the_least_recently_used_make_room),
	    unit_test_in_directory(what_is_used_or_written_stays),
	    unit_test_in_directory(leftovers_go),
	    unit_test_in_directory(a_clone_that_failed_leaves_nothing),
	    unit_test_in_directory(waiting_for_another_can_be_stopped),
	    unit_test_in_directory(what_cannot_be_replaced_stays),
	    unit_test_in_directory(a_cache_that_cannot_be_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
