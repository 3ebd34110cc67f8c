#include "base/text.h"
#include "base/units.h"
#include "unit.h"

static void
durations_round_trip(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {{"0s", 0},      {"250ms", 250},     {"90s", 90000},
	            {"5m", 300000}, {"48h", 172800000}, {"14d", 1209600000}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t ms = -1;
		assert_true(duration_parse(rows[i].text, &ms, NULL));
		assert_int_equal(ms, rows[i].ms);
		scoped_free char *shown = duration_format(ms);
		int64_t again = -1;
		assert_true(duration_parse(shown, &again, NULL));
		assert_int_equal(again, ms);
	}
}

static void
sizes_round_trip(void **state)
{
	(void)state;
	int64_t bytes = -1;
	assert_true(size_parse("512MiB", &bytes, NULL));
	assert_int_equal(bytes, 512 << 20);
	assert_true(size_parse("100", &bytes, NULL));
	assert_int_equal(bytes, 100);
	scoped_free char *shown = size_format(3LL << 30);
	assert_string_equal(shown, "3GiB");
}

static void
nonsense_is_refused(void **state)
{
	(void)state;
	static const char *const durations[] = {"",
	                                        "5",
	                                        "s",
	                                        "-5s",
	                                        "5 s",
	                                        " 5s",
	                                        "5S",
	                                        "5sx",
	                                        "99999999999999999999s",
	                                        "9223372036854775807d"};
	int64_t value = 42;
	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
		struct failure why = FAILURE_INIT;
		assert_false(duration_parse(durations[i], &value, &why));
		assert_int_equal(why.code, FAILURE_CONFIGURATION);
	}
	assert_false(size_parse("5MB", &value, NULL));
	assert_false(size_parse("-1", &value, NULL));
	assert_false(number_parse("1.5", &value, NULL));
	assert_false(number_parse(" 1", &value, NULL));
	assert_int_equal(value, 42);
}

static void
offsets_say_which_way(void **state)
{
	(void)state;
	scoped_free char *ahead = offset_rough(450000), *behind = offset_rough(-1400);
	assert_string_equal(ahead, "7m30s ahead of");
	assert_string_equal(behind, "1.4 s behind");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(durations_round_trip),
	    cmocka_unit_test(sizes_round_trip),
	    cmocka_unit_test(nonsense_is_refused),
	    cmocka_unit_test(offsets_say_which_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
