#include <stdio.h>

#include "base/files.h"
#include "scripted.h"

/* What came of a request on the loop. */
struct got {
	struct desk desk;
	int called;     /* how often done was */
	bool answered;  /* with an answer */
	bool inside;    /* http_start() has not returned */
	bool too_early; /* done was called inside it */
	int status;
	int64_t date;
	char *body, *type;
	struct failure why;
};

static void
got_done(struct got *got)
{
	free_pointer(&got->body);
	free_pointer(&got->type);
	failure_done(&got->why);
}

static void
note(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct got *got = data;
	got->called++;
	got->too_early = got->inside;
	got->answered = answer != NULL;
	if (answer) {
		got->status = answer->status;
		got->date = http_date(answer);
		replace_string(&got->body, text_string(&answer->body));
		replace_string(&got->type, http_header(answer, "content-type"));
	}
	if (why)
		failure_copy(&got->why, why);
	desk_stop(&got->desk);
}

/* Asks once, on a loop of its own. */
static void
ask(const struct http_request *request, struct got *got)
{
	*got = (struct got){.inside = true};
	desk_open(&got->desk);
	http_start(got->desk.client, request, note, got);
	got->inside = false;
	desk_run(&got->desk);
	desk_close(&got->desk);
	assert_int_equal(got->called, 1);
	assert_false(got->too_early);
}

/* Asks a server of one answer; path is added to its address. */
static void
ask_server(const struct scripted *script, struct http_request *request, struct got *got,
           struct server *server)
{
	server_start(server, script, 1);
	scoped_free char *url = format("%s%s", server->url, request->url ? request->url : "/");
	request->url = url;
	if (!request->method)
		request->method = "GET";
	ask(request, got);
	server_stop(server);
	request->url = NULL;
}

/* ---- statuses ---- */

static void
check_status(const char *status_line, enum failure_code wanted, bool redirect_is_done)
{
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	scoped_free char *bytes = format(
	    "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nLocation: /there\r\n"
	    "Content-Length: 14\r\n\r\nfirst\x07\nsecond\n",
	    status_line);
	struct scripted script = {.bytes = bytes};
	struct http_request request = {.method = "POST", .redirect_is_done = redirect_is_done};
	ask_server(&script, &request, &got, &server);
	assert_true(got.answered);
	assert_int_equal(got.status, atoi(status_line));
	assert_int_equal(got.why.code, wanted);
	assert_string_equal(got.type, "text/plain");
}

static void
statuses_have_meanings(void **state)
{
	(void)state;
	check_status("200 OK", FAILURE_NONE, false);
	check_status("201 Created", FAILURE_NONE, false);
	check_status("303 See Other", FAILURE_NONE, true);
	check_status("302 Found", FAILURE_NONE, true);
	check_status("303 See Other", FAILURE_SERVER, false);
	check_status("301 Moved Permanently", FAILURE_SERVER, true);
	check_status("308 Permanent Redirect", FAILURE_SERVER, false);
	check_status("400 Bad Request", FAILURE_REJECTED, false);
	check_status("401 Unauthorized", FAILURE_UNAUTHORIZED, false);
	check_status("403 Forbidden", FAILURE_FORBIDDEN, false);
	check_status("404 Not Found", FAILURE_NOT_FOUND, false);
	check_status("409 Conflict", FAILURE_CONFLICT, false);
	check_status("413 Too Large", FAILURE_REJECTED, false);
	check_status("429 Too Many Requests", FAILURE_SERVER, false);
	check_status("500 Oops", FAILURE_SERVER, false);
	check_status("503 Later", FAILURE_SERVER, false);
	check_status("999 What", FAILURE_SERVER, false);
}

static void
nothing_is_an_answer_too(void **state)
{
	(void)state;
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	struct scripted script = {.bytes = "HTTP/1.1 204 No Content\r\n\r\n", .then = THEN_HOLD};
	struct http_request request = {0};
	ask_server(&script, &request, &got, &server);
	assert_int_equal(got.status, 204);
	assert_string_equal(got.body, "");
	assert_int_equal(got.why.code, FAILURE_NONE);
}

