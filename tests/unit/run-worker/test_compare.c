#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../../../run-worker/compare.h"
#include "base/files.h"
#include "outside/json.h"
#include "unit.h"

static char top[] = "/tmp/test-compare-XXXXXX";
static int run = -1, model = -1;

static int
make_directories(void **state)
{
	(void)state;
	memcpy(top, "/tmp/test-compare-XXXXXX", sizeof top);
	if (!mkdtemp(top))
		return -1;
	scoped_free char *run_path = format("%s/run", top);
	scoped_free char *model_path = format("%s/model", top);
	return directory_make(run_path, 0755, NULL) && directory_make(model_path, 0755, NULL)
	               && directory_open(AT_FDCWD, run_path, &run, NULL)
	               && directory_open(AT_FDCWD, model_path, &model, NULL)
	           ? 0
	           : -1;
}

static int
remove_directories(void **state)
{
	(void)state;
	close_fd(&run);
	close_fd(&model);
	return tree_remove(AT_FDCWD, top, NULL) ? 0 : -1;
}

static void
put(int directory, const char *name, const char *bytes)
{
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_string(&text, bytes);
	assert_true(file_publish(directory, name, &text, 0644, NULL));
}

static void
compare(struct comparison *comparison)
{
	assert_true(solutions_read(run, NULL, &comparison->run, NULL));
	assert_true(solutions_read(model, NULL, &comparison->model, NULL));
	comparison_make(comparison);
}

/* How many are matched, missing, unexpected, as comparison.json tells. */
static void
assert_counts(const struct comparison *comparison, size_t matched, size_t missing,
              size_t unexpected)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(js_drop) struct json_t *json = NULL;
	comparison_write(comparison, comparison->equal, &text);
	assert_true(js_parse(text.bytes, text.length, &json, NULL));
	assert_int_equal(js_size(js_member(json, "matched")), matched);
	assert_int_equal(js_size(js_member(json, "missing")), missing);
	assert_int_equal(js_size(js_member(json, "unexpected")), unexpected);
	assert_int_equal(js_true(json, "correct"), missing == 0 && unexpected == 0);
	assert_int_equal(comparison->equal, missing == 0 && unexpected == 0);
}

static void
matches_renumbered_solutions_of_another_build(void **state)
{
	(void)state;
	scoped(comparison_done) struct comparison comparison = {0};
	put(run, "alloy_solutions_1.xml", "<alloy builddate=\"today\">\nA\n");
	put(run, "alloy_solutions_2.xml", "<alloy builddate=\"today\">\nB\n");
	put(model, "alloy_solutions_1.xml", "<alloy builddate=\"then\">\nB\n");
	put(model, "alloy_solutions_7.xml", "<alloy builddate=\"long ago\">\nA\n");
	compare(&comparison);
	assert_counts(&comparison, 2, 0, 0);
	assert_string_equal(comparison.run.items[0].counterpart, "alloy_solutions_7.xml");
	assert_string_equal(comparison.model.items[0].counterpart, "alloy_solutions_2.xml");
}

static void
tells_missing_and_unexpected(void **state)
{
	(void)state;
	scoped(comparison_done) struct comparison comparison = {0};
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(js_drop) struct json_t *json = NULL;
	put(run, "alloy_solutions_1.xml", "1\nA\n");
	put(run, "alloy_solutions_2.xml", "1\nX\n");
	put(model, "alloy_solutions_1.xml", "1\nA\n");
	put(model, "alloy_solutions_2.xml", "1\nB\n");
	put(model, "alloy_solutions_3.xml", "1\nC\n");
	compare(&comparison);
	assert_counts(&comparison, 1, 2, 1);
	comparison_write(&comparison, false, &text);
	assert_true(js_parse(text.bytes, text.length, &json, NULL));
	const struct json_t *pair = js_item(js_member(json, "matched"), 0);
	assert_string_equal(js_string(pair, "run"), "alloy_solutions_1.xml");
	assert_string_equal(js_string(pair, "model"), "alloy_solutions_1.xml");
	/* printf 'A\n' | sha256sum */
	assert_string_equal(js_string(pair, "sha256"),
	                    "06f961b802bc46ee168555f066d28f4f0e9afdf3f88174c1ee6f9de004fc30a0");
	const struct json_t *unexpected = js_item(js_member(json, "unexpected"), 0);
	assert_string_equal(js_string(unexpected, "name"), "alloy_solutions_2.xml");
}

static void
counts_duplicates(void **state)
{
	(void)state;
	scoped(comparison_done) struct comparison comparison = {0};
	put(run, "alloy_solutions_1.xml", "1\nA\n");
	put(run, "alloy_solutions_2.xml", "1\nA\n");
	put(run, "alloy_solutions_3.xml", "1\nB\n");
	put(model, "alloy_solutions_1.xml", "1\nA\n");
	put(model, "alloy_solutions_2.xml", "1\nB\n");
	put(model, "alloy_solutions_3.xml", "1\nB\n");
	compare(&comparison);
	assert_counts(&comparison, 2, 1, 1);
}

