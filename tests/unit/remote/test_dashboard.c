#include <stdio.h>

#include "base/files.h"
#include "outside/json.h"
#include "remote/dashboard.h"
#include "scripted.h"

/* What came of one request. */
struct got {
	struct desk desk;
	int status;
	bool forgot;
	char *body;
	struct failure why;
};

static void
got_done(struct got *got)
{
	free_pointer(&got->body);
	failure_done(&got->why);
}

static void
note(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct got *got = data;
	got->status = answer ? answer->status : 0;
	got->forgot = dashboard_forgot_worker(answer);
	replace_string(&got->body, answer ? text_string(&answer->body) : NULL);
	if (why)
		failure_copy(&got->why, why);
	desk_stop(&got->desk);
}

/* ---- bytes on the wire ---- */

static void
post(const char *answer, const char *path, const char *body, struct got *got, struct server *server)
{
	struct scripted script = {.bytes = answer};
	struct dashboard_access access = {.username = "amalgam", .password = "sekrit"};
	server_start(server, &script, 1);
	access.url = server->url;
	*got = (struct got){0};
	desk_open(&got->desk);
	dashboard_post(got->desk.client, &access, path, body, note, got);
	desk_run(&got->desk);
	desk_close(&got->desk);
	server_stop(server);
}

/* The whole request, to the byte. */
static void
check_request(const char *path, const char *body, const char *about_body)
{
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	post(OK_ANSWER("2", "OK"), path, body, &got, &server);
	scoped_free char *wanted = format(
	    "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic YW1hbGdhbTpzZWtyaXQ=\r\n"
	    "User-Agent: moolloy-workers/" MOOLLOY_VERSION "\r\nAccept: */*\r\n%s\r\n%s",
	    path, server.url + strlen("http://"), about_body, body ? body : "");
	assert_string_equal(text_string(&server.requests[0]), wanted);
	assert_int_equal(got.why.code, FAILURE_NONE);
	assert_string_equal(got.body, "OK");
}

static void
requests_are_as_the_contract_says(void **state)
{
	(void)state;
	check_request("/jobs/12/start", NULL, "Content-Length: 0\r\n");
	check_request("/workers/1/unregister", NULL, "Content-Length: 0\r\n");
	check_request("/workers/1/heartbeat", "{\"job_id\":null}",
	              "Content-Type: application/json\r\nContent-Length: 15\r\n");
	check_request("/jobs/1/finish", "{\"secret_key\":\"s\",\"error_details\":\"100%&x=[\"}",
	              "Content-Type: application/json\r\nContent-Length: 45\r\n");
}

static void
the_model_goes_up_as_the_form_it_wants(void **state)
{
	(void)state;
	scoped(got_done) struct got got = {0};
	scoped(server_done) struct server server;
	struct scripted script = {.bytes = "HTTP/1.1 303 See Other\r\nContent-Length: 0\r\n"
	                                   "Location: http://127.0.0.1/models/7\r\n\r\n"};
	char path[] = "/tmp/test-dashboard-XXXXXX";
	scoped_fd int fd = mkstemp(path);
	assert_true(write_all(fd, "BZh91AY", 7, NULL));
	server_start(&server, &script, 1);
	struct dashboard_access access = {.url = server.url};
	desk_open(&got.desk);
	dashboard_upload_model(got.desk.client, &access, "7", path, note, &got);
	desk_run(&got.desk);
	desk_close(&got.desk);
	server_stop(&server);
	unlink(path);
	assert_int_equal(got.why.code, FAILURE_NONE);
	assert_int_equal(server.asked, 1); /* the redirect is not followed */
	assert_true(
	    starts_with(text_string(&server.requests[0]), "POST /models/7/upload HTTP/1.1"));
	assert_true(request_has(&server, 0, "\r\nContent-Type: multipart/form-data; boundary="));
	assert_true(request_has(&server, 0,
	                        "name=\"file\"; filename=\"populated_model.tar.bz2\"\r\n"
	                        "Content-Type: application/x-bzip2\r\n\r\nBZh91AY\r\n--"));
	assert_false(request_has(&server, 0, "Authorization"));
	assert_false(request_has(&server, 0, "Expect"));
	assert_false(request_has(&server, 0, "Accept-Encoding"));
}

/* ---- answers ---- */

static void
check_answer(const char *bytes, enum failure_code wanted, bool forgot)
{
	scoped(got_done) struct got got;
	scoped(server_done) struct server server;
	post(bytes, "/workers/1/heartbeat", "{}", &got, &server);
	if (got.why.code != wanted)
		print_error("%.40s: %s\n", bytes, failure_name(got.why.code));
	assert_int_equal(got.why.code, wanted);
	assert_int_equal(got.forgot, forgot);
}

