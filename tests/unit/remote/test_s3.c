/* Requests to a bucket: signed, tried again or not, and what their failures are. */
#include "../../../common/remote/s3.h"
#include "scripted.h"

#define OK         OK_ANSWER("0", "")
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SIZED(STATUS, HEADERS, LENGTH, BODY)                                                       \
	"HTTP/1.1 " STATUS "\r\n" HEADERS "Content-Length: " LENGTH "\r\n\r\n" BODY
#define BUSY SIZED("503 Slow Down", "Connection: close\r\n", "0", "")

static const struct s3_schedule schedule = {.first = 1, .cap = 1, .tries = 4, .patience = 20000};

/* A bucket of a scripted server, and what came of asking it. */
struct site {
	struct server server;
	struct store_settings settings;
	struct s3 *s3;
	struct http_answer answer;
	struct failure why;
	struct tick tick;
};

static void
site_open(struct site *site, const struct scripted *script, size_t count,
          const struct s3_schedule *when)
{
	*site = (struct site){0};
	server_start(&site->server, script, count);
	site->settings = (struct store_settings){.bucket = "jars",
	                                         .region = "eu-west-1",
	                                         .endpoint = site->server.url,
	                                         .path_style = "auto",
	                                         .stall_timeout = 1000};
	site->s3 = s3_new(&site->settings, when);
}

/* The server's requests can be looked at afterwards. */
static void
site_close(struct site *site)
{
	s3_free(&site->s3);
	server_stop(&site->server);
}

static void
site_done(struct site *site)
{
	server_done(&site->server);
	http_answer_done(&site->answer);
	failure_done(&site->why);
}

static bool
ask(struct site *site, struct s3_request request)
{
	http_answer_done(&site->answer);
	failure_clear(&site->why);
	request.operation = "DoThis";
	request.key = "builds/x.jar";
	return s3_ask(site->s3, &request, &site->tick, &site->answer, &site->why);
}

static const struct s3_request get = {.method = "GET"}, head = {.method = "HEAD"};

/* One request against a script. */
static bool
play(struct site *site, struct s3_request request, const struct scripted *script, size_t count)
{
	site_open(site, script, count, &schedule);
	bool good = ask(site, request);
	site_close(site);
	return good;
}

#define PLAY(SITE, REQUEST, ...)                                                                   \
	play((SITE), (REQUEST), (const struct scripted[]){__VA_ARGS__},                            \
	     sizeof((const struct scripted[]){__VA_ARGS__}) / sizeof(struct scripted))

/* ---- asking ---- */

static void
test_is_signed(void **state)
{
	(void)state;
	struct site site;
	assert_true(PLAY(&site, get, {.bytes = OK}));
	assert_true(request_has(&site.server, 0, "GET /jars/builds/x.jar HTTP/1.1\r\n"));
	assert_true(request_has(&site.server, 0, "x-amz-content-sha256: " EMPTY_HASH "\r\n"));
	assert_true(
	    request_has(&site.server, 0, "\r\nAuthorization: AWS4-HMAC-SHA256 Credential="));
	assert_true(request_has(&site.server, 0, "/eu-west-1/s3/aws4_request"));
	site_done(&site);
}

static void
test_sends_a_body(void **state)
{
	(void)state;
	struct site site;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	char sha256[SHA256_TEXT];
	digest_bytes("abc", 3, sha256);
	strings_add(&headers, "x-amz-meta-a: b");
	assert_true(PLAY(&site,
	                 ((struct s3_request){.method = "PUT",
	                                      .query = "partNumber=1&uploadId=a%2Bb",
	                                      .headers = &headers,
	                                      .body = "abc",
	                                      .length = 3}),
	                 {.bytes = OK}));
	assert_true(
	    request_has(&site.server, 0, "PUT /jars/builds/x.jar?partNumber=1&uploadId=a%2Bb "));
	assert_true(request_has(&site.server, 0, sha256));
	assert_true(request_has(&site.server, 0, "\r\nx-amz-meta-a: b\r\n"));
	assert_true(request_has(&site.server, 0, "\r\nContent-Type: application/octet-stream\r\n"));
	assert_string_equal(body_of(&site.server, 0), "abc");
	site_done(&site);
}

/* ---- tried again ---- */

static void
test_what_passes_is_tried_again(void **state)
{
	(void)state;
	struct site site;
	assert_true(PLAY(&site, get, {.bytes = BUSY}, {.bytes = "", .then = THEN_RESET},
	                 {.bytes = SIZED("200 OK", "", "9", "short"), .then = THEN_CLOSE},
	                 {.bytes = OK}));
	assert_int_equal(site.server.asked, 4);
	site_done(&site);
}

