#include "unit.h"

#include "../../../src/dashboard/hook.h"

static void
test_times(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t seconds;
	} cases[] = {{"1970-01-01T00:00:00Z", 0},
	             {"2014-03-01T12:00:00-05:00", 1393693200},
	             {"2014-03-01T12:00:00+0530", 1393655400},
	             {"2014/03/01 12:00:00 -0500", 1393693200},
	             {"2026-11-24T03:09:37Z", 1795489777}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t ms = -1;
		assert_true(hook_parse_time(cases[i].text, &ms));
		assert_int_equal(ms, cases[i].seconds * 1000);
	}
}

static void
test_no_times(void **state)
{
	(void)state;
	static const char *const texts[] = {"",
	                                    "yesterday",
	                                    "2014-03-01",
	                                    "2014-13-01T12:00:00Z",
	                                    "2014-03-01T12:00:00Z; rm",
	                                    "2014-03-01T12:00:00"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		int64_t ms;
		assert_false(hook_parse_time(texts[i], &ms));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_no_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
