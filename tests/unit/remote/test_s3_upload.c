/* Writing objects of an S3 bucket: what is asked of a scripted server, and what is made of its
 * answers. Against a real one: tests/system/test_store_s3.py. */
#include "unit_store_s3.h"

static bool
play_put(struct site *site, struct store_put put, const struct scripted *script, size_t count)
{
	scoped_fd int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(write_all(fd, "abc", 3, NULL));
	site_open(site, script, count);
	bool stored = store_put_fd(site->store, KEY, fd, &put, NULL, &site->object, &site->why);
	site_close(site);
	return stored;
}
#define PUT(SITE, PUT, ...) play_put((SITE), (PUT), SCRIPT(__VA_ARGS__), COUNT(__VA_ARGS__))

#define ABC_LIES_THERE                                                                             \
	ANSWER("200 OK", ETAG "Content-Length: 3\r\nx-amz-meta-sha256: " ABC "\r\n", "")

static void
test_put(void **state)
{
	(void)state;
	struct site site;
	assert_true(PUT(&site, (struct store_put){0}, SAY(STORED), SAY(ABC_LIES_THERE)));
	assert_int_equal(site.server.asked, 2);
	assert_true(request_has(&site.server, 0, "PUT /jars/team/builds/x.jar HTTP"));
	assert_true(request_has(&site.server, 0, "\r\nx-amz-content-sha256: " ABC "\r\n"));
	assert_true(request_has(&site.server, 0, "\r\nx-amz-meta-sha256: " ABC "\r\n"));
	assert_true(request_has(&site.server, 0, "\r\nx-amz-meta-upload: "));
	assert_false(request_has(&site.server, 0, "\r\nIf-"));
	assert_string_equal(body_of(&site.server, 0), "abc");
	assert_true(request_has(&site.server, 1, "HEAD "));
	assert_int_equal(site.object.size, 3);
	assert_string_equal(site.object.sha256, ABC);
	site_done(&site);
}

static void
test_bytes_that_are_not_those_announced_do_not_go(void **state)
{
	(void)state;
	struct site site;
	assert_false(PUT(&site, (struct store_put){.sha256 = OTHER}, SAY(STORED)));
	assert_int_equal(site.why.code, FAILURE_HASH_MISMATCH);
	assert_int_equal(site.server.asked, 0);
	site_done(&site);
}

/* Is called when the file was hashed, or begins to be sent. */
static bool
touch(void *data, int64_t done, int64_t total)
{
	const int *fd = data;
	(void)done;
	(void)total;
	return pwrite(*fd, "xyz", 3, 0) == 3;
}

static void
test_a_file_that_changes_meanwhile_does_not_go(void **state)
{
	(void)state;
	struct site site;
	const struct scripted stored = SAY(STORED);
	scoped_fd int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	const struct tick tick = {.tell = touch, .data = &fd};
	assert_true(write_all(fd, "abc", 3, NULL));
	site_open(&site, &stored, 1);
	usleep(20000); /* the clock of file times turns every few ms */
	assert_false(store_put_fd(site.store, KEY, fd, &(struct store_put){0}, &tick, &site.object,
	                          &site.why));
	site_close(&site);
	assert_int_equal(site.why.code, FAILURE_HASH_MISMATCH);
	assert_int_equal(site.server.asked, 0);
	site_done(&site);
}

static void
test_put_once(void **state)
{
	(void)state;
	struct site site;
	const struct store_put once = {.once = true};
	assert_true(PUT(&site, once, SAY(ABSENT), SAY(STORED), SAY(ABC_LIES_THERE), SAY(NO_LIST)));
	assert_true(request_has(&site.server, 1, "\r\nIf-None-Match: *\r\n"));
	assert_true(
	    request_has(&site.server, 3, "GET /jars/?prefix=team%2Fbuilds%2Fx.jar&uploads= "));
	site_done(&site);
	/* It was there before. */
	assert_false(PUT(&site, once, SAY(ABC_LIES_THERE)));
	assert_int_equal(site.why.code, FAILURE_EXISTS);
	assert_int_equal(site.server.asked, 1);
	site_done(&site);
	/* Somebody was faster. */
	assert_false(PUT(&site, once, SAY(ABSENT), SAY(TAKEN), SAY(ABC_LIES_THERE)));
	assert_int_equal(site.why.code, FAILURE_EXISTS);
	assert_int_equal(site.server.asked, 3);
	site_done(&site);
}

static void
test_put_once_where_conditions_are_refused(void **state)
{
	(void)state;
	struct site site;
	assert_true(PUT(&site, (struct store_put){.once = true}, SAY(ABSENT), SAY(REFUSED),
	                SAY(STORED), SAY(ABC_LIES_THERE), SAY(NO_LIST)));
	assert_true(request_has(&site.server, 1, "\r\nIf-None-Match: *\r\n"));
	assert_false(request_has(&site.server, 2, "\r\nIf-None-Match"));
	site_done(&site);
}

