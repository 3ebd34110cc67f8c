/* Files of access keys as the AWS tools write them. */
#include <sys/stat.h>

#include "remote/credentials_file.h"
#include "unit_directory.h"

static bool
parse(const char *text, const char *profile, struct aws_keys *ret_keys, struct failure *why)
{
	return credentials_file_parse(text, strlen(text), "FILE", profile, ret_keys, why);
}

static void
expect(const char *text, const char *profile, const char *wanted)
{
	scoped(aws_keys_done) struct aws_keys keys = AWS_KEYS_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (!parse(text, profile, &keys, &why))
		print_message("%s\n", why.message);
	assert_int_equal(why.code, FAILURE_NONE);
	scoped_free char *got = format("%s %s %s", keys.id, keys.secret,
	                               keys.token ? keys.token : "-");
	assert_string_equal(got, wanted);
	assert_int_equal(keys.expires, 0);
}

#define TWO "aws_access_key_id = AKIA1\naws_secret_access_key = s/e+c=r\n"

static void
test_reads_profiles(void **state)
{
	(void)state;
	static const char several[] = "[default]\n" TWO "[other]\naws_access_key_id=AKIA2\n"
				      "aws_secret_access_key=two\naws_session_token=tok\n"
				      "[profile third]\naws_access_key_id =AKIA3\n"
				      "AWS_SECRET_ACCESS_KEY =three\n";
	expect(several, "default", "AKIA1 s/e+c=r -");
	expect(several, "other", "AKIA2 two tok");
	expect(several, "third", "AKIA3 three -");
}

static void
test_reads_as_the_tools_do(void **state)
{
	(void)state;
	static const char *const same[] = {
	    "[default]\n" TWO,
	    "[default]\r\naws_access_key_id = AKIA1\r\naws_secret_access_key = s/e+c=r\r\n",
	    "# [other]\n; x\n\n  [nested]\n[ default ] # mine\n" TWO "region = eu-west-1",
	    "[default]\n\t# indented comment\naws_access_key_id\t=\tAKIA1\t# old one\n"
	    "aws_secret_access_key = s/e+c=r ;x\naws_session_token =\n",
	    "[default]\naws_access_key_id = AKIA0\n[x]\nnonsense\n[default]\n" TWO,
	    "[default]\ns3 =\n  max_concurrent_requests = 20\n" TWO,
	    "aws_access_key_id = nobody's\n[default]\n" TWO "[other]\n  aws_session_token = x",
	    "[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s/e+c=r",
	};
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		expect(same[i], "default", "AKIA1 s/e+c=r -");
}

static void
test_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum failure_code code;
		const char *message;
	} rows[] = {
	    {"", FAILURE_NOT_FOUND, "FILE holds no profile 'default'"},
	    {"[Default]\n" TWO, FAILURE_NOT_FOUND, "FILE holds no profile 'default'"},
	    {"[default\n" TWO, FAILURE_CREDENTIALS, "FILE:1: '[' without ']'"},
	    {"[default]\nregion = x\n", FAILURE_CREDENTIALS,
	     "FILE: profile 'default' holds no aws_access_key_id (roles and credential_process are "
	     "not followed)"},
	    {"[default]\naws_access_key_id = A\n", FAILURE_CREDENTIALS,
	     "FILE, profile 'default': an access key's id without its secret"},
	    {"[default]\naws_secret_access_key = A\n", FAILURE_CREDENTIALS,
	     "FILE, profile 'default': a secret access key without its id"},
	    {"[default]\naws_session_token = A\n", FAILURE_CREDENTIALS,
	     "FILE, profile 'default': a session token without its access key"},
	    {"[default]\naws_access_key_id = A\n  aws_secret_access_key = B\n", FAILURE_CREDENTIALS,
	     "FILE:3: an indented line goes on with the one before, and keys are of one line"},
	    {"[default]\naws_access_key_id: A\n", FAILURE_CREDENTIALS,
	     "FILE:2: neither [PROFILE] nor NAME = VALUE"},
	    {"[default]\naws_access_key_id = A B\naws_secret_access_key = C\n", FAILURE_CREDENTIALS,
	     "FILE, profile 'default': the access key, its secret or token is too long, or holds "
	     "spaces or control characters"},
	    {"[default]\naws_access_key_id = A\x01\naws_secret_access_key = C\n",
	     FAILURE_CREDENTIALS,
	     "FILE, profile 'default': the access key, its secret or token is too long, or holds "
	     "spaces or control characters"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct aws_keys keys = AWS_KEYS_INIT;
		scoped(failure_done) struct failure why = FAILURE_INIT;
		assert_false(parse(rows[i].text, "default", &keys, &why));
		assert_string_equal(why.message, rows[i].message);
		assert_int_equal(why.code, rows[i].code);
		assert_null(keys.id);
	}
}

static void
test_refuses_what_is_no_text(void **state)
{
	(void)state;
	static const char bytes[] = "[default]\n" TWO "\0";
	struct aws_keys keys = AWS_KEYS_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_false(
	    credentials_file_parse(bytes, sizeof bytes - 1, "FILE", "default", &keys, &why));
	assert_string_equal(why.message, "FILE holds a NUL: it is no text file");
}

static void
test_reads_a_file_of_ones_own(void **state)
{
	(void)state;
	scoped_free char *path = unit_path("credentials");
	scoped(aws_keys_done) struct aws_keys keys = AWS_KEYS_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_false(credentials_file_read(path, "default", &keys, &why));
	assert_int_equal(why.code, FAILURE_CREDENTIALS);
	unit_write("credentials", "[default]\n" TWO);
	assert_true(credentials_file_read(path, "default", &keys, &why));
	assert_string_equal(keys.secret, "s/e+c=r");
	aws_keys_done(&keys);
	assert_int_equal(chmod(path, 0644), 0);
	assert_false(credentials_file_read(path, "default", &keys, &why));
	assert_non_null(strstr(why.message, "can be read by everyone: chmod o-r it"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads_profiles),
	    cmocka_unit_test(test_reads_as_the_tools_do),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_refuses_what_is_no_text),
	    unit_test_in_directory(test_reads_a_file_of_ones_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
