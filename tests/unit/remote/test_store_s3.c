/* The store with an S3 bucket as its body: what it asks a scripted server, and what it makes of the
 * answers. Against a real one: tests/system/test_store_s3.py. */
#include <stdio.h>

#include "base/files.h"
#include "remote/store.h"
#include "scripted.h"

#define KEY         "builds/x.jar"
#define ABC         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OTHER       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DIGITS_HASH "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882" /* 0..9 */

#define ANSWER(STATUS, HEADERS, BODY)                                                              \
	"HTTP/1.1 " STATUS "\r\nConnection: close\r\n" HEADERS "\r\n" BODY
#define ETAG        "ETag: \"e1\"\r\n"
#define DIGITS      ETAG "Content-Length: 10\r\n"
#define RANGE(TEXT) "Content-Range: bytes " TEXT "\r\n"
#define NOTHING     "Content-Length: 0\r\n"
#define ABSENT      ANSWER("404 Not Found", NOTHING, "")

#define ERROR_DOCUMENT(STATUS, CODE) ANSWER(STATUS, "", "<Error><Code>" CODE "</Code></Error>")
#define NO_KEY                       ERROR_DOCUMENT("404 Not Found", "NoSuchKey")
#define TAKEN                        ERROR_DOCUMENT("412 Precondition Failed", "PreconditionFailed")
#define NO_LIST                      ERROR_DOCUMENT("403 Forbidden", "AccessDenied")
#define REFUSED                      ERROR_DOCUMENT("501 Not Implemented", "NotImplemented")
#define STORED                       ANSWER("200 OK", ETAG NOTHING, "")

struct site {
	struct server server;
	struct store_settings settings;
	struct store *store;
	struct store_object object;
	struct failure why;
	int fd; /* what was got */
};

static void
site_open(struct site *site, const struct scripted *script, size_t count)
{
	*site = (struct site){.fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
	server_start(&site->server, script, count);
	site->settings = (struct store_settings){.type = "s3",
	                                         .bucket = "jars",
	                                         .region = "eu-west-1",
	                                         .endpoint = site->server.url,
	                                         .path_style = "auto",
	                                         .prefix = "team",
	                                         .part_size = 5 << 20,
	                                         .concurrency = 1,
	                                         .stall_timeout = 1000};
	assert_true(store_open(&site->settings, &site->store, NULL));
}

/* The server's requests can be looked at afterwards. */
static void
site_close(struct site *site)
{
	store_close(&site->store);
	server_stop(&site->server);
}

static void
site_done(struct site *site)
{
	server_done(&site->server);
	failure_done(&site->why);
	close_fd(&site->fd);
}

#define SCRIPT(...)                                                                                \
	(const struct scripted[])                                                                  \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define COUNT(...) (sizeof(SCRIPT(__VA_ARGS__)) / sizeof(struct scripted))
#define SAY(ANSWER)                                                                                \
	{                                                                                          \
		.bytes = (ANSWER)                                                                  \
	}

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

/* ---- put ---- */

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
	    cmocka_unit_test(test_put),
	    cmocka_unit_test(test_bytes_that_are_not_those_announced_do_not_go),
	    cmocka_unit_test(test_a_file_that_changes_meanwhile_does_not_go),
	    cmocka_unit_test(test_put_once),
	    cmocka_unit_test(test_put_once_where_conditions_are_refused),
	    cmocka_unit_test(test_replace_a_version),
	    cmocka_unit_test(test_what_lies_there_is_not_what_was_sent),
	    cmocka_unit_test(test_uploads_of_earlier_attempts_are_ended),
	    cmocka_unit_test(test_uploads_that_cannot_be_ended_are_left),
	    cmocka_unit_test(test_set_sha256),
	    cmocka_unit_test(test_set_sha256_where_there_is_one),
	    cmocka_unit_test(test_set_sha256_of_what_is_too_large),
	};
	setenv("AWS_ACCESS_KEY_ID", "id", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