/* What the tick heard: "DoThis ...: 503" or "over", one a line. */
static void
note_trouble(void *data, const struct failure *why, int64_t wait)
{
	assert_true(wait >= 0 && wait <= schedule.cap);
	text_addf(data, "%s\n", why ? why->message : "over");
}

static void
test_the_tick_hears_of_it(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = BUSY}, {.bytes = BUSY}, {.bytes = OK},
	                                         {.bytes = OK},   {.bytes = BUSY}, {.bytes = OK}};
	struct site site;
	scoped(text_done) struct text told = TEXT_INIT;
	site_open(&site, script, sizeof script / sizeof *script, &schedule);
	site.tick = (struct tick){.trouble = note_trouble, .data = &told};
	for (int i = 0; i < 3; i++) {
		assert_true(ask(&site, get));
		assert_string_equal(text_string(&told),
		                    i < 2 ? "DoThis builds/x.jar in bucket jars: 503\nover\n"
		                          : "DoThis builds/x.jar in bucket jars: 503\nover\n"
		                            "DoThis builds/x.jar in bucket jars: 503\nover\n");
	}
	site_close(&site);
	site_done(&site);
}

static void
test_not_for_ever(void **state)
{
	(void)state;
	struct site site;
	assert_false(PLAY(&site, get, {.bytes = BUSY}));
	assert_int_equal(site.why.code, FAILURE_SERVER);
	assert_int_equal(site.server.asked, 4);
	assert_string_equal(site.why.message,
	                    "tried 4 times: DoThis builds/x.jar in bucket jars: 503");
	site_done(&site);
}

static void
test_or_once_where_asked_so(void **state)
{
	(void)state;
	struct site site;
	assert_false(
	    PLAY(&site, ((struct s3_request){.method = "GET", .single = true}), {.bytes = BUSY}));
	assert_int_equal(site.server.asked, 1);
	site_done(&site);
}

static void
test_after_a_stall_on_a_connection_of_its_own(void **state)
{
	(void)state;
	struct site site;
	assert_true(
	    PLAY(&site, get, {.bytes = "HTTP/1.1 200 OK\r\n", .then = THEN_HOLD}, {.bytes = OK}));
	assert_int_equal(site.server.asked, 2);
	site_done(&site);
}

static void
test_what_is_too_slow_is_given_up(void **state)
{
	(void)state;
	struct site site;
	const struct scripted script = {
	    .bytes = SIZED("200 OK", "", "1000", "xxxxxxxxxxxxxxxxxxxxxxxx"), .pause_ms = 100};
	const struct s3_schedule hurry = {.first = 1, .cap = 1, .tries = 4, .patience = 300};
	site_open(&site, &script, 1, &hurry);
	assert_false(ask(&site, get));
	site_close(&site);
	assert_int_equal(site.why.code, FAILURE_STALLED);
	assert_non_null(strstr(site.why.message, "too slow"));
	site_done(&site);
}

static void
test_the_tick_ends_it(void **state)
{
	(void)state;
	struct site site;
	const struct scripted script = {.bytes = "", .then = THEN_HOLD};
	site_open(&site, &script, 1, &schedule);
	site.tick.tell = unit_stop;
	int64_t start = clock_ms();
	assert_false(ask(&site, get));
	assert_true(clock_ms() - start < PATIENCE);
	site_close(&site);
	assert_int_equal(site.why.code, FAILURE_CANCELLED);
	site_done(&site);
}

/* ---- answers that are no errors but by their body ---- */

static char *
error_answer(const char *status, const char *headers, const char *elements)
{
	scoped_free char *body = format("<?xml version='1.0'?>\n<Error>%s</Error>", elements);
	return format("HTTP/1.1 %s\r\n%sConnection: close\r\nContent-Length: %zu\r\n\r\n%s", status,
	              headers, strlen(body), body);
}

static void
test_an_error_of_status_200(void **state)
{
	(void)state;
	struct site site;
	scoped_free char *busy = error_answer("200 OK", "", "<Code>SlowDown</Code>");
	scoped_free char *taken = error_answer("200 OK", "", "<Code>PreconditionFailed</Code>");
	assert_true(PLAY(&site, get, {.bytes = busy}, {.bytes = OK}));
	assert_int_equal(site.server.asked, 2);
	site_done(&site);
	assert_false(PLAY(&site, get, {.bytes = taken}));
	assert_int_equal(site.why.code, FAILURE_EXISTS);
	assert_int_equal(site.server.asked, 1);
	site_done(&site);
}

static bool
wants_blue(void *data, const struct http_answer *answer, struct failure *why)
{
	(void)data;
	return strings_equal(text_string(&answer->body), "blue")
	       || fail(why, FAILURE_BAD_ANSWER, "not blue");
}

