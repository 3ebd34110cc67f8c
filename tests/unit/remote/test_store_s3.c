/* The store with an S3 bucket as its body: what it asks a scripted server, and what it makes of the
 * answers. Against a real one: tests/system/test_store_s3.py. */
#include "unit_store_s3.h"

static bool
play_get(struct site *site, const struct scripted *script, size_t count)
{
	site_open(site, script, count);
	bool got = store_get(site->store, KEY, site->fd, NULL, &site->object, &site->why);
	site_close(site);
	return got;
}
#define GET(SITE, ...) play_get((SITE), SCRIPT(__VA_ARGS__), COUNT(__VA_ARGS__))

static bool
play_set(struct site *site, const struct scripted *script, size_t count)
{
	site_open(site, script, count);
	bool set = store_set_sha256(site->store, KEY, ABC, &site->why);
	site_close(site);
	return set;
}
#define SET(SITE, ...) play_set((SITE), SCRIPT(__VA_ARGS__), COUNT(__VA_ARGS__))

static void
assert_got_digits(struct site *site)
{
	char bytes[16] = "";
	assert_int_equal(pread(site->fd, bytes, sizeof bytes, 0), 10);
	assert_string_equal(bytes, "0123456789");
	assert_int_equal(site->object.size, 10);
	assert_string_equal(site->object.sha256, DIGITS_HASH);
	assert_string_equal(site->object.version, "\"e1\"");
}

/* ---- head ---- */

static bool
play_head(struct site *site, const struct scripted *script, size_t count)
{
	site_open(site, script, count);
	bool seen = store_head(site->store, KEY, &site->object, &site->why);
	site_close(site);
	return seen;
}
#define HEAD(SITE, ...) play_head((SITE), SCRIPT(__VA_ARGS__), COUNT(__VA_ARGS__))

static void
test_head(void **state)
{
	(void)state;
	struct site site;
	assert_true(
	    HEAD(&site, SAY(ANSWER("200 OK", DIGITS "x-amz-meta-sha256: " ABC "\r\n", ""))));
	assert_true(request_has(&site.server, 0, "HEAD /jars/team/builds/x.jar HTTP"));
	assert_int_equal(site.object.size, 10);
	assert_string_equal(site.object.sha256, ABC);
	assert_string_equal(site.object.version, "\"e1\"");
	site_done(&site);
	assert_true(HEAD(&site, SAY(ANSWER("200 OK", DIGITS "x-amz-meta-sha256: x\r\n", ""))));
	assert_string_equal(site.object.sha256, "");
	site_done(&site);
	assert_false(HEAD(&site, SAY(ABSENT), SAY(NO_KEY)));
	assert_int_equal(site.why.code, FAILURE_NOT_FOUND);
	site_done(&site);
}

/* ---- get ---- */

static void
test_get(void **state)
{
	(void)state;
	struct site site;
	assert_true(GET(&site, SAY(ANSWER("200 OK", DIGITS, "0123456789"))));
	assert_true(request_has(&site.server, 0, "GET /jars/team/builds/x.jar HTTP"));
	assert_true(request_has(&site.server, 0, "\r\nRange: bytes=0-33554431\r\n"));
	assert_false(request_has(&site.server, 0, "\r\nIf-"));
	assert_got_digits(&site);
	site_done(&site);
	assert_true(
	    GET(&site, SAY(ANSWER("206 Partial Content", DIGITS RANGE("0-9/10"), "0123456789"))));
	assert_got_digits(&site);
	site_done(&site);
	assert_false(GET(&site, SAY(NO_KEY)));
	assert_int_equal(site.why.code, FAILURE_NOT_FOUND);
	site_done(&site);
}

static void
test_get_nothing(void **state)
{
	(void)state;
	struct site site;
	assert_true(GET(&site, SAY(ANSWER("200 OK", ETAG NOTHING, ""))));
	assert_int_equal(site.object.size, 0);
	assert_string_equal(site.object.sha256, OTHER);
	site_done(&site);
	/* There is no first byte to be asked for. */
	assert_true(GET(&site, SAY(ERROR_DOCUMENT("416 Range Not Satisfiable", "InvalidRange")),
	                SAY(ANSWER("200 OK", ETAG NOTHING, ""))));
	assert_false(request_has(&site.server, 1, "Range"));
	assert_int_equal(site.object.size, 0);
	site_done(&site);
}

static void
test_a_broken_connection_is_taken_up_again(void **state)
{
	(void)state;
	struct site site;
	assert_true(GET(
	    &site, SAY(ANSWER("200 OK", DIGITS, "0123")),
	    SAY(ANSWER("206 Partial Content", ETAG RANGE("4-9/10") "Content-Length: 6\r\n", "45")),
	    SAY(ANSWER("206 Partial Content", ETAG RANGE("6-9/10") "Content-Length: 4\r\n",
	               "6789"))));
	assert_true(request_has(&site.server, 1, "\r\nRange: bytes=4-\r\n"));
	assert_true(request_has(&site.server, 1, "\r\nIf-Match: \"e1\"\r\n"));
	assert_true(request_has(&site.server, 2, "\r\nRange: bytes=6-\r\n"));
	assert_got_digits(&site);
	site_done(&site);
}

