/* Where a bucket is, and the addresses of what lies in it. */
#include "../../../common/remote/s3_address.h"
#include "unit.h"

#define SETTINGS(BUCKET, REGION, ENDPOINT, STYLE, PREFIX)                                          \
	&(const struct store_settings)                                                             \
	{                                                                                          \
		.bucket = (BUCKET), .region = (REGION), .endpoint = (ENDPOINT),                    \
		.path_style = (STYLE), .prefix = (PREFIX),                                         \
	}

static void
assert_url(const struct store_settings *settings, const char *key, const char *query,
           const char *wanted)
{
	assert_true(s3_address_check(settings, NULL));
	scoped_free char *url = s3_url(settings, key, query);
	assert_string_equal(url, wanted);
}

static void
test_of_amazon(void **state)
{
	(void)state;
	assert_url(SETTINGS("jars", "eu-west-1", NULL, "auto", NULL), "builds/x.jar", NULL,
	           "https://jars.s3.eu-west-1.amazonaws.com/builds/x.jar");
	assert_url(SETTINGS("jars", "cn-north-1", NULL, "auto", NULL), "x", NULL,
	           "https://jars.s3.cn-north-1.amazonaws.com.cn/x");
	assert_url(SETTINGS("jars", "eu-west-1", NULL, "yes", NULL), "x",
	           "uploads=", "https://s3.eu-west-1.amazonaws.com/jars/x?uploads=");
	/* Its certificate would not cover the name. */
	assert_url(SETTINGS("jars.example", "eu-west-1", NULL, "auto", NULL), "x", NULL,
	           "https://s3.eu-west-1.amazonaws.com/jars.example/x");
}

static void
test_of_other_servers(void **state)
{
	(void)state;
	assert_url(SETTINGS("jars", "eu-west-1", "http://127.0.0.1:8080", "auto", NULL), "x", NULL,
	           "http://127.0.0.1:8080/jars/x");
	assert_url(SETTINGS("jars", "eu-west-1", "https://s3.example:1", "no", NULL), "x", NULL,
	           "https://jars.s3.example:1/x");
	assert_url(SETTINGS("jars", "eu-west-1", "https://[::1]:9000", "auto", NULL), NULL,
	           "prefix=a&uploads=", "https://[::1]:9000/jars/?prefix=a&uploads=");
}

static void
test_with_a_prefix(void **state)
{
	(void)state;
	assert_url(SETTINGS("jars", "eu-west-1", "http://h", "auto", "team/moolloy"), "x/y", NULL,
	           "http://h/jars/team/moolloy/x/y");
	/* Of the bucket itself: it stands in no path. */
	assert_url(SETTINGS("jars", "eu-west-1", "http://h", "auto", "team"), NULL, NULL,
	           "http://h/jars/");
}

static void
assert_wrong(const struct store_settings *settings, const char *message)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_false(s3_address_check(settings, &why));
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	assert_non_null(strstr(why.message, message));
}

static void
test_what_names_no_bucket(void **state)
{
	(void)state;
	assert_wrong(SETTINGS(NULL, "eu-west-1", NULL, "auto", NULL), "store.bucket is not set");
	assert_wrong(SETTINGS("a", "eu-west-1", NULL, "auto", NULL), "store.bucket: 'a'");
	assert_wrong(SETTINGS("a/b/c", "eu-west-1", NULL, "auto", NULL), "store.bucket: ");
	assert_wrong(SETTINGS("../x", "eu-west-1", NULL, "auto", NULL), "store.bucket: ");
	assert_wrong(SETTINGS("jars", NULL, NULL, "auto", NULL), "store.region: ");
	assert_wrong(SETTINGS("jars", "eu west", NULL, "auto", NULL), "store.region: ");
	assert_wrong(SETTINGS("jars", "eu-west-1", "s3.example", "auto", NULL),
	             "store.endpoint: 's3.example'");
	assert_wrong(SETTINGS("jars", "eu-west-1", "http://s3.example/", "auto", NULL),
	             "store.endpoint: ");
	assert_wrong(SETTINGS("jars", "eu-west-1", "http://u:p@s3.example", "auto", NULL),
	             "store.endpoint: ");
	assert_wrong(SETTINGS("jars", "eu-west-1", "http://", "auto", NULL), "store.endpoint: ");
	assert_wrong(SETTINGS("jars", "eu-west-1", "http://127.0.0.1:1", "no", NULL),
	             "store.path-style: no");
	assert_wrong(SETTINGS("jars", "eu-west-1", "http://[::1]", "no", NULL),
	             "store.path-style: no");
	assert_wrong(SETTINGS("jars", "eu-west-1", NULL, "auto", "/x"), "store.prefix: ");
	assert_wrong(SETTINGS("jars", "eu-west-1", NULL, "auto", "x/"), "store.prefix: ");
	assert_wrong(SETTINGS("jars", "eu-west-1", NULL, "auto", "x//y"), "store.prefix: ");
	assert_wrong(SETTINGS("jars", "eu-west-1", NULL, "auto", "x y"), "store.prefix: ");
}

static void
test_encoding(void **state)
{
	(void)state;
	scoped(text_done) struct text text = TEXT_INIT;
	s3_encode(&text, "aZ9-._~/ +%&=\xc3\xa9", false);
	assert_string_equal(text_string(&text), "aZ9-._~%2F%20%2B%25%26%3D%C3%A9");
	text_clear(&text);
	s3_encode(&text, "a/b c", true);
	assert_string_equal(text_string(&text), "a/b%20c");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_of_amazon),     cmocka_unit_test(test_of_other_servers),
	    cmocka_unit_test(test_with_a_prefix), cmocka_unit_test(test_what_names_no_bucket),
	    cmocka_unit_test(test_encoding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