static void
test_an_answer_that_was_not_wanted(void **state)
{
	(void)state;
	struct site site;
	const struct s3_request request = {.method = "GET", .check = wants_blue};
	assert_true(PLAY(&site, request, {.bytes = OK_ANSWER("3", "red")},
	                 {.bytes = OK_ANSWER("4", "blue")}));
	assert_int_equal(site.server.asked, 2);
	site_done(&site);
	assert_false(PLAY(&site, request, {.bytes = OK_ANSWER("3", "red")}));
	assert_int_equal(site.why.code, FAILURE_BAD_ANSWER);
	site_done(&site);
}

/* ---- errors told apart ---- */

static void
test_errors_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *status, *headers, *elements;
		enum failure_code code;
		const char *message;
	} rows[] = {
	    {"404 Not Found", "", "<Code>NoSuchKey</Code><Message>none</Message>",
	     FAILURE_NOT_FOUND, "DoThis builds/x.jar in bucket jars: 404 NoSuchKey: none"},
	    {"404 Not Found", "", "<Code>NoSuchBucket</Code>", FAILURE_NO_BUCKET, "bucket jars"},
	    {"403 Forbidden", "", "<Code>AccessDenied</Code>", FAILURE_ACCESS_DENIED,
	     "403 AccessDenied"},
	    {"412 Precondition Failed", "", "<Code>PreconditionFailed</Code>", FAILURE_EXISTS,
	     "412"},
	    {"301 Moved Permanently", "x-amz-bucket-region: us-west-2\r\n",
	     "<Code>PermanentRedirect</Code>", FAILURE_WRONG_REGION,
	     "lies in region us-west-2, not in eu-west-1: set store.region and store.endpoint"},
	    {"400 Bad Request", "",
	     "<Code>AuthorizationHeaderMalformed</Code><Message>the region is "
	     "wrong</Message><Region>us-west-2</Region>",
	     FAILURE_WRONG_REGION, "lies in region us-west-2"},
	    {"403 Forbidden", "Date: Tue, 24 Nov 2015 08:00:00 GMT\r\n",
	     "<Code>RequestTimeTooSkewed</Code>", FAILURE_CLOCK, "ahead of the server's"},
	    {"403 Forbidden", "Date: Tue, 24 Nov 2099 08:00:00 GMT\r\n",
	     "<Code>RequestTimeTooSkewed</Code>", FAILURE_CLOCK, "behind"},
	    {"400 Bad Request", "", "<Code>EntityTooLarge</Code>", FAILURE_REFUSED, "400"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct site site;
		scoped_free char *answer = error_answer(rows[i].status, rows[i].headers,
		                                        rows[i].elements);
		assert_false(PLAY(&site, get, {.bytes = answer}));
		assert_int_equal(site.why.code, rows[i].code);
		assert_non_null(strstr(site.why.message, rows[i].message));
		assert_int_equal(site.server.asked, 1);
		site_done(&site);
	}
}

static void
test_an_error_that_is_no_document(void **state)
{
	(void)state;
	struct site site;
	assert_false(PLAY(
	    &site, get,
	    {.bytes = SIZED("403 Forbidden", "Connection: close\r\n", "12", "<html><br>\n\n")}));
	assert_int_equal(site.why.code, FAILURE_ACCESS_DENIED);
	assert_string_equal(site.why.details, "<html><br>\n\n");
	site_done(&site);
}

/* Of keys that are refused the document may quote a session token. */
static void
test_no_document_about_keys_is_told(void **state)
{
	(void)state;
	static const char *const codes[] = {"ExpiredToken", "InvalidToken", "SignatureDoesNotMatch",
	                                    "InvalidAccessKeyId"};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		struct site site;
		scoped_free char *elements = format(
		    "<Code>%s</Code><Message>no</Message><Token-0>sEcReT</Token-0>", codes[i]);
		scoped_free char *answer = error_answer("400 Bad Request", "", elements);
		assert_false(PLAY(&site, get, {.bytes = answer}));
		assert_non_null(strstr(site.why.message, codes[i]));
		assert_null(strstr(site.why.message, "sEcReT"));
		assert_null(site.why.details);
		site_done(&site);
	}
}

/* ---- keys ---- */

static void
test_keys_are_read_again_once(void **state)
{
	(void)state;
	struct site site;
	scoped_free char *expired = error_answer("400 Bad Request", "",
	                                         "<Code>ExpiredToken</Code>");
	assert_true(PLAY(&site, get, {.bytes = expired}, {.bytes = OK}));
	site_done(&site);
	assert_false(PLAY(&site, get, {.bytes = expired}));
	assert_int_equal(site.why.code, FAILURE_CREDENTIALS);
	assert_int_equal(site.server.asked, 2);
	site_done(&site);
}

