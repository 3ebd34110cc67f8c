#include "work/source.h"

#include <fcntl.h>
#include <sys/file.h>

#include "outside/digest.h"
#include "outside/git.h"
#include "unit_directory.h"

static const char commit[] = "0123456789012345678901234567890123456789";

static void
start(void)
{
	static struct strings protocols;
	static const struct repository_access access = {.protocols = &protocols,
	                                                .stall_timeout = 1000};
	if (protocols.count)
		return;
	strings_add(&protocols, "file");
	strings_add(&protocols, "http");
	assert_true(repository_start(&access, NULL));
}

static void
fetch(const char *url, const struct strings *rewrite, int64_t timeout, struct failure *why)
{
	scoped(steps_done) struct steps steps = STEPS_INIT;
	const struct source_how how = {.url = url,
	                               .cache_directory = unit_directory,
	                               .state_directory = unit_directory,
	                               .rewrite = rewrite,
	                               .timeout = timeout,
	                               .steps = &steps};
	scoped(source_done) struct source source = SOURCE_INIT(&how);
	start();
	assert_false(source_fetch(&source, commit, why));
}

static void
an_address_is_rewritten(void **state)
{
	(void)state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(strings_done) struct strings rewrite = STRINGS_INIT;
	strings_add(&rewrite, "git@host: /nowhere/");
	fetch("git@host:x", &rewrite, 60000, &why);
	assert_int_equal(why.code, FAILURE_NO_REPOSITORY);
	assert_non_null(strstr(why.message, "/nowhere/x"));
}

/* Its time is over, which is something else than to be cancelled, and not the network's fault. */
static void
a_repository_has_its_time(void **state)
{
	(void)state;
	char sha256[SHA256_TEXT];
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(strings_done) struct strings none = STRINGS_INIT;
	fetch("/nowhere", &none, 60000, &why);
	failure_clear(&why);
	digest_bytes("/nowhere", strlen("/nowhere"), sha256);
	scoped_free char *path = format("%s/git/%s/lock", unit_directory, sha256);
	scoped_fd int lock = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	fetch("/nowhere", &none, 50, &why);
	assert_int_equal(why.code, FAILURE_TIMEOUT);
	assert_non_null(strstr(why.message, "git.timeout"));
}

/* The network's faults are; but not beyond the repository's time. */
static void
time_ends_trying_again(void **state)
{
	(void)state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(strings_done) struct strings none = STRINGS_INIT;
	fetch("http://127.0.0.1:1/x", &none, 1, &why);
	assert_int_equal(why.code, FAILURE_TIMEOUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(an_address_is_rewritten),
	    unit_test_in_directory(a_repository_has_its_time),
	    unit_test_in_directory(time_ends_trying_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
