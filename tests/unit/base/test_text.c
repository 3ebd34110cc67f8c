#include "base/text.h"
#include "unit.h"

static void
grows_and_hands_over(void **state)
{
	(void)state;
	struct text text = TEXT_INIT;
	assert_string_equal(text_string(&text), "");
	for (int i = 0; i < 1000; i++)
		text_addf(&text, "%d,", i);
	assert_int_equal(strlen(text_string(&text)), text.length);
	scoped_free char *taken = text_take(&text);
	assert_memory_equal(taken, "0,1,2,3,", 8);
	assert_string_equal(text_string(&text), "");
}

static void
lists_end_with_null(void **state)
{
	(void)state;
	scoped(strings_done) struct strings list = STRINGS_INIT;
	strings_add(&list, "a");
	strings_addf(&list, "%d", 2);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[1], "2");
	assert_null(list.items[2]);
	assert_true(strings_contain(&list, "a"));
	assert_false(strings_contain(&list, "b"));
}

static void
check_printable(const char *bytes, size_t length, bool keep_lines, const char *wanted)
{
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_printable(&text, bytes, length, keep_lines);
	assert_string_equal(text_string(&text), wanted);
}

static void
outside_bytes_become_printable(void **state)
{
	(void)state;
	check_printable("a\nb\x1b[0m\0c", 9, false, "a\\x0ab\\x1b[0m\\x00c");
	check_printable("a\n\tb\r", 5, true, "a\n\tb\\x0d");
	check_printable("\xC3\xA9\xF0\x9F\x98\x80", 6, false, "\xC3\xA9\xF0\x9F\x98\x80");
	/* overlong, surrogate, above U+10FFFF, cut off at the end */
	check_printable("\xC0\x80", 2, false, "\xEF\xBF\xBD\xEF\xBF\xBD");
	check_printable("\xED\xA0\x80", 3, false, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
	check_printable("\xF4\x90\x80\x80", 4, false,
	                "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
	check_printable("x\xE2\x82", 3, false, "x\xEF\xBF\xBD\xEF\xBF\xBD");
}

static void
prefixes_and_suffixes(void **state)
{
	(void)state;
	assert_true(starts_with("abc", "ab"));
	assert_false(starts_with("a", "ab"));
	assert_true(ends_with("a.jar", ".jar"));
	assert_false(ends_with("jar", ".jar"));
	assert_true(strings_equal(NULL, NULL));
	assert_false(strings_equal(NULL, ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(grows_and_hands_over),
	    cmocka_unit_test(lists_end_with_null),
	    cmocka_unit_test(outside_bytes_become_printable),
	    cmocka_unit_test(prefixes_and_suffixes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
