/* Requests driven by hand, bodies taken as they come, signed requests. */
#include <stdio.h>

#include "scripted.h"

/* What came of one request. */
struct got {
	int called;
	int status; /* 0: no answer */
	struct failure why;
	struct text taken;
	size_t take_limit; /* the take refuses more; 0: none */
	bool stop;         /* the tick's answer */
};

static void
got_done(struct got *got)
{
	failure_done(&got->why);
	text_done(&got->taken);
}

static void
note(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct got *got = data;
	got->called++;
	got->status = answer ? answer->status : 0;
	if (why)
		failure_copy(&got->why, why);
}

static bool
take(void *data, const void *bytes, size_t length, struct failure *why)
{
	struct got *got = data;
	if (got->take_limit && got->taken.length + length > got->take_limit)
		return fail(why, FAILURE_DISK_FULL, "no room");
	text_add(&got->taken, bytes, length);
	return true;
}

static bool
go_on(void *data, int64_t done, int64_t total)
{
	const struct got *got = data;
	(void)done;
	(void)total;
	return !got->stop;
}

static bool
work(struct http_client *client, struct got *got, int calls, struct failure *why)
{
	int64_t late = clock_ms() + PATIENCE;
	struct tick tick = {.tell = go_on, .data = got};
	while (got->called < calls && clock_ms() < late)
		if (!http_work(client, late, &tick, why))
			return false;
	assert_int_equal(got->called, calls);
	return true;
}

static void
ask(struct server *server, struct http_request request, const char *path, struct got *got)
{
	struct http_client *client = http_client_new(NULL);
	scoped_free char *url = format("%s%s", server->url, path);
	request.url = url;
	http_start(client, &request, note, got);
	assert_int_equal(got->called, 0);
	assert_true(work(client, got, 1, NULL));
	http_client_free(&client);
}

/* A GET of the scripted answer, whose body is taken. */
static void
take_answer(const struct scripted *script, struct got *got)
{
	struct server server;
	server_start(&server, script, 1);
	ask(&server, (struct http_request){.method = "GET", .take = take, .take_data = got}, "/a",
	    got);
	server_stop(&server);
	server_done(&server);
}

static void
test_takes_a_body(void **state)
{
	(void)state;
	const struct scripted script = {
	    .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n", .filler = 3000000};
	scoped(got_done) struct got got = {0};
	take_answer(&script, &got);
	assert_int_equal(got.status, 200);
	assert_int_equal(got.taken.length, 3000000);
	for (size_t i = 0; i < got.taken.length; i++)
		assert_int_equal((unsigned char)got.taken.bytes[i], filler_byte(i));
}

static void
test_keeps_the_body_of_an_error(void **state)
{
	(void)state;
	const struct scripted script = {
	    .bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"};
	scoped(got_done) struct got got = {0};
	take_answer(&script, &got);
	assert_int_equal(got.taken.length, 0);
	assert_int_equal(got.why.code, FAILURE_NOT_FOUND);
	assert_string_equal(got.why.details, "gone");
}

static void
test_failure_of_the_take(void **state)
{
	(void)state;
	const struct scripted script = {
	    .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n", .filler = 3000000};
	scoped(got_done) struct got got = {.take_limit = 100000};
	take_answer(&script, &got);
	assert_int_equal(got.status, 0);
	assert_int_equal(got.why.code, FAILURE_DISK_FULL);
	assert_string_equal(got.why.message, "no room");
}

static void
test_several_at_once_and_cancel(void **state)
{
	(void)state;
	const struct scripted script[] = {{.bytes = OK_ANSWER("1", "a"), .then = THEN_CLOSE},
	                                  {.bytes = OK_ANSWER("1", "b"), .then = THEN_CLOSE},
	                                  {.bytes = "", .then = THEN_HOLD}};
	struct server server;
	scoped(got_done) struct got got = {0};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct http_client *client = http_client_new(NULL);
	server_start(&server, script, 3);
	struct http_request request = {.method = "GET", .url = server.url};
	for (int i = 0; i < 3; i++)
		http_start(client, &request, note, &got);
	assert_true(work(client, &got, 2, NULL));
	got.stop = true;
	assert_false(work(client, &got, 3, &why));
	assert_int_equal(why.code, FAILURE_CANCELLED);
	assert_int_equal(got.called, 2);
	http_client_free(&client);
	server_stop(&server);
	server_done(&server);
}

/* The signature itself is judged by the servers of the system tests. */
static void
test_signed(void **state)
{
	(void)state;
	const struct scripted script = {.bytes = OK_ANSWER("1", "a")};
	const struct http_signature signature = {.service = "s3",
	                                         .region = "eu-west-9",
	                                         .key_id = "user:key",
	                                         .secret = "secret",
	                                         .token = "token"};
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	struct server server;
	scoped(got_done) struct got got = {0};
	strings_add(&headers, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
	strings_add(&headers, "Content-Type: application/octet-stream");
	server_start(&server, &script, 1);
	ask(&server,
	    (struct http_request){.method = "PUT",
	                          .headers = &headers,
	                          .body = "bytes",
	                          .body_length = 5,
	                          .body_stays = true,
	                          .signature = &signature},
	    "/bucket/a%2Fb/../c?a=&b=%20", &got);
	server_stop(&server);
	assert_int_equal(got.status, 200);
	assert_true(request_has(&server, 0, "PUT /bucket/a%2Fb/../c?a=&b=%20 HTTP/1.1\r\n"));
	assert_true(
	    request_has(&server, 0, "Authorization: AWS4-HMAC-SHA256 Credential=user:key/"));
	assert_true(request_has(&server, 0, "/eu-west-9/s3/aws4_request, SignedHeaders="));
	/* Nothing is signed that is not sent. */
	assert_true(request_has(&server, 0,
	                        "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;"
	                        "x-amz-security-token, "));
	assert_true(request_has(&server, 0, "Content-Type: application/octet-stream\r\n"));
	assert_true(request_has(&server, 0, "X-Amz-Security-Token: token\r\n"));
	assert_string_equal(body_of(&server, 0), "bytes");
	server_done(&server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_takes_a_body),
	    cmocka_unit_test(test_keeps_the_body_of_an_error),
	    cmocka_unit_test(test_failure_of_the_take),
	    cmocka_unit_test(test_several_at_once_and_cancel),
	    cmocka_unit_test(test_signed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