static void
test_a_broken_range_is_taken_up_again(void **state)
{
	(void)state;
	struct site site;
	assert_true(GET(&site, SAY(ANSWER("206 Partial Content", DIGITS RANGE("0-9/10"), "0123")),
	                SAY(ANSWER("206 Partial Content",
	                           ETAG RANGE("4-9/10") "Content-Length: 6\r\n", "456789"))));
	assert_true(request_has(&site.server, 1, "\r\nRange: bytes=4-9\r\n"));
	assert_true(request_has(&site.server, 1, "\r\nIf-Match: \"e1\"\r\n"));
	assert_got_digits(&site);
	site_done(&site);
}

static void
test_of_a_server_that_knows_no_ranges(void **state)
{
	(void)state;
	struct site site;
	assert_true(GET(&site, SAY(ANSWER("200 OK", DIGITS, "0123")),
	                SAY(ANSWER("200 OK", DIGITS, "0123456789"))));
	assert_got_digits(&site);
	site_done(&site);
}

/* What lies there by now is read from its start. */
static void
test_an_object_that_changes_underway(void **state)
{
	(void)state;
	struct site site;
	assert_true(GET(&site,
	                SAY(ANSWER("200 OK", "ETag: \"e0\"\r\nContent-Length: 99\r\n", "abcdefg")),
	                SAY(TAKEN), SAY(ANSWER("200 OK", DIGITS, "0123456789"))));
	assert_int_equal(site.server.asked, 3);
	assert_true(request_has(&site.server, 2, "\r\nRange: bytes=0-"));
	assert_false(request_has(&site.server, 2, "\r\nIf-"));
	assert_got_digits(&site);
	site_done(&site);
	/* The same, of a server that takes no notice of conditions. */
	assert_true(GET(
	    &site, SAY(ANSWER("200 OK", "ETag: \"e0\"\r\nContent-Length: 99\r\n", "abcdefg")),
	    SAY(ANSWER("206 Partial Content", ETAG RANGE("7-98/99") "Content-Length: 92\r\n", "x")),
	    SAY(ANSWER("200 OK", DIGITS, "0123456789"))));
	assert_got_digits(&site);
	site_done(&site);
}

static void
test_a_wrong_range_is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
	    RANGE("3-9/10"),
	    RANGE("4-8/10"),
	    RANGE("4-9/11"),
	    RANGE("*/10"),
	    RANGE("4-9/*"),
	    "",
	    "Content-Range: nonsense\r\n",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct site site;
		scoped_free char *answer = format(
		    "HTTP/1.1 206 Partial Content\r\nConnection: close\r\n" ETAG
		    "%sContent-Length: 6\r\n\r\nabcdef",
		    wrong[i]);
		assert_true(
		    GET(&site, SAY(ANSWER("200 OK", DIGITS, "0123")), SAY(answer),
		        SAY(ANSWER("206 Partial Content",
		                   ETAG RANGE("4-9/10") "Content-Length: 6\r\n", "456789"))));
		assert_got_digits(&site);
		site_done(&site);
	}
}

/* Such as the page of a proxy that should not be there. */
static void
test_answers_that_are_no_object(void **state)
{
	(void)state;
	struct site site;
	assert_true(GET(&site, SAY(ANSWER("200 OK", "Content-Length: 6\r\n", "<html>")),
	                SAY(ANSWER("200 OK", ETAG, "without a length")),
	                SAY(ANSWER("200 OK", DIGITS, "0123456789"))));
	assert_got_digits(&site);
	site_done(&site);
}

#define WITH_HASH ANSWER("200 OK", DIGITS "x-amz-meta-sha256: " DIGITS_HASH "\r\n", "0123456789")
#define DAMAGED   ANSWER("200 OK", DIGITS "x-amz-meta-sha256: " DIGITS_HASH "\r\n", "0123456788")

static void
test_bytes_that_broke_on_the_way(void **state)
{
	(void)state;
	struct site site;
	assert_true(GET(&site, SAY(DAMAGED), SAY(WITH_HASH)));
	assert_got_digits(&site);
	site_done(&site);
	/* They lie there so: for the caller to judge. */
	assert_true(GET(&site, SAY(DAMAGED), SAY(DAMAGED)));
	assert_int_equal(site.server.asked, 2);
	assert_string_not_equal(site.object.sha256, DIGITS_HASH);
	site_done(&site);
}