static void
minds_every_byte_after_the_first_line(void **state)
{
	(void)state;
	scoped(comparison_done) struct comparison comparison = {0};
	/* A last line without its end; an empty line more; carriage returns. */
	put(run, "alloy_solutions_1.xml", "1\nA");
	put(model, "alloy_solutions_1.xml", "1\nA\n");
	put(run, "alloy_solutions_2.xml", "1\n\nB\n");
	put(model, "alloy_solutions_2.xml", "1\nB\n");
	put(run, "alloy_solutions_3.xml", "1\r\nC\r\n");
	put(model, "alloy_solutions_3.xml", "1\nC\n");
	compare(&comparison);
	assert_counts(&comparison, 0, 3, 3);
}

/* Nothing is left of an empty file, nor of one line with or without its end (`tail -n +2`). */
static void
takes_short_files_as_empty(void **state)
{
	(void)state;
	scoped(comparison_done) struct comparison comparison = {0};
	put(run, "alloy_solutions_1.xml", "");
	put(run, "alloy_solutions_2.xml", "no end");
	put(run, "alloy_solutions_3.xml", "end\n");
	put(model, "alloy_solutions_1.xml", "another\n");
	put(model, "alloy_solutions_2.xml", "");
	put(model, "alloy_solutions_3.xml", "");
	compare(&comparison);
	assert_counts(&comparison, 3, 0, 0);
	/* printf '' | sha256sum */
	assert_string_equal(comparison.run.items[1].sha256,
	                    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void
finds_the_end_of_a_long_first_line(void **state)
{
	(void)state;
	scoped(comparison_done) struct comparison comparison = {0};
	scoped(text_done) struct text text = TEXT_INIT;
	memset(text_reserve(&text, 200000), 'x', 200000);
	text.length = 200000;
	text_add_string(&text, "\nA\n");
	assert_true(file_publish(run, "alloy_solutions_1.xml", &text, 0644, NULL));
	put(model, "alloy_solutions_1.xml", "1\nA\n");
	compare(&comparison);
	assert_counts(&comparison, 1, 0, 0);
}

static void
equals_when_there_are_none(void **state)
{
	(void)state;
	scoped(comparison_done) struct comparison comparison = {0};
	put(run, "stdout.out", "words\n");
	put(run, "alloy_solutions_1.xml.trimmed", "1\nA\n");
	put(model, "alloy_solutions.xml", "1\nA\n");
	compare(&comparison);
	assert_counts(&comparison, 0, 0, 0);
}

/* A jar may leave anything under the name of a solution; none of it is followed or waited for. */
static void
reads_regular_files_only(void **state)
{
	(void)state;
	scoped(comparison_done) struct comparison comparison = {0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	scoped_fd int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s/run/alloy_solutions_5.xml", top);
	assert_int_equal(bind(socket_fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(symlinkat("/etc/passwd", run, "alloy_solutions_1.xml"), 0);
	assert_int_equal(symlinkat("nowhere", run, "alloy_solutions_2.xml"), 0);
	assert_int_equal(mkfifoat(run, "alloy_solutions_3.xml", 0644), 0);
	assert_int_equal(mkdirat(run, "alloy_solutions_4.xml", 0755), 0);
	compare(&comparison);
	assert_int_equal(comparison.run.count, 0);
}

/* Its hash would take for ever; it is unexpected, whatever the model holds. */
static void
hashes_no_endless_file(void **state)
{
	(void)state;
	scoped(comparison_done) struct comparison comparison = {0};
	scoped_fd int fd = openat(run, "alloy_solutions_1.xml", O_WRONLY | O_CREAT | O_CLOEXEC,
	                          0644);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_true(solutions_read(run, NULL, &comparison.run, NULL));
	assert_true(solutions_read(run, NULL, &comparison.model, NULL));
	comparison_make(&comparison);
	assert_counts(&comparison, 0, 1, 1);
}

static void
can_be_stopped(void **state)
{
	(void)state;
	const struct tick tick = {.tell = unit_stop};
	struct solutions solutions = {0};
	struct failure why = FAILURE_INIT;
	put(run, "alloy_solutions_1.xml", "1\nA\n");
	assert_false(solutions_read(run, &tick, &solutions, &why));
	assert_int_equal(why.code, FAILURE_CANCELLED);
	assert_null(solutions.items);
}

#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, make_directories, remove_directories)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(matches_renumbered_solutions_of_another_build),
	    TEST(tells_missing_and_unexpected),
	    TEST(counts_duplicates),
	    TEST(minds_every_byte_after_the_first_line),
	    TEST(takes_short_files_as_empty),
	    TEST(finds_the_end_of_a_long_first_line),
	    TEST(equals_when_there_are_none),
	    TEST(reads_regular_files_only),
	    TEST(hashes_no_endless_file),
	    TEST(can_be_stopped),
	};
	return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
