#include <errno.h>

#include "base/backoff.h"
#include "base/failure.h"
#include "base/text.h"
#include "unit.h"

static void
leaves_with_code_and_message(void **state)
{
	(void)state;
	struct failure why = FAILURE_INIT;
	assert_false(fail(&why, FAILURE_NETWORK, "cannot reach %s", "x"));
	assert_true(why.retryable);
	assert_string_equal(why.message, "cannot reach x");
	assert_false(fail_within(&why, "jar"));
	assert_string_equal(why.message, "jar: cannot reach x");
	/* the message may be made from the old one */
	assert_false(fail(&why, FAILURE_INTERNAL, "again: %s", why.message));
	assert_string_equal(why.message, "again: jar: cannot reach x");
	assert_false(fail(NULL, FAILURE_INTERNAL, "nobody listens"));
}

static void
errno_gives_the_code(void **state)
{
	(void)state;
	struct failure why = FAILURE_INIT;
	errno = ENOSPC;
	assert_false(fail_errno(&why, "write %s", "f"));
	assert_int_equal(why.code, FAILURE_DISK_FULL);
	assert_string_equal(why.message, "write f: No space left on device");
}

static void
details_keep_their_end(void **state)
{
	(void)state;
	struct failure why = FAILURE_INIT, copy = FAILURE_INIT;
	struct text long_text = TEXT_INIT;
	for (int i = 0; i < 100000; i++)
		text_add(&long_text, "x", 1);
	text_add_string(&long_text, "end\xff");
	fail(&why, FAILURE_COMMAND, "ant");
	failure_set_details(&why, long_text.bytes, long_text.length);
	assert_true(ends_with(why.details, "end\xEF\xBF\xBD"));
	assert_true(strlen(why.details) <= 64 * 1024 + 3);
	failure_copy(&copy, &why);
	failure_done(&why);
	assert_true(ends_with(copy.details, "end\xEF\xBF\xBD"));
	failure_done(&copy);
	text_done(&long_text);
}

static void
every_row_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (enum failure_code code = 0; code < FAILURE_CODES; code++) {
		enum failure_code found;
		assert_non_null(failure_name(code));
		assert_true(strlen(failure_meaning(code)) > 10);
		assert_true(failure_from_name(failure_name(code), &found));
		assert_int_equal(found, code);
	}
	enum failure_code untouched = FAILURE_INTERNAL;
	assert_false(failure_from_name("no-such", &untouched));
	assert_int_equal(untouched, FAILURE_INTERNAL);
}

static void
backoff_grows_to_its_cap(void **state)
{
	(void)state;
	struct backoff backoff = {.first = 100, .cap = 1000};
	int64_t ceiling = 100, longest = 0;
	for (int i = 0; i < 200; i++) {
		int64_t wait = backoff_next(&backoff);
		assert_in_range(wait, 0, ceiling);
		longest = wait > longest ? wait : longest;
		ceiling = ceiling * 2 > 1000 ? 1000 : ceiling * 2;
	}
	assert_true(longest > 500);
	backoff_reset(&backoff);
	assert_in_range(backoff_next(&backoff), 0, 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(leaves_with_code_and_message),
	    cmocka_unit_test(errno_gives_the_code),
	    cmocka_unit_test(details_keep_their_end),
	    cmocka_unit_test(every_row_has_a_name_of_its_own),
	    cmocka_unit_test(backoff_grows_to_its_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