static void
test_replace_a_version(void **state)
{
	(void)state;
	struct site site;
	const struct store_put put = {.replaces = "\"e1\"", .sha256 = ABC};
	assert_true(PUT(&site, put, SAY(ABC_LIES_THERE), SAY(STORED), SAY(ABC_LIES_THERE)));
	assert_true(request_has(&site.server, 1, "\r\nIf-Match: \"e1\"\r\n"));
	site_done(&site);
	const struct store_put late = {.replaces = "\"e0\"", .sha256 = ABC};
	assert_false(PUT(&site, late, SAY(ABC_LIES_THERE)));
	assert_int_equal(site.why.code, FAILURE_EXISTS);
	site_done(&site);
	assert_false(PUT(&site, put, SAY(ABSENT)));
	assert_int_equal(site.why.code, FAILURE_EXISTS);
	site_done(&site);
	/* It vanished in between. */
	assert_false(PUT(&site, put, SAY(ABC_LIES_THERE), SAY(NO_KEY), SAY(ABSENT), SAY(ABSENT)));
	assert_int_equal(site.why.code, FAILURE_EXISTS);
	site_done(&site);
}

static void
test_what_lies_there_is_not_what_was_sent(void **state)
{
	(void)state;
	struct site site;
	assert_false(PUT(&site, (struct store_put){0}, SAY(STORED),
	                 SAY(ANSWER("200 OK", ETAG "Content-Length: 2\r\n", ""))));
	assert_int_equal(site.why.code, FAILURE_EXISTS);
	site_done(&site);
}

#define UPLOAD(KEY, ID) "<Upload><Key>team/" KEY "</Key><UploadId>" ID "</UploadId></Upload>"
#define LISTED(UPLOADS)                                                                            \
	ANSWER("200 OK", "", "<ListMultipartUploadsResult>" UPLOADS "</ListMultipartUploadsResult>")
#define GONE ERROR_DOCUMENT("404 Not Found", "NoSuchUpload")

static void
test_uploads_of_earlier_attempts_are_ended(void **state)
{
	(void)state;
	struct site site;
	scoped(strings_done) struct strings earlier = STRINGS_INIT;
	strings_add(&earlier, "results/1-1");
	assert_true(PUT(&site, (struct store_put){.earlier = &earlier},
	                SAY(LISTED(UPLOAD("results/1-1", "u/1") UPLOAD("results/1-11", "u2"))),
	                SAY(ANSWER("204 No Content", "", "")), SAY(GONE), SAY(STORED),
	                SAY(ABC_LIES_THERE)));
	assert_true(
	    request_has(&site.server, 0, "GET /jars/?prefix=team%2Fresults%2F1-1&uploads= "));
	for (size_t i = 1; i <= 2; i++)
		assert_true(
		    request_has(&site.server, i, "DELETE /jars/team/results/1-1?uploadId=u%2F1 "));
	assert_true(request_has(&site.server, 3, "PUT "));
	site_done(&site);
}

static bool
refuse(void *data, int64_t done, int64_t total)
{
	(void)data;
	(void)done;
	(void)total;
	return false;
}

/* However many there are: a server that does not end them holds up no job for long. */
static void
test_uploads_that_cannot_be_ended_are_left(void **state)
{
	(void)state;
	struct site site;
	static const struct tick at_once = {.tell = refuse};
	const struct scripted script[] = {
	    SAY(LISTED(UPLOAD("results/1-1", "u1") UPLOAD("results/1-1", "u2"))),
	    {.bytes = "", .then = THEN_HOLD}};
	scoped(strings_done) struct strings earlier = STRINGS_INIT;
	strings_add(&earlier, "results/1-1");
	const struct store_put put = {.earlier = &earlier, .sha256 = ABC};
	site_open(&site, script, 2);
	assert_false(store_put_fd(site.store, KEY, site.fd, &put, &at_once, &site.object, NULL));
	site_close(&site);
	assert_true(request_has(&site.server, 1, "uploadId=u1 "));
	assert_true(request_has(&site.server, site.server.asked - 1, "uploadId=u1 "));
	site_done(&site);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_bytes_that_are_not_those_announced_do_not_go),
	    cmocka_unit_test(test_a_file_that_changes_meanwhile_does_not_go),
	    cmocka_unit_test(test_put_once),
	    cmocka_unit_test(test_put_once_where_conditions_are_refused),
	    cmocka_unit_test(test_replace_a_version),
	    cmocka_unit_test(test_what_lies_there_is_not_what_was_sent),
	    cmocka_unit_test(test_uploads_of_earlier_attempts_are_ended),
	    cmocka_unit_test(test_uploads_that_cannot_be_ended_are_left),
	};
	setenv("AWS_ACCESS_KEY_ID", "id", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
