#include <errno.h>
#include <sys/stat.h>

#include "base/files.h"
#include "unit.h"

static char top[] = "/tmp/test-files-XXXXXX";
static int dir = -1;

static int
make_top(void **state)
{
	(void)state;
	return mkdtemp(top) && directory_open(AT_FDCWD, top, &dir, NULL) ? 0 : -1;
}

static int
remove_top(void **state)
{
	(void)state;
	close_fd(&dir);
	return tree_remove(AT_FDCWD, top, NULL) && !file_exists(AT_FDCWD, top) ? 0 : -1;
}

static void
put(const char *name, const char *bytes)
{
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_string(&text, bytes);
	assert_true(file_replace(dir, name, &text, 0644, NULL));
}

static void
replaces_whole_files(void **state)
{
	(void)state;
	put("a", "one");
	put("a", "two");
	scoped(text_done) struct text got = TEXT_INIT;
	assert_true(file_read(dir, "a", 100, &got, NULL));
	assert_string_equal(text_string(&got), "two");
	assert_false(file_exists(dir, ".a.tmp"));
	assert_true(file_remove(dir, "a", NULL));
	assert_true(file_remove(dir, "a", NULL));
	struct failure why = FAILURE_INIT;
	assert_false(file_read(dir, "a", 100, &got, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
}

static void
reading_is_bounded(void **state)
{
	(void)state;
	put("big", "0123456789");
	scoped(text_done) struct text got = TEXT_INIT;
	struct failure why = FAILURE_INIT;
	assert_false(file_read(dir, "big", 9, &got, &why));
	assert_int_equal(why.code, FAILURE_REJECTED);
	text_clear(&got);
	assert_true(file_read(dir, "big", 10, &got, &why));
}

static void
removes_trees_without_following_links(void **state)
{
	(void)state;
	scoped_free char *deep = format("%s/tree/x/y/z", top);
	assert_true(directory_make(deep, 0755, NULL));
	put("tree/x/file", "1");
	put("outside", "kept");
	assert_int_equal(symlinkat("../outside", dir, "tree/link"), 0);
	assert_int_equal(symlinkat("..", dir, "tree/up"), 0);
	scoped_free char *closed = format("%s/tree/x", top);
	assert_int_equal(chmod(closed, 0), 0);
	assert_true(tree_remove(dir, "tree", NULL));
	assert_false(file_exists(dir, "tree"));
	assert_true(file_exists(dir, "outside"));
	assert_true(tree_remove(dir, "tree", NULL));
}

/* Deeper than there are fds, as a hostile build may leave it. */
static void
removes_what_lies_very_deep(void **state)
{
	(void)state;
	scoped_fd int at = -1;
	scoped_free char *deep = format("%s/deep", top);
	int64_t bytes = 0;
	assert_true(directory_make(deep, 0755, NULL));
	assert_true(directory_open(AT_FDCWD, deep, &at, NULL));
	for (int level = 0; level < 3000; level++) {
		assert_int_equal(mkdirat(at, "d", level % 7 ? 0755 : 0700), 0);
		int below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(below >= 0);
		close_fd(&at);
		at = below;
	}
	assert_true(tree_size(dir, "deep", &bytes, NULL));
	assert_true(tree_remove(dir, "deep", NULL));
	assert_false(file_exists(dir, "deep"));
}

static void
sizes_count_each_inode_once(void **state)
{
	(void)state;
	scoped_free char *sub = format("%s/size/sub", top);
	assert_true(directory_make(sub, 0755, NULL));
	char block[8192];
	memset(block, 'x', sizeof block - 1);
	block[sizeof block - 1] = '\0';
	put("size/sub/a", block);
	assert_int_equal(linkat(dir, "size/sub/a", dir, "size/b", 0), 0);
	int64_t bytes = 0;
	assert_true(tree_size(dir, "size", &bytes, NULL));
	assert_true(bytes >= 8191 && bytes <= 16384);
}

static void
directories_are_listed_sorted(void **state)
{
	(void)state;
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_free char *path = format("%s/list", top);
	assert_true(directory_make(path, 0755, NULL));
	put("list/b", "");
	put("list/a", "");
	assert_true(directory_list(dir, "list", &names, NULL));
	assert_int_equal(names.count, 2);
	assert_string_equal(names.items[0], "a");
}

static void
a_file_in_the_way_is_told(void **state)
{
	(void)state;
	put("file", "");
	scoped_free char *below = format("%s/file/x", top);
	struct failure why = FAILURE_INIT;
	assert_false(directory_make(below, 0755, &why));
	assert_non_null(strstr(why.message, "/file"));
}

static void
descends_without_following_links(void **state)
{
	(void)state;
	char missing[] = "deep/er/file", made_now[] = "deep/./er/file", by_link[] = "link/file";
	char alone[] = "file/";
	const char *last = NULL;
	int made = 0;
	assert_int_equal(directory_descend(dir, missing, NULL, &last), -1);
	assert_int_equal(errno, ENOENT);
	scoped_fd int parent = directory_descend(dir, made_now, &made, &last);
	assert_true(parent >= 0);
	assert_int_equal(made, 2);
	assert_string_equal(last, "file");
	assert_true(file_exists(dir, "deep/er"));
	assert_int_equal(symlinkat("deep", dir, "link"), 0);
	assert_int_equal(directory_descend(dir, by_link, &made, &last), -1);
	assert_int_equal(errno, ENOTDIR);
	scoped_fd int same = directory_descend(dir, alone, NULL, &last);
	assert_true(same >= 0);
	assert_string_equal(last, "file");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replaces_whole_files),
	    cmocka_unit_test(reading_is_bounded),
	    cmocka_unit_test(removes_trees_without_following_links),
	    cmocka_unit_test(removes_what_lies_very_deep),
	    cmocka_unit_test(sizes_count_each_inode_once),
	    cmocka_unit_test(directories_are_listed_sorted),
	    cmocka_unit_test(a_file_in_the_way_is_told),
	    cmocka_unit_test(descends_without_following_links),
	};
	return cmocka_run_group_tests(tests, make_top, remove_top);
}
