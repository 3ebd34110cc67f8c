#include "../../../common/outside/git_wire.h"

#include "base/scoped.h"
#include "unit.h"

static void
test_offers(void **state)
{
	static const char list[] = "00d3HASH HEAD\0multi_ack no-progress include-tag\n";
	(void)state;
	assert_true(git_offers_silence(list, sizeof list));
	assert_false(git_offers_silence(list, 20));
	assert_false(git_offers_silence(NULL, 0));
}

static void
assert_request(const char *said, bool silence, const char *wanted)
{
	scoped(text_done) struct text text = TEXT_INIT;
	git_add_request(&text, said, strlen(said), silence);
	assert_string_equal(text_string(&text), wanted);
}

static void
test_requests(void **state)
{
	(void)state;
	assert_request("0019want HASH thin-pack \n000fwant HASH2\n0000", true,
	               "0025want HASH thin-pack  no-progress\n000fwant HASH2\n0000");
	assert_request("0019want HASH thin-pack \n", false, "0019want HASH thin-pack \n");
	assert_request("000ewant HASH\n", true, "000ewant HASH\n");
	assert_request("000ehave HASH\n", true, "000ehave HASH\n");
	assert_request("0009done\n", true, "0009done\n");
	assert_request("00ffwant HASH thin-pack \n", true, "00ffwant HASH thin-pack \n");
	assert_request("want", true, "want");
	assert_request("", true, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_offers),
	    cmocka_unit_test(test_requests),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
