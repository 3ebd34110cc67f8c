#include "outside/git_address.h"

#include "base/scoped.h"
#include "base/text.h"
#include "unit.h"

static void
test_protocols(void **state)
{
	static const char *const cases[][2] = {
	    {"https://host/x", "https"},
	    {"http://host/x", "http"},
	    {"ssh://git@host/x", "ssh"},
	    {"git://host/x", "git"},
	    {"file:///x", "file"},
	    {"/a/path", "file"},
	    {"/a/path:with a colon", "file"},
	    {"git@host:x", "ssh"},
	    {"git@host:/x", "ssh"},
	    {"host:x/y", "ssh"},
	    {"git@[::1]:x", "ssh"},
	    {"git@[::1]", NULL},
	    {"ext::sh -c x", NULL},
	    {"ftp://host/x", NULL},
	    {"-oProxyCommand=x:y", NULL},
	    {"https://host/x\ny", NULL},
	    {"relative/path", NULL},
	    {"relative/path:x", NULL},
	    {":x", NULL},
	    {"", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *protocol = repository_protocol(cases[i][0]);
		if (!strings_equal(protocol, cases[i][1]))
			print_error("%s: %s\n", cases[i][0], protocol ? protocol : "none");
		assert_true(strings_equal(protocol, cases[i][1]));
	}
}

static void
assert_shown(const char *url, const char *wanted)
{
	scoped_free char *shown = repository_shown_url(url);
	assert_string_equal(shown, wanted);
}

static void
test_what_is_shown_holds_no_password(void **state)
{
	(void)state;
	assert_shown("https://host/x", "https://host/x");
	assert_shown("https://me@host/x", "https://host/x");
	assert_shown("https://me:p@ss@host:1/x@y", "https://host:1/x@y");
	assert_shown("https://me:p@ss@host", "https://host");
	assert_shown("https://host?a@b", "https://host?a@b");
	assert_shown("git@host:x", "git@host:x");
	assert_shown("/a@b", "/a@b");
}

static void
test_hosts(void **state)
{
	(void)state;
	assert_true(repository_same_host("https://host/x", "https://host"));
	assert_true(repository_same_host("https://host/x", "https://me:p@ss@HOST/y"));
	assert_false(repository_same_host("https://host/x", "http://host/x"));
	assert_false(repository_same_host("https://host:1/x", "https://host/x"));
	assert_false(repository_same_host("https://host.evil/x", "https://host/x"));
	assert_false(repository_same_host("https://evil/@host/x", "https://host/x"));
	assert_false(repository_same_host("git@host:x", "git@host:x"));
}

static void
test_addresses_relative_to_others(void **state)
{
	static const char *const cases[][3] = {
	    {"https://host/a/b", "https://other/x", "https://other/x"},
	    {"https://host/a/b", "https://other/x/", "https://other/x"},
	    {"https://host/a/b", "./", "https://host/a/b"},
	    {"https://host/a/b", "../c", "https://host/a/c"},
	    {"https://host/a/b/", "../c", "https://host/a/c"},
	    {"https://host/a/b", "./c", "https://host/a/b/c"},
	    {"https://me:p@host/a/b", "../../x/./y", "https://me:p@host/x/./y"},
	    {"https://host/a", "../../x", NULL},
	    {"https://host", "../x", NULL},
	    {"git@host:a/b", "../c", "git@host:a/c"},
	    {"git@host:b", "../c", "git@host:c"},
	    {"git@host:b", "../../c", NULL},
	    {"git@host:/b", "../c", "git@host:/c"},
	    {"/a/b", "../c", "/a/c"},
	    {"/a", "../c", "/c"},
	    {"/a", "../../c", NULL},
	    {"file:///a/b", "../c", "file:///a/c"},
	    {"file:///a", "../../c", NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		scoped_free char *url = repository_resolve_url(cases[i][0], cases[i][1]);
		if (!strings_equal(url, cases[i][2]))
			print_error("%s %s: %s\n", cases[i][0], cases[i][1], url ? url : "none");
		assert_true(strings_equal(url, cases[i][2]));
	}
}

static void
assert_rewritten(const struct strings *rules, const char *url, const char *wanted)
{
	scoped_free char *rewritten = repository_rewrite_url(rules, url);
	assert_string_equal(rewritten, wanted);
}

static void
test_rewriting(void **state)
{
	scoped(strings_done) struct strings rules = STRINGS_INIT;
	(void)state;
	assert_rewritten(&rules, "git@host:x", "git@host:x");
	strings_add(&rules, "git@host: https://host/");
	strings_add(&rules, "git@host:special/ https://other/");
	strings_add(&rules, "ssh://git@host/   https://host/");
	assert_rewritten(&rules, "git@host:x", "https://host/x");
	assert_rewritten(&rules, "git@host:special/x", "https://other/x");
	assert_rewritten(&rules, "ssh://git@host/x", "https://host/x");
	assert_rewritten(&rules, "ssh://git@hostess/x", "ssh://git@hostess/x");
}

static void
assert_ssh(const char *url, const char *const wanted[4])
{
	scoped(ssh_address_done) struct ssh_address address;
	bool good = ssh_address_parse(url, &address, NULL);
	assert_int_equal(good, wanted != NULL);
	if (!wanted)
		return;
	assert_true(strings_equal(address.user, wanted[0]));
	assert_true(strings_equal(address.host, wanted[1]));
	assert_true(strings_equal(address.port, wanted[2]));
	assert_true(strings_equal(address.path, wanted[3]));
}

#define PARTS(...)                                                                                 \
	(const char *const[4])                                                                     \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static void
test_ssh_addresses(void **state)
{
	(void)state;
	assert_ssh("ssh://git@host/x", PARTS("git", "host", NULL, "/x"));
	assert_ssh("ssh://host:2222/x/y.git", PARTS(NULL, "host", "2222", "/x/y.git"));
	assert_ssh("ssh://git@[::1]:22/x", PARTS("git", "::1", "22", "/x"));
	assert_ssh("ssh://[fe80::1]/x", PARTS(NULL, "fe80::1", NULL, "/x"));
	assert_ssh("ssh://a%40b@host/~me/x%20y%2", PARTS("a@b", "host", NULL, "~me/x y%2"));
	assert_ssh("ssh://host/a%00b", PARTS(NULL, "host", NULL, "/a%00b"));
	assert_ssh("git@host:x/y%20z", PARTS("git", "host", NULL, "x/y%20z"));
	assert_ssh("git@host:~/x", PARTS("git", "host", NULL, "~/x"));
	assert_ssh("git@[::1]:/x", PARTS("git", "::1", NULL, "/x"));
	assert_ssh("host:22:x", PARTS(NULL, "host", NULL, "22:x"));
}

static void
test_ssh_addresses_that_are_none(void **state)
{
	(void)state;
	assert_ssh("ssh://-oProxyCommand=x/y", NULL);
	assert_ssh("ssh://%2doProxyCommand=x/y", NULL);
	assert_ssh("ssh://-x@host/y", NULL);
	assert_ssh("ssh://a%60b@host/y", NULL);
	assert_ssh("ssh://ho st/y", NULL);
	assert_ssh("ssh://host:2x/y", NULL);
	assert_ssh("ssh://host:/y", NULL);
	assert_ssh("ssh://host", NULL);
	assert_ssh("ssh:///y", NULL);
	assert_ssh("host:-x", NULL);
	assert_ssh("host:", NULL);
}

static void
assert_name(const char *url, const char *wanted)
{
	scoped_free char *name = repository_name(url);
	assert_string_equal(name, wanted);
}

static void
test_names(void **state)
{
	(void)state;
	assert_name("https://me:secret@host/a/b.git/", "b.git");
	assert_name("https://me:secret@host", "host");
	assert_name("https://me:sec/ret@host/a", "a");
	assert_name("git@host:b.git", "b.git");
	assert_name("/a/b", "b");
	assert_name("", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_protocols),
	    cmocka_unit_test(test_what_is_shown_holds_no_password),
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_addresses_relative_to_others),
	    cmocka_unit_test(test_rewriting),
	    cmocka_unit_test(test_ssh_addresses),
	    cmocka_unit_test(test_ssh_addresses_that_are_none),
	    cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
