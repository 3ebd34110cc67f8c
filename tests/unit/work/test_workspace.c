#include <sys/stat.h>

#include "unit.h"
#include "unit_directory.h"
#include "work/workspace.h"

/* A kept job directory of one file, last written so many seconds after 2026 began. */
static void
keep(const char *name, const char *content, int seconds)
{
	scoped_free char *relative = format("jobs/%s", name);
	scoped_free char *path = unit_path(relative);
	scoped_free char *file = format("%s/file", relative);
	const struct timespec times[2] = {{.tv_sec = 1767225600 + seconds},
	                                  {.tv_sec = 1767225600 + seconds}};
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
	    unit_test_in_directory(a_workspace_is_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
