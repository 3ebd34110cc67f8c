#include <sys/stat.h>

#include "unit.h"
#include "unit_directory.h"
#include "work/workspace.h"

/* A kept job directory of one file, last written so many milliseconds after 2026 began. */
static void
keep(const char *name, const char *content, int ms)
{
	scoped_free char *relative = format("jobs/%s", name);
	scoped_free char *path = unit_path(relative);
	scoped_free char *file = format("%s/file", relative);
	const struct timespec when = {.tv_sec = 1767225600, .tv_nsec = ms * 1000000L};
	const struct timespec times[2] = {when, when};
	assert_true(directory_make(path, 0755, NULL));
	unit_write(file, content);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
expect_left(const struct workspace_policy *policy, const char *current, const char *names)
{
	scoped(strings_done) struct strings removed = STRINGS_INIT, left = STRINGS_INIT;
	scoped_free char *jobs = unit_path("jobs");
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(workspace_sweep(unit_directory, policy, current, &removed, NULL));
	assert_true(directory_list(AT_FDCWD, jobs, &left, NULL));
	for (size_t i = 0; i < left.count; i++)
		text_addf(&text, "%s%s", i ? " " : "", left.items[i]);
	assert_string_equal(text_string(&text), names);
}

#define MUCH (1LL << 40)

static void
the_newest_stay(void **state)
{
	(void)state;
	keep("1-1", "x", 1);
	keep("2-1", "x", 3);
	keep("3-1", "x", 2);
	const struct workspace_policy all = {.count = 3, .bytes = MUCH, .age = INT64_MAX};
	const struct workspace_policy two = {.count = 2, .bytes = MUCH, .age = INT64_MAX};
	const struct workspace_policy none = {.count = 0, .bytes = MUCH, .age = INT64_MAX};
	expect_left(&all, NULL, "1-1 2-1 3-1");
	expect_left(&two, NULL, "2-1 3-1");
	expect_left(&none, "2-1", "2-1");
}

static void
old_and_large_ones_go(void **state)
{
	(void)state;
	keep("1-1", "x", 1);
	const struct workspace_policy young = {.count = 9, .bytes = MUCH, .age = 1000};
	expect_left(&young, NULL, "");
	keep("2-1", "x", 2);
	const struct workspace_policy small = {.count = 9, .bytes = 1, .age = INT64_MAX};
	expect_left(&small, NULL, "");
}

static void
all_together_are_bounded(void **state)
{
	(void)state;
	scoped(text_done) struct text large = TEXT_INIT;
	while (large.length < 100000)
		text_add_string(&large, "many bytes ");
	const struct workspace_policy policy = {.count = 9, .bytes = 250000, .age = INT64_MAX};
	keep("1-1", text_string(&large), 1);
	keep("2-1", text_string(&large), 2);
	expect_left(&policy, NULL, "1-1 2-1");
	keep("3-1", text_string(&large), 3);
	/* The current job's is not looked at: neither counted nor removed. */
	expect_left(&policy, "3-1", "1-1 2-1 3-1");
	expect_left(&policy, "1-1", "1-1 2-1 3-1");
	expect_left(&policy, NULL, "2-1 3-1");
}

static void
what_is_young_enough_stays(void **state)
{
	(void)state;
	scoped_free char *path = unit_path("jobs/2-1");
	keep("1-1", "x", 1);
	assert_true(directory_make(path, 0755, NULL));
	const struct workspace_policy hour = {.count = 9, .bytes = MUCH, .age = 3600000};
	expect_left(&hour, NULL, "2-1");
}

static void
links_are_not_followed_and_strays_stay(void **state)
{
	(void)state;
	scoped_free char *closed = unit_path("jobs/1-1/closed");
	scoped_free char *link = unit_path("jobs/1-1/link");
	scoped_free char *elsewhere = unit_path("elsewhere");
	const struct workspace_policy none = {.count = 0, .bytes = MUCH, .age = INT64_MAX};
	unit_write("elsewhere", "mine");
	keep("1-1", "x", 1);
	unit_write("jobs/stray", "a file");
	assert_true(directory_make(closed, 0500, NULL));
	assert_int_equal(symlink(elsewhere, link), 0);
	expect_left(&none, NULL, "stray");
	assert_true(file_exists(AT_FDCWD, elsewhere));
}

static void
removed_ones_are_named_oldest_last(void **state)
{
	(void)state;
	scoped(strings_done) struct strings removed = STRINGS_INIT;
	struct failure why = FAILURE_INIT;
	const struct workspace_policy one = {.count = 1, .bytes = MUCH, .age = INT64_MAX};
	assert_false(workspace_sweep(unit_directory, &one, NULL, &removed, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
	keep("1-1", "x", 1);
	keep("1-2", "x", 3);
	keep("1-3", "x", 2);
	assert_true(workspace_sweep(unit_directory, &one, NULL, &removed, NULL));
	assert_int_equal(removed.count, 2);
	assert_string_equal(removed.items[0], "1-3");
	assert_string_equal(removed.items[1], "1-1");
}

static void
a_workspace_is_empty(void **state)
{
	(void)state;
	char id[] = "7";
	const struct job job = {.id = id, .attempt = 2};
	scoped_free char *path = NULL;
	keep("7-2", "left over", 1);
	assert_true(workspace_make(unit_directory, &job, &path, NULL));
	scoped_free char *wanted = unit_path("jobs/7-2");
	scoped(strings_done) struct strings names = STRINGS_INIT;
	assert_string_equal(path, wanted);
	assert_true(directory_list(AT_FDCWD, path, &names, NULL));
	assert_int_equal(names.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(the_newest_stay),
	    unit_test_in_directory(old_and_large_ones_go),
	    unit_test_in_directory(all_together_are_bounded),
	    unit_test_in_directory(what_is_young_enough_stays),
	    unit_test_in_directory(links_are_not_followed_and_strays_stay),
	    unit_test_in_directory(removed_ones_are_named_oldest_last),
	    unit_test_in_directory(a_workspace_is_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