/* Whoever gives us some was late. */
static void
test_keys_that_were_good_are_waited_for(void **state)
{
	(void)state;
	struct site site;
	scoped_free char *expired = error_answer("400 Bad Request", "",
	                                         "<Code>ExpiredToken</Code>");
	scoped_free char *half = error_answer("403 Forbidden", "",
	                                      "<Code>SignatureDoesNotMatch</Code>");
	const struct scripted script[] = {{.bytes = OK},   {.bytes = expired}, {.bytes = expired},
	                                  {.bytes = half}, {.bytes = OK},      {.bytes = expired}};
	site_open(&site, script, sizeof script / sizeof *script, &schedule);
	assert_true(ask(&site, get));
	assert_true(ask(&site, get));
	assert_int_equal(site.server.asked, 5);
	unsetenv("AWS_ACCESS_KEY_ID");
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	assert_false(ask(&site, get));
	setenv("AWS_ACCESS_KEY_ID", "id:1", 1);
	assert_int_equal(site.why.code, FAILURE_CREDENTIALS);
	assert_true(starts_with(site.why.message, "tried 4 times: "));
	assert_int_equal(site.server.asked, 6);
	site_close(&site);
	site_done(&site);
}

static void
test_without_keys(void **state)
{
	(void)state;
	struct site site;
	unsetenv("AWS_ACCESS_KEY_ID");
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	assert_false(PLAY(&site, get, {.bytes = OK}));
	setenv("AWS_ACCESS_KEY_ID", "id:1", 1);
	assert_int_equal(site.why.code, FAILURE_CREDENTIALS);
	assert_int_equal(site.server.asked, 0);
	site_done(&site);
}

/* ---- HEAD ---- */

#define NO_BODY(STATUS) "HTTP/1.1 " STATUS "\r\nConnection: close\r\n\r\n"

static void
test_a_get_says_why_a_head_failed(void **state)
{
	(void)state;
	struct site site;
	scoped_free char *none = error_answer("404 Not Found", "", "<Code>NoSuchBucket</Code>");
	assert_false(PLAY(&site, head, {.bytes = NO_BODY("404 Not Found")}, {.bytes = none}));
	assert_int_equal(site.why.code, FAILURE_NO_BUCKET);
	assert_true(request_has(&site.server, 0, "HEAD /jars/builds/x.jar "));
	assert_true(request_has(&site.server, 1, "GET /jars/builds/x.jar "));
	assert_true(request_has(&site.server, 1, "\r\nRange: bytes=0-0\r\n"));
	site_done(&site);
	scoped_free char *denied = error_answer("403 Forbidden", "", "<Code>AccessDenied</Code>");
	assert_false(PLAY(&site, head, {.bytes = NO_BODY("403 Forbidden")}, {.bytes = denied}));
	assert_int_equal(site.why.code, FAILURE_ACCESS_DENIED);
	assert_non_null(strstr(site.why.message, "s3:ListBucket"));
	site_done(&site);
}

static void
test_a_head_whose_reason_is_gone(void **state)
{
	(void)state;
	struct site site;
	assert_true(PLAY(&site, head, {.bytes = NO_BODY("404 Not Found")},
	                 {.bytes = OK_ANSWER("1", "x")}, {.bytes = NO_BODY("200 OK")}));
	assert_int_equal(site.server.asked, 3);
	assert_true(request_has(&site.server, 2, "HEAD "));
	site_done(&site);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_is_signed),
	    cmocka_unit_test(test_sends_a_body),
	    cmocka_unit_test(test_what_passes_is_tried_again),
	    cmocka_unit_test(test_the_tick_hears_of_it),
	    cmocka_unit_test(test_not_for_ever),
	    cmocka_unit_test(test_or_once_where_asked_so),
	    cmocka_unit_test(test_after_a_stall_on_a_connection_of_its_own),
	    cmocka_unit_test(test_what_is_too_slow_is_given_up),
	    cmocka_unit_test(test_the_tick_ends_it),
	    cmocka_unit_test(test_an_error_of_status_200),
	    cmocka_unit_test(test_an_answer_that_was_not_wanted),
	    cmocka_unit_test(test_errors_are_told_apart),
	    cmocka_unit_test(test_an_error_that_is_no_document),
	    cmocka_unit_test(test_no_document_about_keys_is_told),
	    cmocka_unit_test(test_keys_are_read_again_once),
	    cmocka_unit_test(test_keys_that_were_good_are_waited_for),
	    cmocka_unit_test(test_without_keys),
	    cmocka_unit_test(test_a_get_says_why_a_head_failed),
	    cmocka_unit_test(test_a_head_whose_reason_is_gone),
	};
	setenv("AWS_ACCESS_KEY_ID", "id:1", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
