#include "base/clock.h"
#include "base/tick.h"
#include "unit.h"

static bool
count_down(void *data, int64_t done, int64_t total)
{
	int *left = data;
	(void)done;
	(void)total;
	return --*left > 0;
}

static void
rests_as_long_as_it_should(void **state)
{
	(void)state;
	int64_t began = clock_ms();
	assert_true(tick_rest(NULL, 120));
	assert_true(clock_ms() - began >= 120);
}

static void
stops_when_told(void **state)
{
	(void)state;
	int looks = 3;
	const struct tick tick = {.tell = count_down, .data = &looks};
	assert_false(tick_rest(&tick, INT64_MAX / 2));
	assert_int_equal(looks, 0);
	looks = 1;
	assert_false(tick_rest(&tick, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rests_as_long_as_it_should),
	    cmocka_unit_test(stops_when_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
