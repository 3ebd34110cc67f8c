#include "work/disk.h"

#include <sys/stat.h>

#include "unit_directory.h"

static void
room_is_watched(void **state)
{
	(void)state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct disk_watch enough = {.directory = unit_directory, .free_bytes = 1};
	struct disk_watch full = {.directory = unit_directory, .free_bytes = INT64_MAX};
	struct disk_watch none = {.free_bytes = INT64_MAX};
	/* Of another file system, which has no room at all. */
	struct disk_watch cache = {.directory = unit_directory, .cache = "/proc", .free_bytes = 1};
	struct disk_watch no_cache = {
	    .directory = unit_directory, .cache = "/nowhere", .free_bytes = 1};
	assert_true(disk_look(&enough, &why));
	assert_true(disk_look(&none, &why));
	assert_false(disk_look(&full, &why));
	assert_int_equal(why.code, FAILURE_DISK_FULL);
	assert_non_null(strstr(why.message, "disk.stop-bytes"));
	assert_true(disk_look(&no_cache, &why));
	assert_false(disk_look(&cache, &why));
	assert_int_equal(why.code, FAILURE_DISK_FULL);
	assert_non_null(strstr(why.message, "the cache's disk"));
}

static void
the_directory_is_measured(void **state)
{
	(void)state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct disk_watch large = {
	    .directory = unit_directory, .free_bytes = 1, .job_bytes = 1000000};
	struct disk_watch small = {.directory = unit_directory, .free_bytes = 1, .job_bytes = 1000};
	unit_write("file", "one block of a disk");
	assert_true(disk_look(&large, &why));
	assert_false(disk_look(&small, &why));
	assert_int_equal(why.code, FAILURE_DISK_FULL);
	assert_non_null(strstr(why.message, "disk.job-bytes"));
}

static void
the_reserve_is_given_up_once(void **state)
{
	(void)state;
	struct stat about;
	const struct failure full = {.code = FAILURE_DISK_FULL};
	const struct failure other = {.code = FAILURE_SYSTEM};
	scoped_free char *path = unit_path("reserve");
	assert_false(disk_gave_up_reserve(unit_directory, &full));
	disk_make_reserve(unit_directory);
	disk_make_reserve(unit_directory);
	assert_int_equal(stat(path, &about), 0);
	assert_true(about.st_blocks * 512 >= 1024 * 1024);
	assert_false(disk_gave_up_reserve(unit_directory, &other));
	assert_true(disk_gave_up_reserve(unit_directory, &full));
	assert_int_equal(stat(path, &about), -1);
	assert_false(disk_gave_up_reserve(unit_directory, &full));
}

/* By a crash, say. */
static void
a_reserve_that_holds_too_little_is_made_whole(void **state)
{
	(void)state;
	struct stat about;
	scoped_free char *path = unit_path("reserve");
	unit_write("reserve", "");
	disk_make_reserve(unit_directory);
	assert_int_equal(stat(path, &about), 0);
	assert_true(about.st_blocks * 512 >= 1024 * 1024);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(room_is_watched),
	    unit_test_in_directory(the_directory_is_measured),
	    unit_test_in_directory(the_reserve_is_given_up_once),
	    unit_test_in_directory(a_reserve_that_holds_too_little_is_made_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
