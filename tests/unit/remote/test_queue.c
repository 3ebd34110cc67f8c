#include <stdio.h>

#include "outside/json.h"
#include "remote/queue.h"
#include "scripted.h"

#define RECEIPT  "00ff"
#define CONFLICT "HTTP/1.1 409 Conflict\r\nContent-Length: 29\r\n\r\n409 - Conflict: lease is gone"
#define NOTHING  "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"

/* A queue of a scripted dashboard, and what came of asking it. */
struct site {
	struct desk desk;
	struct server server;
	struct dashboard_access dashboard;
	struct strings names;
	struct queue *queue;
	int called;
	struct queue_message message;
	bool none; /* told that no message came */
	struct failure why;
};

static void
site_open(struct site *site, const struct scripted *script, size_t count)
{
	*site = (struct site){0};
	server_start(&site->server, script, count);
	desk_open(&site->desk);
	site->dashboard.url = site->server.url;
	strings_add(&site->names, "performance");
	strings_add(&site->names, "ci");
	struct queue_access access = {.client = site->desk.client,
	                              .dashboard = &site->dashboard,
	                              .names = &site->names,
	                              .worker = "host/1"};
	assert_true(queue_open("dashboard", &access, &site->queue, NULL));
}

/* Its requests can be looked at afterwards. */
static void
site_close(struct site *site)
{
	queue_close(&site->queue);
	desk_close(&site->desk);
	server_stop(&site->server);
}

static void
site_done(struct site *site)
{
	server_done(&site->server);
	strings_done(&site->names);
	queue_message_done(&site->message);
	failure_done(&site->why);
}

static void
note_message(void *data, struct queue_message *message, const struct failure *why)
{
	struct site *site = data;
	site->called++;
	site->none = !message && !why;
	if (message) {
		site->message = *message;
		*message = (struct queue_message)QUEUE_MESSAGE_INIT;
	}
	if (why)
		failure_copy(&site->why, why);
	desk_stop(&site->desk);
}

static void
note_done(void *data, const struct failure *why)
{
	struct site *site = data;
	site->called++;
	if (why)
		failure_copy(&site->why, why);
	desk_stop(&site->desk);
}

/* ---- receiving ---- */

static void
receive(struct site *site, const char *answer)
{
	struct scripted script = {.bytes = answer};
	site_open(site, &script, 1);
	queue_receive(site->queue, 20000, note_message, site);
	desk_run(&site->desk);
	site_close(site);
	assert_int_equal(site->called, 1);
}

static char *
answer_with(const char *body)
{
	return format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu"
	              "\r\n\r\n%s",
	              strlen(body), body);
}

static void
one_request_names_all_queues(void **state)
{
	(void)state;
	scoped(site_done) struct site site;
	scoped(js_drop) struct json_t *body = NULL;
	receive(&site, NOTHING);
	const char *sent = body_of(&site.server, 0);
	assert_true(starts_with(text_string(&site.server.requests[0]), "POST /queue/receive "));
	assert_true(request_has(&site.server, 0, "\r\nContent-Type: application/json\r\n"));
	assert_true(js_parse(sent, strlen(sent), &body, NULL));
	const char *poll = js_string(body, "poll");
	scoped_free char *wanted = format(
	    "{\"queues\":[\"performance\",\"ci\"],\"worker\":\"host/1\",\"poll\":\"%s\","
	    "\"wait_seconds\":20,\"lease_seconds\":120}",
	    poll);
	assert_string_equal(sent, wanted);
	assert_true(strlen(poll) >= 16);
	assert_true(site.none);
}

static void
a_message_comes_whole(void **state)
{
	(void)state;
	scoped(site_done) struct site site;
	scoped_free char *answer = answer_with(
	    "{\"message_id\":\"m-1\",\"receipt\":\"" RECEIPT "\",\"queue\":\"ci\","
	    "\"attempt\":3,\"handbacks\":1,\"body\":\"---\\n:version: 2\\n\"}");
	receive(&site, answer);
	assert_int_equal(site.why.code, FAILURE_NONE);
	assert_string_equal(site.message.body, "---\n:version: 2\n");
	assert_string_equal(site.message.id, "m-1");
	assert_string_equal(site.message.receipt, RECEIPT);
	assert_string_equal(site.message.queue, "ci");
	assert_int_equal(site.message.attempt, 3);
	assert_int_equal(site.message.handbacks, 1);
}

