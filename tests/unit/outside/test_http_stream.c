#include "scripted.h"

static bool
open_stream(struct server *server, const struct scripted *script, const struct tick *tick,
            struct http_stream **ret, struct failure *why)
{
	struct http_request request = {.method = "POST", .body = "want", .body_length = 4};
	server_start(server, script, 1);
	request.url = server->url;
	request.stall_timeout = 1000;
	return http_open(&request, tick, ret, why);
}

static void
a_big_stream_comes_in_pieces(void **state)
{
	(void)state;
	const size_t size = 64 << 20;
	scoped(server_done) struct server server;
	scoped(http_close) struct http_stream *stream = NULL;
	struct scripted script = {
	    .bytes = "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\nX-A: b\r\n\r\n",
	    .filler = size,
	    .then = THEN_CLOSE};
	unsigned char piece[30011];
	size_t length, total = 0;
	bool same = true;
	assert_true(open_stream(&server, &script, NULL, &stream, NULL));
	assert_true(http_stream_check(stream, NULL));
	assert_int_equal(http_stream_answer(stream)->status, 200);
	assert_string_equal(http_header(http_stream_answer(stream), "x-a"), "b");
	do {
		assert_true(http_read(stream, piece, sizeof piece, &length, NULL));
		for (size_t i = 0; i < length; i++)
			same = same && piece[i] == filler_byte(total + i);
		total += length;
	} while (length > 0);
	assert_true(same);
	assert_int_equal(total, size);
	/* The end stays the end. */
	assert_true(http_read(stream, piece, sizeof piece, &length, NULL));
	assert_int_equal(length, 0);
	http_close(&stream);
	server_stop(&server);
	assert_string_equal(body_of(&server, 0), "want");
}

/* What is not read yet stays with the server, not in our memory. */
static void
an_unread_stream_is_held_back(void **state)
{
	(void)state;
	const size_t size = 256 << 20;
	scoped(server_done) struct server server;
	scoped(http_close) struct http_stream *stream = NULL;
	struct scripted script = {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n",
	                          .filler = size};
	unsigned char byte;
	size_t length;
	assert_true(open_stream(&server, &script, NULL, &stream, NULL));
	for (int i = 0; i < 1000; i++)
		assert_true(http_read(stream, &byte, 1, &length, NULL));
	/* The kernel's buffers take some MiB. */
	assert_true(atomic_load(&server.sent) < size / 2);
	http_close(&stream);
	server_stop(&server);
}

static void
read_to_failure(const struct scripted *script, enum failure_code wanted)
{
	scoped(server_done) struct server server;
	scoped(http_close) struct http_stream *stream = NULL;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	char piece[100];
	size_t length = 1;
	bool good = open_stream(&server, script, NULL, &stream, &why);
	while (good && length)
		good = http_read(stream, piece, sizeof piece, &length, &why);
	http_close(&stream);
	server_stop(&server);
	assert_false(good);
	assert_int_equal(why.code, wanted);
}

static void
broken_streams_fail(void **state)
{
	(void)state;
	read_to_failure(&(struct scripted){.bytes = OK_ANSWER("9", "half")}, FAILURE_NETWORK);
	read_to_failure(&(struct scripted){.bytes = OK_ANSWER("9", "half"), .then = THEN_RESET},
	                FAILURE_NETWORK);
	read_to_failure(&(struct scripted){.bytes = "garbage\n"}, FAILURE_BAD_ANSWER);
}

static void
a_refused_stream_says_why(void **state)
{
	(void)state;
	scoped(server_done) struct server server;
	scoped(http_close) struct http_stream *stream = NULL;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct scripted script = {
	    .bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\ngone\n"};
	assert_true(open_stream(&server, &script, NULL, &stream, NULL));
	assert_false(http_stream_check(stream, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
	assert_true(ends_with(why.message, ": 404: gone"));
	http_close(&stream);
	server_stop(&server);
}

struct asked {
	int times;
};

static bool
stop_at_second(void *data, int64_t done, int64_t total)
{
	(void)done, (void)total;
	struct asked *asked = data;
	return ++asked->times < 2;
}

static void
a_tick_stops_a_stream(void **state)
{
	(void)state;
	scoped(server_done) struct server server;
	scoped(http_close) struct http_stream *stream = NULL;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct scripted script = {.bytes = "", .then = THEN_HOLD};
	struct asked asked = {0};
	struct tick tick = {.tell = stop_at_second, .data = &asked};
	assert_false(open_stream(&server, &script, &tick, &stream, &why));
	server_stop(&server);
	assert_null(stream);
	assert_int_equal(why.code, FAILURE_CANCELLED);
	assert_int_equal(asked.times, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_big_stream_comes_in_pieces),
	    cmocka_unit_test(an_unread_stream_is_held_back),
	    cmocka_unit_test(broken_streams_fail),
	    cmocka_unit_test(a_refused_stream_says_why),
	    cmocka_unit_test(a_tick_stops_a_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