static void
test_open_object(void **state)
{
	(void)state;
	struct site site;
	int fd = -1;
	char bytes[16] = "";
	const struct scripted good = SAY(WITH_HASH), damaged = SAY(DAMAGED);
	site_open(&site, &good, 1);
	assert_true(store_open_object(site.store, KEY, NULL, &fd, &site.why));
	assert_int_equal(read(fd, bytes, sizeof bytes), 10);
	close_fd(&fd);
	site_close(&site);
	site_done(&site);
	site_open(&site, &damaged, 1);
	assert_false(store_open_object(site.store, KEY, NULL, &fd, &site.why));
	assert_int_equal(site.why.code, FAILURE_HASH_MISMATCH);
	site_close(&site);
	site_done(&site);
}

/* ---- metadata ---- */

#define BARE        ANSWER("200 OK", DIGITS "x-amz-meta-upload: me\r\nContent-Type: a/b\r\n", "")
#define ABC_KNOWN   ANSWER("200 OK", DIGITS "x-amz-meta-sha256: " ABC "\r\n", "")
#define OTHER_KNOWN ANSWER("200 OK", DIGITS "x-amz-meta-sha256: " OTHER "\r\n", "")
#define COPIED      ANSWER("200 OK", "", "<CopyObjectResult><ETag>\"e1\"</ETag></CopyObjectResult>")

#define ABC_REPLACED                                                                               \
	ANSWER("200 OK", "ETag: \"e2\"\r\nContent-Length: 10\r\nx-amz-meta-sha256: " ABC "\r\n", "")

static void
test_set_sha256(void **state)
{
	(void)state;
	struct site site;
	assert_true(SET(&site, SAY(BARE), SAY(COPIED), SAY(ABC_KNOWN)));
	assert_true(request_has(&site.server, 1, "PUT /jars/team/builds/x.jar HTTP"));
	assert_true(request_has(&site.server, 1, "x-amz-copy-source: /jars/team/builds/x.jar\r\n"));
	assert_true(request_has(&site.server, 1, "\r\nIf-Match: \"e1\"\r\n"));
	assert_true(request_has(&site.server, 1, "x-amz-metadata-directive: REPLACE\r\n"));
	assert_true(request_has(&site.server, 1, "x-amz-meta-sha256: " ABC "\r\n"));
	assert_true(request_has(&site.server, 1, "x-amz-meta-upload: me\r\n"));
	assert_true(request_has(&site.server, 1, "Content-Type: a/b\r\n"));
	assert_false(request_has(&site.server, 1, "octet-stream"));
	site_done(&site);
}

static void
test_set_sha256_where_there_is_one(void **state)
{
	(void)state;
	struct site site;
	assert_true(SET(&site, SAY(ABC_KNOWN)));
	site_done(&site);
	assert_false(SET(&site, SAY(OTHER_KNOWN)));
	assert_int_equal(site.why.code, FAILURE_EXISTS);
	assert_int_equal(site.server.asked, 1);
	site_done(&site);
	/* Somebody did the same meanwhile. */
	assert_true(SET(&site, SAY(BARE), SAY(TAKEN), SAY(ABC_KNOWN)));
	site_done(&site);
	/* Where conditions are refused it shows afterwards that it is another object. */
	assert_true(SET(&site, SAY(BARE), SAY(REFUSED), SAY(COPIED), SAY(ABC_KNOWN)));
	assert_false(request_has(&site.server, 2, "\r\nIf-Match"));
	site_done(&site);
	assert_false(SET(&site, SAY(BARE), SAY(REFUSED), SAY(COPIED), SAY(ABC_REPLACED)));
	assert_int_equal(site.why.code, FAILURE_EXISTS);
	site_done(&site);
}

static void
test_set_sha256_of_what_is_too_large(void **state)
{
	(void)state;
	struct site site;
	assert_false(SET(&site, SAY(ANSWER("200 OK", ETAG "Content-Length: 5368709121\r\n", ""))));
	assert_int_equal(site.why.code, FAILURE_REJECTED);
	assert_non_null(strstr(site.why.message, "5 GiB"));
	site_done(&site);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_head),
	    cmocka_unit_test(test_get),
	    cmocka_unit_test(test_get_nothing),
	    cmocka_unit_test(test_a_broken_connection_is_taken_up_again),
	    cmocka_unit_test(test_a_broken_range_is_taken_up_again),
	    cmocka_unit_test(test_of_a_server_that_knows_no_ranges),
	    cmocka_unit_test(test_an_object_that_changes_underway),
	    cmocka_unit_test(test_a_wrong_range_is_refused),
	    cmocka_unit_test(test_answers_that_are_no_object),
	    cmocka_unit_test(test_bytes_that_broke_on_the_way),
	    cmocka_unit_test(test_open_object),
	    cmocka_unit_test(test_set_sha256),
	    cmocka_unit_test(test_set_sha256_where_there_is_one),
	    cmocka_unit_test(test_set_sha256_of_what_is_too_large),
	};
	setenv("AWS_ACCESS_KEY_ID", "id", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
