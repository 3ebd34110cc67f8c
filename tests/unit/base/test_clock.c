/* Points in time as text. */
#include "base/clock.h"
#include "unit.h"

static void
times_round_trip(void **state)
{
	(void)state;
	static const int64_t seconds[] = {0, 951782399, 1795508550, 4102444800};
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		char text[WALL_TEXT_SIZE];
		int64_t again = -1;
		assert_true(wall_parse(wall_text(seconds[i] * 1000, text), &again));
		assert_int_equal(again, seconds[i] * 1000);
	}
}

static void
times_in_other_forms(void **state)
{
	(void)state;
	static const char *const same[] = {"2026-11-24T08:22:30Z", "2026-11-24T08:22:30.123456Z",
	                                   "2026-11-24T09:22:30+01:00", "2026-11-24T06:52:30-0130"};
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		int64_t ms = -1;
		assert_true(wall_parse(same[i], &ms));
		assert_int_equal(ms, 1795508550000);
	}
}

static void
nonsense_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
	                                  "2026-11-24",
	                                  "2026-11-24T08:22:30",
	                                  "2026-11-24T08:22:30Zx",
	                                  "2026-13-24T08:22:30Z",
	                                  "2026-11-24T25:22:30Z",
	                                  "2026-11-24T08:22:30+1",
	                                  "2026-11-24T08:22:30+01:00x",
	                                  "2026-11-24T08:22:30+99:00",
	                                  "1926-11-24T08:22:30Z",
	                                  "Tue, 24 Nov 2026 08:22:30 GMT"};
	int64_t ms = 42;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(wall_parse(bad[i], &ms));
	assert_int_equal(ms, 42);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(times_round_trip),
	    cmocka_unit_test(times_in_other_forms),
	    cmocka_unit_test(nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