static void
check_bad_answer(const char *body)
{
	scoped(site_done) struct site site;
	scoped_free char *answer = answer_with(body);
	receive(&site, answer);
	if (site.why.code != FAILURE_BAD_ANSWER)
		print_error("%s\n", body);
	assert_int_equal(site.why.code, FAILURE_BAD_ANSWER);
	assert_null(site.message.body);
}

static void
what_is_no_message_is_a_bad_answer(void **state)
{
	(void)state;
	check_bad_answer("");
	check_bad_answer("<html>log in</html>");
	check_bad_answer("[]");
	check_bad_answer("{}");
	check_bad_answer("{\"message_id\":\"m\",\"receipt\":\"r\",\"queue\":\"ci\",\"attempt\":1}");
	check_bad_answer("{\"message_id\":\"m\",\"receipt\":7,\"attempt\":1,\"body\":\"b\"}");
	check_bad_answer("{\"message_id\":\"m\",\"receipt\":\"r\",\"attempt\":0,\"body\":\"b\"}");
	check_bad_answer("{\"message_id\":\"m\",\"receipt\":\"r\",\"attempt\":4294967296,"
	                 "\"body\":\"b\"}");
	check_bad_answer(
	    "{\"message_id\":\"m\",\"receipt\":\"r\",\"attempt\":\"1\",\"body\":\"b\"}");
}

static void
check_handbacks(const char *handbacks, int wanted)
{
	scoped(site_done) struct site site;
	scoped_free char *body = format("{\"message_id\":\"m\",\"receipt\":\"r\",\"attempt\":2,"
	                                "\"handbacks\":%s,\"body\":\"b\"}",
	                                handbacks);
	scoped_free char *answer = answer_with(body);
	receive(&site, answer);
	assert_int_equal(site.message.handbacks, wanted);
}

static void
handbacks_are_fewer_than_attempts(void **state)
{
	(void)state;
	check_handbacks("0", 0);
	check_handbacks("1", 1);
	check_handbacks("2", 1);
	check_handbacks("-1", 0);
	check_handbacks("9223372036854775807", 1);
	check_handbacks("null", 0);
}

static void
check_receive_fails(const char *answer, enum failure_code wanted)
{
	scoped(site_done) struct site site;
	receive(&site, answer);
	assert_int_equal(site.why.code, wanted);
	assert_false(site.none);
}

static void
a_failed_receive_says_why(void **state)
{
	(void)state;
	check_receive_fails("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
	                    FAILURE_REJECTED);
	check_receive_fails("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", FAILURE_UNAUTHORIZED);
	check_receive_fails("HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n", FAILURE_SERVER);
	check_receive_fails("", FAILURE_NETWORK);
}

/* By then the server has read all that was sent before. */
static void
ask_once_more(void *data, struct queue_message *message, const struct failure *why)
{
	(void)message, (void)why;
	struct site *site = data;
	queue_release(site->queue, RECEIPT, 0, true, note_done, site);
}

static void
a_wait_is_ended_by_its_name(void **state)
{
	(void)state;
	static const struct scripted script = {.bytes = NOTHING};
	scoped(site_done) struct site site;
	scoped(js_drop) struct json_t *received = NULL;
	site_open(&site, &script, 1);
	queue_stop_receiving(site.queue); /* nothing under way: nothing happens */
	queue_receive(site.queue, 20000, ask_once_more, &site);
	queue_stop_receiving(site.queue);
	desk_run(&site.desk);
	site_close(&site);
	assert_int_equal(site.server.asked, 3);
	/* Which of two connections is accepted first is the kernel's affair. */
	size_t wait = request_has(&site.server, 0, "POST /queue/receive ") ? 0 : 1;
	const char *body = body_of(&site.server, wait);
	assert_true(js_parse(body, strlen(body), &received, NULL));
	scoped_free char *wanted = format("{\"poll\":\"%s\"}", js_string(received, "poll"));
	assert_true(request_has(&site.server, 1 - wait, "POST /queue/cancel "));
	assert_string_equal(body_of(&site.server, 1 - wait), wanted);
}

/* ---- errands ---- */

enum errand { EXTEND, ACKNOWLEDGE, RELEASE };