static void
a_message_names_all_but_secrets(void **state)
{
	(void)state;
	scoped(got_done) struct got got = {0};
	scoped(server_done) struct server server;
	struct scripted script = {.bytes = "HTTP/1.1 503 Later\r\nContent-Length: 16\r\n\r\n"
	                                   "not\tnow\r\nsecond\n"};
	server_start(&server, &script, 1);
	scoped_free char *url = format("http://user:sesame@%s/path?key=sesame#sesame",
	                               server.url + 7);
	scoped_free char *wanted = format("PUT %s/path: 503: not\\x09now", server.url);
	struct http_request request = {.method = "PUT", .url = url};
	ask(&request, &got);
	server_stop(&server);
	assert_string_equal(got.why.message, wanted);
	assert_string_equal(got.why.details, "not\tnow\\x0d\nsecond\n");
}

/* ---- what goes out ---- */

static void
a_request_is_what_was_asked(void **state)
{
	(void)state;
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	struct scripted script = {.bytes = OK_ANSWER("2", "OK")};
	strings_add(&headers, "Content-Type: application/json");
	struct http_request request = {.method = "POST",
	                               .url = "/a/b?c=d",
	                               .headers = &headers,
	                               .body = "{\"a\":1}",
	                               .body_length = 7,
	                               .username = "amalgam",
	                               .password = "sekrit"};
	ask_server(&script, &request, &got, &server);
	const char *bytes = text_string(&server.requests[0]);
	assert_true(starts_with(bytes, "POST /a/b?c=d HTTP/1.1\r\n"));
	assert_true(request_has(&server, 0, "\r\nAuthorization: Basic YW1hbGdhbTpzZWtyaXQ=\r\n"));
	assert_true(request_has(&server, 0, "\r\nUser-Agent: moolloy-workers/" MOOLLOY_VERSION));
	assert_true(request_has(&server, 0, "\r\nContent-Type: application/json\r\n"));
	assert_true(request_has(&server, 0, "\r\nContent-Length: 7\r\n"));
	assert_true(ends_with(bytes, "\r\n\r\n{\"a\":1}"));
	assert_false(request_has(&server, 0, "Accept-Encoding"));
	assert_false(request_has(&server, 0, "Expect"));
	assert_false(request_has(&server, 0, "Transfer-Encoding"));
	assert_string_equal(got.body, "OK");
}

/* A kilobyte is where curl would begin to send Expect, a megabyte where it would surely. */
static void
a_long_body_goes_out_without_expect(void **state)
{
	(void)state;
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	scoped_free char *body = allocate(3 << 20);
	struct scripted script = {.bytes = OK_ANSWER("0", "")};
	memset(body, 'x', 3 << 20);
	struct http_request request = {.method = "POST", .body = body, .body_length = 3 << 20};
	ask_server(&script, &request, &got, &server);
	assert_true(request_has(&server, 0, "\r\nContent-Length: 3145728\r\n"));
	assert_false(request_has(&server, 0, "Expect"));
	assert_int_equal(strlen(body_of(&server, 0)), 3 << 20);
}

static void
check_empty_body(const char *method)
{
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	struct scripted script = {.bytes = OK_ANSWER("0", "")};
	struct http_request request = {.method = method};
	ask_server(&script, &request, &got, &server);
	assert_true(starts_with(text_string(&server.requests[0]), method));
	assert_true(request_has(&server, 0, "\r\nContent-Length: 0\r\n"));
	assert_false(request_has(&server, 0, "Authorization"));
	assert_int_equal(got.why.code, FAILURE_NONE);
}

static void
no_body_has_a_length_too(void **state)
{
	(void)state;
	check_empty_body("POST");
	check_empty_body("PUT");
}

static void
ask_with_file(size_t length, struct got *got, struct server *server)
{
	struct scripted script = {.bytes = OK_ANSWER("0", "")};
	scoped_fd int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(write_all(fd, "0123456789", 10, NULL));
	const struct http_range file = {.fd = fd, .from = 3};
	struct http_request request = {.method = "PUT", .file = &file, .body_length = length};
	ask_server(&script, &request, got, server);
}

static void
a_body_is_read_from_a_file(void **state)
{
	(void)state;
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	ask_with_file(5, &got, &server);
	assert_int_equal(got.status, 200);
	assert_true(request_has(&server, 0, "PUT "));
	assert_true(request_has(&server, 0, "\r\nContent-Length: 5\r\n"));
	assert_string_equal(body_of(&server, 0), "34567");
}

static void
a_file_that_is_too_short_fails(void **state)
{
	(void)state;
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	ask_with_file(8, &got, &server);
	assert_false(got.answered);
	assert_int_equal(got.why.code, FAILURE_SYSTEM);
}