static void
answers_have_meanings(void **state)
{
	(void)state;
	check_answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 42\r\n\r\n"
	             "400 - Bad request: worker does not exist\r\n",
	             FAILURE_REJECTED, true);
	check_answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nwhat", FAILURE_REJECTED,
	             false);
	check_answer("HTTP/1.1 500 Oops\r\nContent-Length: 21\r\n\r\nworker does not exist",
	             FAILURE_SERVER, false);
	check_answer("HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/html\r\n"
	             "Content-Length: 30\r\n\r\n<h1>Internal Server Error</h1>",
	             FAILURE_SERVER, false);
	check_answer("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"Restricted "
	             "Area\"\r\nContent-Length: 15\r\n\r\nNot authorized\n",
	             FAILURE_UNAUTHORIZED, false);
	check_answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", FAILURE_FORBIDDEN,
	             false);
	check_answer("HTTP/1.1 404 Not Found\r\nContent-Length: 18\r\n\r\n<h1>Not Found</h1>",
	             FAILURE_NOT_FOUND, false);
	check_answer("HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n", FAILURE_CONFLICT, false);
	/* An address that leads elsewhere (http to https, a log-in page) did nothing with it. */
	check_answer("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
	             FAILURE_SERVER, false);
	check_answer("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf", FAILURE_NETWORK, false);
	check_answer("", FAILURE_NETWORK, false);
}

/* ---- bodies ---- */

static void
registering_names_the_worker(void **state)
{
	(void)state;
	scoped_free char *body = dashboard_register_body("host/1", "build");
	assert_string_equal(body, "{\"hostname\":\"host/1\",\"version\":\"" MOOLLOY_VERSION
	                          "\",\"kind\":\"build\"}");
}

static void
check_worker_id(const char *body, const char *wanted)
{
	scoped(http_answer_done) struct http_answer answer = {.status = 200};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_free char *id = NULL;
	text_add_string(&answer.body, body);
	bool good = dashboard_worker_id(&answer, &id, &why);
	if (good != (wanted != NULL))
		print_error("%s\n", body);
	assert_int_equal(good, wanted != NULL);
	if (wanted)
		assert_string_equal(id, wanted);
	else
		assert_int_equal(why.code, FAILURE_BAD_ANSWER);
	assert_null(strchr(why.message, '\n'));
}

static void
a_worker_id_is_a_number_or_a_harmless_string(void **state)
{
	(void)state;
	check_worker_id("{\"worker_id\":1}", "1");
	check_worker_id("{\"worker_id\":\"7\",\"more\":[]}", "7");
	check_worker_id("{\"worker_id\":9007199254740993}", "9007199254740993");
	check_worker_id("{\"worker_id\":\"a-b_C\"}", "a-b_C");
	check_worker_id("{\"worker_id\":null}", NULL);
	check_worker_id("{\"worker_id\":\"\"}", NULL);
	check_worker_id("{\"worker_id\":\"../jobs/1/finish?\"}", NULL);
	check_worker_id("{\"worker_id\":1.5}", NULL);
	check_worker_id("{\n\"worker\":\n1}", NULL);
	check_worker_id("[1]", NULL);
	check_worker_id("<html>\n<h1>Welcome</h1>\n", NULL);
	check_worker_id("", NULL);
	check_worker_id("{\"worker_id\":", NULL);
}

static void
check_id(const char *id, const char *wanted)
{
	scoped(js_drop) struct json_t *object = js_object();
	dashboard_set_id(object, "job_id", id);
	scoped_free char *text = js_text(object);
	assert_string_equal(text, wanted);
}

static void
ids_go_back_as_they_came(void **state)
{
	(void)state;
	check_id("12", "{\"job_id\":12}");
	check_id("0", "{\"job_id\":0}");
	check_id("7a", "{\"job_id\":\"7a\"}");
	check_id("007", "{\"job_id\":\"007\"}");
	check_id("", "{\"job_id\":\"\"}");
	check_id("123456789012345678901234567890",
	         "{\"job_id\":\"123456789012345678901234567890\"}");
	check_id(NULL, "{\"job_id\":null}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_are_as_the_contract_says),
	    cmocka_unit_test(the_model_goes_up_as_the_form_it_wants),
	    cmocka_unit_test(answers_have_meanings),
	    cmocka_unit_test(registering_names_the_worker),
	    cmocka_unit_test(a_worker_id_is_a_number_or_a_harmless_string),
	    cmocka_unit_test(ids_go_back_as_they_came),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