static void
run(struct site *site, enum errand errand, const char *answer)
{
	struct scripted script = {.bytes = answer};
	site_open(site, &script, 1);
	if (errand == EXTEND)
		queue_extend(site->queue, RECEIPT, note_done, site);
	else if (errand == ACKNOWLEDGE)
		queue_acknowledge(site->queue, RECEIPT, note_done, site);
	else
		queue_release(site->queue, RECEIPT, 30500, true, note_done, site);
	desk_run(&site->desk);
	site_close(site);
	assert_int_equal(site->called, 1);
}

static void
check_errand(enum errand errand, const char *line, const char *body)
{
	scoped(site_done) struct site site;
	run(&site, errand, OK_ANSWER("2", "OK"));
	assert_int_equal(site.why.code, FAILURE_NONE);
	assert_true(starts_with(text_string(&site.server.requests[0]), line));
	assert_string_equal(body_of(&site.server, 0), body);
}

static void
errands_name_the_receipt(void **state)
{
	(void)state;
	check_errand(EXTEND, "POST /queue/extend ",
	             "{\"receipt\":\"" RECEIPT "\",\"lease_seconds\":120}");
	check_errand(ACKNOWLEDGE, "POST /queue/acknowledge ", "{\"receipt\":\"" RECEIPT "\"}");
	check_errand(RELEASE, "POST /queue/release ",
	             "{\"receipt\":\"" RECEIPT "\",\"delay_seconds\":30.5,\"handback\":true}");
}

static void
check_errand_fails(const char *answer, enum failure_code wanted)
{
	scoped(site_done) struct site site;
	run(&site, EXTEND, answer);
	assert_int_equal(site.why.code, wanted);
}

static void
a_lease_is_lost_only_if_the_queue_says_so(void **state)
{
	(void)state;
	check_errand_fails(CONFLICT, FAILURE_LEASE_LOST);
	check_errand_fails("", FAILURE_NETWORK);
	check_errand_fails("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", FAILURE_SERVER);
	check_errand_fails("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
	                   FAILURE_NOT_FOUND);
	check_errand_fails("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
	                   FAILURE_SERVER);
}

/* ---- the rest ---- */

static void
a_lease_is_as_long_as_it_should_be(void **state)
{
	(void)state;
	static const struct scripted script = {.bytes = OK_ANSWER("2", "OK")};
	scoped(site_done) struct site site;
	struct queue *brief;
	site_open(&site, &script, 1);
	assert_int_equal(queue_lease_ms(site.queue), 120000);
	struct queue_access access = {.client = site.desk.client,
	                              .dashboard = &site.dashboard,
	                              .names = &site.names,
	                              .worker = "host/1",
	                              .lease_ms = 2000};
	assert_true(queue_open("dashboard", &access, &brief, NULL));
	assert_int_equal(queue_lease_ms(brief), 2000);
	queue_extend(brief, RECEIPT, note_done, &site);
	desk_run(&site.desk);
	queue_close(&brief);
	site_close(&site);
	assert_string_equal(body_of(&site.server, 0),
	                    "{\"receipt\":\"" RECEIPT "\",\"lease_seconds\":2}");
}

static void
closing_drops_what_is_under_way(void **state)
{
	(void)state;
	static const struct scripted script = {.bytes = "", .then = THEN_HOLD};
	scoped(site_done) struct site site;
	site_open(&site, &script, 1);
	queue_receive(site.queue, 20000, note_message, &site);
	queue_extend(site.queue, RECEIPT, note_done, &site);
	queue_acknowledge(site.queue, RECEIPT, note_done, &site);
	queue_stop_receiving(site.queue);
	site_close(&site);
	assert_null(site.queue);
	assert_int_equal(site.called, 0);
}

static void
an_unknown_type_is_refused(void **state)
{
	(void)state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct queue_access access = {0};
	struct queue *queue = NULL;
	assert_false(queue_open("carrier-pigeon", &access, &queue, &why));
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	assert_null(queue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_request_names_all_queues),
	    cmocka_unit_test(a_message_comes_whole),
	    cmocka_unit_test(what_is_no_message_is_a_bad_answer),
	    cmocka_unit_test(handbacks_are_fewer_than_attempts),
	    cmocka_unit_test(a_failed_receive_says_why),
	    cmocka_unit_test(a_wait_is_ended_by_its_name),
	    cmocka_unit_test(errands_name_the_receipt),
	    cmocka_unit_test(a_lease_is_lost_only_if_the_queue_says_so),
	    cmocka_unit_test(a_lease_is_as_long_as_it_should_be),
	    cmocka_unit_test(closing_drops_what_is_under_way),
	    cmocka_unit_test(an_unknown_type_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