static void
a_form_holds_its_file(void **state)
{
	(void)state;
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	scoped(text_done) struct text bytes = TEXT_INIT;
	struct scripted script = {
	    .bytes = "HTTP/1.1 303 See Other\r\nLocation: /models/1\r\nContent-Length: 0\r\n\r\n"};
	char path[] = "/tmp/test-http-XXXXXX";
	scoped_fd int fd = mkstemp(path);
	text_add(&bytes, "BZh9\0\r\n--\n", 10);
	assert_true(write_all(fd, bytes.bytes, bytes.length, NULL));
	struct http_form_file form = {
	    .field = "file", .filename = "a.tar.bz2", .type = "application/x-bzip2", .path = path};
	struct http_request request = {.method = "POST", .form = &form, .redirect_is_done = true};
	ask_server(&script, &request, &got, &server);
	unlink(path);
	assert_int_equal(got.status, 303);
	assert_int_equal(got.why.code, FAILURE_NONE);
	assert_true(request_has(&server, 0, "\r\nContent-Type: multipart/form-data; boundary="));
	assert_true(request_has(&server, 0, "\r\nContent-Length: "));
	assert_false(request_has(&server, 0, "Transfer-Encoding"));
	const char *body = body_of(&server, 0);
	const char *part = strstr(body, "\r\n\r\n");
	assert_non_null(strstr(body, "\r\nContent-Disposition: form-data; name=\"file\"; "
	                             "filename=\"a.tar.bz2\"\r\n"));
	assert_non_null(strstr(body, "\r\nContent-Type: application/x-bzip2\r\n"));
	assert_memory_equal(part + 4, bytes.bytes, bytes.length);
	assert_memory_equal(part + 4 + bytes.length, "\r\n--", 4);
}

static void
a_form_without_its_file_fails(void **state)
{
	(void)state;
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	struct scripted script = {.bytes = OK_ANSWER("0", "")};
	struct http_form_file form = {
	    .field = "file", .filename = "a", .type = "text/plain", .path = "/nowhere/a"};
	struct http_request request = {.method = "POST", .form = &form};
	ask_server(&script, &request, &got, &server);
	assert_false(got.answered);
	assert_int_equal(got.why.code, FAILURE_NOT_FOUND);
	assert_int_equal(server.asked, 0);
}

/* ---- what comes back ---- */

static void
headers_are_read(void **state)
{
	(void)state;
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	struct scripted script = {
	    .bytes = "HTTP/1.1 100 Continue\r\nContent-Type: early\r\n\r\n"
		     "HTTP/1.1 200 OK\r\nDATE: Tue, 24 Nov 2026 08:22:30 GMT\r\n"
		     "content-TYPE:text/html;charset=utf-8\r\n"
		     "Content-Type: later\r\nContent-Length: 0\r\n\r\n"};
	struct http_request request = {0};
	ask_server(&script, &request, &got, &server);
	assert_string_equal(got.type, "text/html;charset=utf-8");
	assert_int_equal(got.date, 1795508550000);
}

static void
a_broken_date_is_none(void **state)
{
	(void)state;
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	struct scripted script = {
	    .bytes = "HTTP/1.1 200 OK\r\nDate: yesterday\r\nContent-Length: 0\r\n\r\n"};
	struct http_request request = {0};
	ask_server(&script, &request, &got, &server);
	assert_int_equal(got.date, 0);
	assert_null(got.type);
}

/* A scripted answer, and the failure it must be. */
static void
check_broken(const struct scripted *script, struct http_request *request, enum failure_code wanted)
{
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	ask_server(script, request, &got, &server);
	if (got.answered || got.why.code != wanted)
		print_error("%.60s: %s: %s\n", script->bytes, failure_name(got.why.code),
		            got.why.message);
	assert_false(got.answered);
	assert_int_equal(got.why.code, wanted);
	assert_true(got.why.unanswered);
	assert_true(starts_with(got.why.message, "GET http://127.0.0.1:"));
}

