#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "../../../src/dashboard/address.h"
#include "base/scoped.h"
#include "base/text.h"

static void
test_what_is_an_address(void **state)
{
	(void)state;
	static const char *const good[] = {"127.0.0.1:0", "localhost:8080", "[::1]:65535",
	                                   "0.0.0.0:80"};
	static const char *const bad[] = {
	    "",       ":80",   "127.0.0.1", "127.0.0.1:", "x:80", "127.0.0.1:-1", "1.2.3.4:99999",
	    "::1:80", "[::1]", "1.2.3:80x", "[]:80"};
	struct address address;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(address_parse(good[i], &address, NULL));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct failure why = FAILURE_INIT;
		assert_false(address_parse(bad[i], &address, &why));
		assert_int_equal(why.code, FAILURE_CONFIGURATION);
	}
}

static void
test_what_is_loopback(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool loopback;
	} cases[] = {{"127.0.0.1:1", true},          {"127.9.9.9:1", true},    {"[::1]:1", true},
	             {"0.0.0.0:1", false},           {"192.168.0.1:1", false}, {"[::]:1", false},
	             {"[::ffff:127.0.0.1]:1", false}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address address;
		assert_true(address_parse(cases[i].text, &address, NULL));
		assert_int_equal(address_is_loopback(&address), cases[i].loopback);
	}
}

static void
test_listening_tells_the_port(void **state)
{
	(void)state;
	struct address address, second;
	scoped_fd int fd = -1;
	int other;
	assert_true(address_parse("127.0.0.1:0", &address, NULL));
	assert_true(address_listen(&address, &fd, NULL));
	scoped_free char *name = address_of_socket(fd);
	assert_true(starts_with(name, "127.0.0.1:"));
	assert_false(ends_with(name, ":0"));
	assert_true(address_parse(name, &second, NULL));
	struct failure why = FAILURE_INIT;
	assert_false(address_listen(&second, &other, &why));
	assert_non_null(strstr(why.message, name));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_an_address),
	    cmocka_unit_test(test_what_is_loopback),
	    cmocka_unit_test(test_listening_tells_the_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