static void
broken_answers_are_failures(void **state)
{
	(void)state;
	struct http_request request = {0};
	check_broken(&(struct scripted){.bytes = ""}, &request, FAILURE_NETWORK);
	check_broken(&(struct scripted){.bytes = "", .then = THEN_RESET}, &request,
	             FAILURE_NETWORK);
	check_broken(&(struct scripted){.bytes = OK_ANSWER("100", "short")}, &request,
	             FAILURE_NETWORK);
	check_broken(&(struct scripted){.bytes = OK_ANSWER("100", "short"), .then = THEN_RESET},
	             &request, FAILURE_NETWORK);
	check_broken(&(struct scripted){.bytes = "SSH-2.0-OpenSSH_9.2\r\n"}, &request,
	             FAILURE_BAD_ANSWER);
	check_broken(
	    &(struct scripted){.bytes = "HTTP/1.1 200 OK\r\na\0b: c\r\n\r\n", .length = 28},
	    &request, FAILURE_BAD_ANSWER);
	check_broken(&(struct scripted){.bytes = "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"},
	             &request, FAILURE_BAD_ANSWER);
	check_broken(&(struct scripted){.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
	                                         "\r\n\r\nzz\r\n"},
	             &request, FAILURE_NETWORK);
	check_broken(&(struct scripted){.bytes = "HTTP/7.3 200 OK\r\n\r\n"}, &request,
	             FAILURE_BAD_ANSWER);
}

static void
a_long_answer_is_cut_off(void **state)
{
	(void)state;
	struct http_request request = {.answer_limit = 10};
	check_broken(&(struct scripted){.bytes = OK_ANSWER("11", "hello world")}, &request,
	             FAILURE_BAD_ANSWER);
	request.answer_limit = 0;
	check_broken(&(struct scripted){.bytes = "HTTP/1.1 200 OK\r\n\r\n", .filler = 2 << 20},
	             &request, FAILURE_BAD_ANSWER);
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	request.answer_limit = 11;
	ask_server(&(struct scripted){.bytes = OK_ANSWER("11", "hello world")}, &request, &got,
	           &server);
	assert_string_equal(got.body, "hello world");
}

static void
time_runs_out(void **state)
{
	(void)state;
	struct http_request request = {.timeout = 100};
	check_broken(&(struct scripted){.bytes = "", .then = THEN_HOLD}, &request, FAILURE_NETWORK);
}

/* An address where nobody answers, and what is none at all. */
static void
check_unreachable(const char *url, enum failure_code wanted)
{
	scoped(got_done) struct got got;
	struct http_request request = {.method = "GET", .url = url, .connect_timeout = 300};
	ask(&request, &got);
	assert_false(got.answered);
	assert_int_equal(got.why.code, wanted);
	assert_false(got.why.unanswered);
}

static void
who_does_not_listen_is_told(void **state)
{
	(void)state;
	int port;
	scoped_fd int fd = listen_somewhere(&port);
	scoped_free char *closed = format("http://127.0.0.1:%d/", port);
	close_fd(&fd);
	check_unreachable(closed, FAILURE_NETWORK);
	check_unreachable("file:///etc/passwd", FAILURE_REJECTED);
	check_unreachable("ftp://127.0.0.1/", FAILURE_REJECTED);
	check_unreachable("http://", FAILURE_REJECTED);
	check_unreachable("http://[::1", FAILURE_REJECTED);
}

/* ---- many, and cancelled ones ---- */

struct crowd {
	struct desk desk;
	int left, good;
};

static void
count_down(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct crowd *crowd = data;
	crowd->good += answer && !why;
	if (--crowd->left == 0)
		desk_stop(&crowd->desk);
}

static void
many_are_asked_at_once(void **state)
{
	(void)state;
	scoped(server_done) struct server server;
	struct scripted script = {.bytes = OK_ANSWER("2", "OK")};
	struct crowd crowd = {.left = 100};
	server_start(&server, &script, 1);
	desk_open(&crowd.desk);
	struct http_request request = {.method = "GET", .url = server.url};
	for (int i = 0; i < 100; i++)
		http_start(crowd.desk.client, &request, count_down, &crowd);
	desk_run(&crowd.desk);
	desk_close(&crowd.desk);
	server_stop(&server);
	assert_int_equal(crowd.good, 100);
	assert_int_equal(server.asked, 100);
}

/* Three at once, since a stall takes its time: silent from the start, silent in the middle, and
 * slow, which is no stall. */
struct waiting {
	struct crowd *crowd;
	enum failure_code code;
};

static void
note_code(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct waiting *waiting = data;
	waiting->code = why ? why->code : FAILURE_NONE;
	count_down(waiting->crowd, answer, why);
}

static void
silence_is_given_up_and_slowness_not(void **state)
{
	(void)state;
	static const struct scripted scripts[] = {
	    {.bytes = "", .then = THEN_HOLD},
	    {.bytes = OK_ANSWER("9", "half"), .then = THEN_HOLD},
	    {.bytes = OK_ANSWER("9", "unhurried"), .pause_ms = 400},
	};
	scoped_free struct server *servers = allocate(3 * sizeof *servers);
	struct crowd crowd = {.left = 3};
	struct waiting waiting[3];
	desk_open(&crowd.desk);
	for (int i = 0; i < 3; i++) {
		server_start(&servers[i], &scripts[i], 1);
		waiting[i] = (struct waiting){.crowd = &crowd};
		struct http_request request = {
		    .method = "GET", .url = servers[i].url, .stall_timeout = 1000};
		http_start(crowd.desk.client, &request, note_code, &waiting[i]);
	}
	desk_run(&crowd.desk);
	desk_close(&crowd.desk);
	for (int i = 0; i < 3; i++) {
		server_stop(&servers[i]);
		server_done(&servers[i]);
	}
	assert_int_equal(waiting[0].code, FAILURE_STALLED);
	assert_int_equal(waiting[1].code, FAILURE_STALLED);
	assert_int_equal(waiting[2].code, FAILURE_NONE);
}

/* Asks three times on one connection, cancelling a fourth from within the first one's done. */
struct chain {
	struct desk desk;
	struct http_request request;
	int left;
	struct http_call *victim;
	bool broken;
};

static void
never(void *data, const struct http_answer *answer, const struct failure *why)
{
	(void)answer, (void)why;
	struct chain *chain = data;
	chain->broken = true;
}

static void
ask_again(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct chain *chain = data;
	chain->broken = chain->broken || !answer || why;
	http_cancel(&chain->victim);
	if (--chain->left == 0) {
		desk_stop(&chain->desk);
		return;
	}
	http_start(chain->desk.client, &chain->request, ask_again, chain);
	chain->victim = http_start(chain->desk.client, &chain->request, never, chain);
	http_cancel(&chain->victim);
	assert_null(chain->victim);
}

static void
done_may_ask_and_cancel(void **state)
{
	(void)state;
	scoped(server_done) struct server server, silent;
	struct scripted script = {.bytes = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
	                          .then = THEN_KEEP};
	struct scripted silence = {.bytes = "", .then = THEN_HOLD};
	server_start(&server, &script, 1);
	server_start(&silent, &silence, 1);
	struct chain chain = {.left = 3, .request = {.method = "GET", .url = server.url}};
	struct http_request waiting = {.method = "GET", .url = silent.url};
	desk_open(&chain.desk);
	chain.victim = http_start(chain.desk.client, &waiting, never, &chain);
	http_start(chain.desk.client, &chain.request, ask_again, &chain);
	desk_run(&chain.desk);
	/* What is under way when the client goes is dropped without a word. */
	http_start(chain.desk.client, &waiting, never, &chain);
	desk_close(&chain.desk);
	server_stop(&server);
	server_stop(&silent);
	assert_false(chain.broken);
	assert_int_equal(server.asked, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(statuses_have_meanings),
	    cmocka_unit_test(nothing_is_an_answer_too),
	    cmocka_unit_test(a_message_names_all_but_secrets),
	    cmocka_unit_test(a_request_is_what_was_asked),
	    cmocka_unit_test(a_long_body_goes_out_without_expect),
	    cmocka_unit_test(no_body_has_a_length_too),
	    cmocka_unit_test(a_body_is_read_from_a_file),
	    cmocka_unit_test(a_file_that_is_too_short_fails),
	    cmocka_unit_test(a_form_holds_its_file),
	    cmocka_unit_test(a_form_without_its_file_fails),
	    cmocka_unit_test(headers_are_read),
	    cmocka_unit_test(a_broken_date_is_none),
	    cmocka_unit_test(broken_answers_are_failures),
	    cmocka_unit_test(a_long_answer_is_cut_off),
	    cmocka_unit_test(time_runs_out),
	    cmocka_unit_test(who_does_not_listen_is_told),
	    cmocka_unit_test(many_are_asked_at_once),
	    cmocka_unit_test(silence_is_given_up_and_slowness_not),
	    cmocka_unit_test(done_may_ask_and_cancel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
