#include <stdio.h>

#include "outside/json.h"
#include "remote/credentials.h"
#include "remote/queue.h"
#include "scripted.h"

#define URL     "http://sqs.local/0/ci"
#define HIGH    "http://sqs.local/0/performance"
#define RECEIPT URL " handle=="
#define BODY    "---\\n:version: 2\\n"
#define MESSAGE(HANDLE, MORE)                                                                      \
	"{\"Messages\":[{\"MessageId\":\"m-1\",\"ReceiptHandle\":\"" HANDLE "\",\"Body\":\"" BODY  \
	"\"" MORE "}]}"
#define COUNTED ",\"Attributes\":{\"ApproximateReceiveCount\":\"3\"}"

/* A queue of a scripted SQS, and what came of asking it. */
struct site {
	struct desk desk;
	struct server server;
	struct aws_settings settings;
	struct credentials *credentials;
	struct strings names;
	struct queue *queue;
	struct loop_source *timer;
	int called;
	struct queue_message message;
	bool none; /* told that no message came */
	struct failure why;
};

/* names: of the queues, the second may be NULL. */
static void
site_open(struct site *site, const char *first, const char *second, const struct scripted *script,
          size_t count)
{
	*site = (struct site){0};
	server_start(&site->server, script, count);
	desk_open(&site->desk);
	site->settings.access_key.value = copy_string("AKID");
	site->settings.secret_key.value = copy_string("secret");
	site->credentials = credentials_new(&site->settings, site->desk.client);
	strings_add(&site->names, first);
	if (second)
		strings_add(&site->names, second);
	struct queue_access access = {.loop = site->desk.loop,
	                              .client = site->desk.client,
	                              .names = &site->names,
	                              .credentials = site->credentials,
	                              .endpoint = site->server.url,
	                              .region = "eu-west-1"};
	assert_true(queue_open("sqs", &access, &site->queue, NULL));
}

/* Its requests can be looked at afterwards. */
static void
site_close(struct site *site)
{
	queue_close(&site->queue);
	credentials_free(&site->credentials);
	loop_source_drop(&site->timer);
	desk_close(&site->desk);
	server_stop(&site->server);
}

static void
site_done(struct site *site)
{
	server_done(&site->server);
	strings_done(&site->names);
	free(site->settings.access_key.value);
	free(site->settings.secret_key.value);
	queue_message_done(&site->message);
	failure_done(&site->why);
}

static void
keep_message(struct site *site, struct queue_message *message, const struct failure *why)
{
	site->called++;
	site->none = !message && !why;
	if (message) {
		site->message = *message;
		*message = (struct queue_message)QUEUE_MESSAGE_INIT;
	}
	if (why)
		failure_copy(&site->why, why);
}

static void
note_message(void *data, struct queue_message *message, const struct failure *why)
{
	struct site *site = data;
	keep_message(site, message, why);
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

/* An answer with that body, JSON. */
static char *
answer_of(const char *status, const char *body)
{
	return format("HTTP/1.1 %s\r\nContent-Type: application/x-amz-json-1.0\r\n"
	              "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
	              status, strlen(body), body);
}

static void
check_request(const struct site *site, size_t which, const char *action, const char *body)
{
	scoped_free char *target = format("\r\nX-Amz-Target: AmazonSQS.%s\r\n", action);
	assert_true(starts_with(text_string(&site->server.requests[which]), "POST / HTTP/1.1\r\n"));
	assert_true(request_has(&site->server, which, target));
	assert_true(
	    request_has(&site->server, which, "\r\nContent-Type: application/x-amz-json-1.0\r\n"));
	assert_true(request_has(&site->server, which, "Credential=AKID/"));
	assert_true(request_has(&site->server, which, "/eu-west-1/sqs/aws4_request"));
	assert_string_equal(body_of(&site->server, which), body);
}

#define RECEIVE(QUEUE, WAIT)                                                                       \
	"{\"QueueUrl\":\"" QUEUE "\",\"MaxNumberOfMessages\":1,\"WaitTimeSeconds\":" WAIT          \
	",\"VisibilityTimeout\":30,\"AttributeNames\":[\"ApproximateReceiveCount\"]}"

#define ABOUT "{\"QueueUrl\":\"" URL "\",\"ReceiptHandle\":\"handle==\""

/* ---- receiving ---- */

static void
receive_from(struct site *site, const char *first, const char *second,
             const struct scripted *script, size_t count)
{
	site_open(site, first, second, script, count);
	queue_receive(site->queue, 20000, note_message, site);
	desk_run(&site->desk);
	site_close(site);
	assert_int_equal(site->called, 1);
}

static void
receive(struct site *site, const char *status, const char *body)
{
	scoped_free char *answer = answer_of(status, body);
	struct scripted script = {.bytes = answer};
	receive_from(site, URL, NULL, &script, 1);
}

#define MD5 ",\"MD5OfBody\":\"1c90f6d3796d0ffb1a7dcfe56937ed10\""

static void
a_message_comes_whole(void **state)
{
	(void)state;
	scoped(site_done) struct site site;
	receive(&site, "200 OK", MESSAGE("handle==", MD5 COUNTED));
	assert_int_equal(site.why.code, FAILURE_NONE);
	assert_string_equal(site.message.body, "---\n:version: 2\n");
	assert_string_equal(site.message.id, "m-1");
	assert_string_equal(site.message.receipt, RECEIPT);
	assert_string_equal(site.message.queue, URL);
	assert_int_equal(site.message.attempt, 3);
	assert_int_equal(site.server.asked, 1);
	check_request(&site, 0, "ReceiveMessage", RECEIVE(URL, "20"));
}

static void
an_address_is_asked_for_once(void **state)
{
	(void)state;
	scoped(site_done) struct site site;
	scoped_free char *address = answer_of("200 OK", "{\"QueueUrl\":\"" URL "\"}");
	scoped_free char *message = answer_of("200 OK", MESSAGE("handle==", ""));
	const struct scripted script[] = {{.bytes = address}, {.bytes = message}};
	receive_from(&site, "ci", NULL, script, 2);
	assert_int_equal(site.server.asked, 2);
	check_request(&site, 0, "GetQueueUrl", "{\"QueueName\":\"ci\"}");
	check_request(&site, 1, "ReceiveMessage", RECEIVE(URL, "20"));
	assert_string_equal(site.message.queue, "ci");
	assert_int_equal(site.message.attempt, 1);
}

static void
what_is_no_message_is_a_bad_answer(void **state)
{
	(void)state;
	static const char *const bodies[] = {
	    "<html>",
	    "{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"h\"}]}",
	    "{\"Messages\":[{\"MessageId\":\"m\",\"Body\":\"b\"}]}",
	    "{\"Messages\":[{\"ReceiptHandle\":\"h\",\"Body\":\"b\"}]}",
	    "{\"Messages\":[{\"MessageId\":7,\"ReceiptHandle\":\"h\",\"Body\":\"b\"}]}",
	    "{\"Messages\":[[]]}",
	    MESSAGE("h", ",\"MD5OfBody\":\"d41d8cd98f00b204e9800998ecf8427e\""),
	};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		scoped(site_done) struct site site;
		receive(&site, "200 OK", bodies[i]);
		assert_int_equal(site.why.code, FAILURE_BAD_ANSWER);
		assert_null(site.message.body);
	}
}

static void
an_odd_count_is_no_reason_to_lose_a_message(void **state)
{
	(void)state;
	static const char *const counts[] = {"0", "-1", "many", ""};
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		scoped(site_done) struct site site;
		scoped_free char *body = format(
		    "{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"h\",\"Body\":\"b\","
		    "\"Attributes\":{\"ApproximateReceiveCount\":\"%s\"}}]}",
		    counts[i]);
		receive(&site, "200 OK", body);
		assert_int_equal(site.message.attempt, 1);
	}
}

#define ERROR(CODE, TEXT) "{\"__type\":\"com.amazonaws.sqs#" CODE "\",\"message\":\"" TEXT "\"}"

static void
a_failed_receive_says_why(void **state)
{
	(void)state;
	static const struct {
		const char *status, *body;
		enum failure_code code;
	} rows[] = {
	    {"400 Bad Request", ERROR("QueueDoesNotExist", "no such queue"), FAILURE_NOT_FOUND},
	    {"403 Forbidden", ERROR("AccessDeniedException", "no"), FAILURE_ACCESS_DENIED},
	    {"400 Bad Request", ERROR("ThrottlingException", "slower"), FAILURE_SERVER},
	    {"503 Slow Down", "busy", FAILURE_SERVER},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		scoped(site_done) struct site site;
		receive(&site, rows[i].status, rows[i].body);
		assert_int_equal(site.why.code, rows[i].code);
		assert_non_null(strstr(site.why.message, "ReceiveMessage ci at http://127.0.0.1"));
		assert_false(site.none);
		assert_int_equal(site.server.asked, 1);
	}
}

static void
without_keys_nothing_is_asked(void **state)
{
	(void)state;
	static const struct scripted script = {.bytes = OK_ANSWER("2", "{}")};
	scoped(site_done) struct site site;
	site_open(&site, URL, HIGH, &script, 1);
	free_pointer(&site.settings.secret_key.value);
	queue_receive(site.queue, 20000, note_message, &site);
	desk_run(&site.desk);
	site_close(&site);
	assert_int_equal(site.why.code, FAILURE_CREDENTIALS);
	assert_int_equal(site.server.asked, 0);
}

static void
expired_keys_are_renewed_once(void **state)
{
	(void)state;
	scoped_free char *expired = answer_of("400 Bad Request",
	                                      ERROR("ExpiredTokenException", "too old"));
	scoped_free char *message = answer_of("200 OK", MESSAGE("handle==", ""));
	const struct scripted once[] = {{.bytes = expired}, {.bytes = message}};
	const struct scripted always = {.bytes = expired};
	scoped(site_done) struct site good, bad;
	receive_from(&good, URL, NULL, once, 2);
	assert_string_equal(good.message.id, "m-1");
	assert_int_equal(good.server.asked, 2);
	receive_from(&bad, URL, NULL, &always, 1);
	assert_int_equal(bad.why.code, FAILURE_CREDENTIALS);
	assert_int_equal(bad.server.asked, 2);
}

/* ---- several queues ---- */

static void
a_look_in_order_and_then_waits_in_parallel(void **state)
{
	(void)state;
	scoped_free char *nothing = answer_of("200 OK", "{}");
	scoped_free char *message = answer_of("200 OK", MESSAGE("handle==", ""));
	const struct scripted script[] = {{.bytes = nothing},
	                                  {.bytes = nothing},
	                                  {.bytes = "", .then = THEN_HOLD},
	                                  {.bytes = message}};
	scoped(site_done) struct site site;
	receive_from(&site, HIGH, URL, script, 4);
	check_request(&site, 0, "ReceiveMessage", RECEIVE(HIGH, "0"));
	check_request(&site, 1, "ReceiveMessage", RECEIVE(URL, "0"));
	/* Which of two connections is accepted first is the kernel's affair. */
	size_t high = strstr(body_of(&site.server, 2), HIGH) ? 2 : 3;
	check_request(&site, high, "ReceiveMessage", RECEIVE(HIGH, "20"));
	check_request(&site, 5 - high, "ReceiveMessage", RECEIVE(URL, "20"));
	assert_string_equal(site.message.id, "m-1");
}

static void
a_look_without_an_answer_does_not_hold_the_others(void **state)
{
	(void)state;
	scoped_free char *message = answer_of("200 OK", MESSAGE("handle==", ""));
	const struct scripted script[] = {{.bytes = "", .then = THEN_HOLD}, {.bytes = message}};
	scoped(site_done) struct site site;
	receive_from(&site, HIGH, URL, script, 2);
	assert_int_equal(site.why.code, FAILURE_NONE);
	check_request(&site, 0, "ReceiveMessage", RECEIVE(HIGH, "0"));
	check_request(&site, 1, "ReceiveMessage", RECEIVE(URL, "0"));
	assert_string_equal(site.message.queue, URL);
}

/* The first round brings nothing, the second one the message. */
static void
note_second_round(void *data, struct queue_message *message, const struct failure *why)
{
	struct site *site = data;
	if (site->called == 0) {
		keep_message(site, message, why);
		assert_true(site->none);
		queue_receive(site->queue, 20000, note_second_round, site);
	} else {
		note_message(site, message, why);
	}
}

static void
a_wait_without_an_answer_does_not_hold_the_next_round(void **state)
{
	(void)state;
	scoped_free char *nothing = answer_of("200 OK", "{}");
	scoped_free char *message = answer_of("200 OK", MESSAGE("handle==", ""));
	const struct scripted script[] = {{.bytes = "", .then = THEN_HOLD},
	                                  {.bytes = nothing},
	                                  {.bytes = nothing},
	                                  {.bytes = message}};
	scoped(site_done) struct site site;
	site_open(&site, HIGH, URL, script, 4);
	queue_receive(site.queue, 1000, note_second_round, &site);
	desk_run(&site.desk);
	site_close(&site);
	assert_int_equal(site.called, 2);
	assert_string_equal(site.message.queue, URL);
}

static void
a_look_ends_with_the_first_message(void **state)
{
	(void)state;
	scoped_free char *message = answer_of("200 OK", MESSAGE("handle==", ""));
	const struct scripted script = {.bytes = message};
	scoped(site_done) struct site site;
	receive_from(&site, HIGH, URL, &script, 1);
	assert_int_equal(site.server.asked, 1);
	assert_string_equal(site.message.queue, HIGH);
}

/* Answers both waits at once, from within the loop, so that both come in one turn. */
static void
answer_both(void *data)
{
	struct site *site = data;
	scoped_free char *message = answer_of("200 OK", MESSAGE("handle==", ""));
	if (site->server.holding < 2)
		loop_timer_at(site->timer, clock_ms() + 1);
	for (size_t i = 0; i < 2 && site->server.holding == 2; i++)
		assert_true(send_bytes(site->server.held[i], message, strlen(message), 0));
}

static void
acknowledge_again(void *data, const struct failure *why)
{
	struct site *site = data;
	assert_null(why);
	queue_acknowledge(site->queue, site->message.receipt, note_done, site);
}

/* Goes on until what was started along with it has been served too. */
static void
note_message_and_go_on(void *data, struct queue_message *message, const struct failure *why)
{
	struct site *site = data;
	keep_message(site, message, why);
	queue_acknowledge(site->queue, site->message.receipt, acknowledge_again, site);
}

static void
of_two_messages_the_lower_goes_back(void **state)
{
	(void)state;
	scoped_free char *nothing = answer_of("200 OK", "{}");
	const struct scripted script[] = {{.bytes = nothing},
	                                  {.bytes = nothing},
	                                  {.bytes = "", .then = THEN_HOLD},
	                                  {.bytes = "", .then = THEN_HOLD},
	                                  {.bytes = nothing}};
	scoped(site_done) struct site site;
	size_t given_back = 0;
	site_open(&site, HIGH, URL, script, 5);
	site.timer = loop_timer(site.desk.loop, answer_both, &site);
	loop_timer_at(site.timer, clock_ms());
	queue_receive(site.queue, 20000, note_message_and_go_on, &site);
	desk_run(&site.desk);
	site_close(&site);
	assert_string_equal(site.message.queue, HIGH);
	for (size_t i = 4; i < site.server.asked; i++)
		given_back += strings_equal(body_of(&site.server, i),
		                            ABOUT ",\"VisibilityTimeout\":0}");
	assert_int_equal(given_back, 1);
}

static void
a_busy_queue_does_not_stop_the_other(void **state)
{
	(void)state;
	scoped_free char *busy = answer_of("400 Bad Request", ERROR("ThrottlingException", "no"));
	scoped_free char *message = answer_of("200 OK", MESSAGE("handle==", ""));
	const struct scripted script[] = {{.bytes = busy}, {.bytes = message}};
	scoped(site_done) struct site site;
	receive_from(&site, HIGH, URL, script, 2);
	assert_int_equal(site.why.code, FAILURE_NONE);
	assert_string_equal(site.message.queue, URL);
}

static void
a_queue_that_does_not_exist_does(void **state)
{
	(void)state;
	scoped_free char *error = answer_of("400 Bad Request", ERROR("QueueDoesNotExist", "no"));
	scoped_free char *nothing = answer_of("200 OK", "{}");
	const struct scripted script[] = {{.bytes = nothing}, {.bytes = error}, {.bytes = nothing}};
	scoped(site_done) struct site site;
	receive_from(&site, HIGH, URL, script, 3);
	assert_int_equal(site.why.code, FAILURE_NOT_FOUND);
	assert_int_equal(site.server.asked, 2);
}

/* ---- stopping ---- */

static void
a_wait_is_dropped_after_a_moment(void **state)
{
	(void)state;
	static const struct scripted script = {.bytes = "", .then = THEN_HOLD};
	scoped(site_done) struct site site;
	site_open(&site, URL, NULL, &script, 1);
	queue_stop_receiving(site.queue); /* nothing under way: nothing happens */
	queue_receive(site.queue, 20000, note_message, &site);
	queue_stop_receiving(site.queue);
	desk_run(&site.desk);
	site_close(&site);
	assert_true(site.none);
	assert_int_equal(site.called, 1);
}

static void
stop_once_asked(void *data)
{
	struct site *site = data;
	if (site->server.asked == 0)
		loop_timer_at(site->timer, clock_ms() + 1);
	else
		queue_stop_receiving(site->queue);
}

static void
what_comes_in_that_moment_is_told(void **state)
{
	(void)state;
	scoped_free char *message = answer_of("200 OK", MESSAGE("handle==", ""));
	const struct scripted script = {.bytes = message};
	scoped(site_done) struct site site;
	site_open(&site, URL, NULL, &script, 1);
	site.timer = loop_timer(site.desk.loop, stop_once_asked, &site);
	loop_timer_at(site.timer, clock_ms());
	queue_receive(site.queue, 20000, note_message, &site);
	desk_run(&site.desk);
	site_close(&site);
	assert_string_equal(site.message.id, "m-1");
}

/* ---- errands ---- */

enum errand { EXTEND, ACKNOWLEDGE, RELEASE };

static void
run(struct site *site, enum errand errand, const char *receipt, const char *answer)
{
	struct scripted script = {.bytes = answer};
	site_open(site, URL, NULL, &script, 1);
	if (errand == EXTEND)
		queue_extend(site->queue, receipt, note_done, site);
	else if (errand == ACKNOWLEDGE)
		queue_acknowledge(site->queue, receipt, note_done, site);
	else
		queue_release(site->queue, receipt, 30500, true, note_done, site);
	desk_run(&site->desk);
	site_close(site);
	assert_int_equal(site->called, 1);
}

static void
errands_name_queue_and_receipt(void **state)
{
	(void)state;
	static const struct {
		enum errand errand;
		const char *action, *body;
	} rows[] = {
	    {EXTEND, "ChangeMessageVisibility", ABOUT ",\"VisibilityTimeout\":3600}"},
	    {ACKNOWLEDGE, "DeleteMessage", ABOUT "}"},
	    {RELEASE, "ChangeMessageVisibility", ABOUT ",\"VisibilityTimeout\":31}"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		scoped(site_done) struct site site;
		run(&site, rows[i].errand, RECEIPT, OK_ANSWER("0", ""));
		assert_int_equal(site.why.code, FAILURE_NONE);
		check_request(&site, 0, rows[i].action, rows[i].body);
	}
}

static void
check_errand_ends(enum errand errand, const char *status, const char *body,
                  enum failure_code wanted)
{
	scoped(site_done) struct site site;
	scoped_free char *answer = answer_of(status, body);
	run(&site, errand, RECEIPT, answer);
	assert_int_equal(site.why.code, wanted);
}

/* What the API Reference names, and what AWS says instead. */
static void
a_message_that_is_not_ours_any_more(void **state)
{
	(void)state;
	static const char *const bodies[] = {
	    ERROR("MessageNotInflight", ""),
	    ERROR("ReceiptHandleIsInvalid", "The input receipt handle is invalid."),
	    ERROR("InvalidParameterValue",
	          "Value x for parameter ReceiptHandle is invalid. Reason: Message does not exist "
	          "or is not available for visibility timeout change."),
	};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		const char *status = "400 Bad Request";
		check_errand_ends(EXTEND, status, bodies[i], FAILURE_LEASE_LOST);
		check_errand_ends(RELEASE, status, bodies[i], FAILURE_NONE);
		check_errand_ends(ACKNOWLEDGE, status, bodies[i], FAILURE_NONE);
	}
	check_errand_ends(RELEASE, "400 Bad Request", ERROR("ThrottlingException", ""),
	                  FAILURE_SERVER);
}

static void
a_receipt_of_another_queue_is_refused(void **state)
{
	(void)state;
	static const struct scripted script = {.bytes = OK_ANSWER("0", "")};
	scoped(site_done) struct site site;
	site_open(&site, URL, NULL, &script, 1);
	queue_acknowledge(site.queue, "00ff", note_done, &site);
	site_close(&site);
	assert_int_equal(site.called, 1);
	assert_int_equal(site.why.code, FAILURE_REJECTED);
	assert_int_equal(site.server.asked, 0);
}

/* ---- the rest ---- */

static void
what_suits_sqs(void **state)
{
	(void)state;
	struct strings names = STRINGS_INIT;
	struct queue *queue;
	scoped(site_done) struct site site;
	static const struct scripted script = {.bytes = OK_ANSWER("0", "")};
	site_open(&site, URL, NULL, &script, 1);
	assert_int_equal(queue_lease_ms(site.queue), 3600 * 1000);
	assert_int_equal(queue_unclaimed_ms(site.queue), 30 * 1000);
	assert_int_equal(queue_hide_limit_ms(site.queue), 690 * 60 * 1000);
	struct queue_access access = {.loop = site.desk.loop,
	                              .client = site.desk.client,
	                              .names = &names,
	                              .credentials = site.credentials,
	                              .region = "eu-west-1",
	                              .lease_ms = 2000,
	                              .hide_limit_ms = 5000};
	assert_true(queue_open("sqs", &access, &queue, NULL));
	assert_int_equal(queue_lease_ms(queue), 2000);
	assert_int_equal(queue_unclaimed_ms(queue), 2000);
	assert_int_equal(queue_hide_limit_ms(queue), 5000);
	queue_close(&queue);
	site_close(&site);
}

static void
closing_drops_what_is_under_way(void **state)
{
	(void)state;
	static const struct scripted script = {.bytes = "", .then = THEN_HOLD};
	scoped(site_done) struct site site;
	site_open(&site, URL, HIGH, &script, 1);
	queue_receive(site.queue, 20000, note_message, &site);
	queue_extend(site.queue, RECEIPT, note_done, &site);
	queue_acknowledge(site.queue, RECEIPT, note_done, &site);
	queue_stop_receiving(site.queue);
	site_close(&site);
	assert_int_equal(site.called, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_message_comes_whole),
	    cmocka_unit_test(an_address_is_asked_for_once),
	    cmocka_unit_test(what_is_no_message_is_a_bad_answer),
	    cmocka_unit_test(an_odd_count_is_no_reason_to_lose_a_message),
	    cmocka_unit_test(a_failed_receive_says_why),
	    cmocka_unit_test(without_keys_nothing_is_asked),
	    cmocka_unit_test(expired_keys_are_renewed_once),
	    cmocka_unit_test(a_look_in_order_and_then_waits_in_parallel),
	    cmocka_unit_test(a_look_ends_with_the_first_message),
	    cmocka_unit_test(a_look_without_an_answer_does_not_hold_the_others),
	    cmocka_unit_test(a_wait_without_an_answer_does_not_hold_the_next_round),
	    cmocka_unit_test(of_two_messages_the_lower_goes_back),
	    cmocka_unit_test(a_busy_queue_does_not_stop_the_other),
	    cmocka_unit_test(a_queue_that_does_not_exist_does),
	    cmocka_unit_test(a_wait_is_dropped_after_a_moment),
	    cmocka_unit_test(what_comes_in_that_moment_is_told),
	    cmocka_unit_test(errands_name_queue_and_receipt),
	    cmocka_unit_test(a_message_that_is_not_ours_any_more),
	    cmocka_unit_test(a_receipt_of_another_queue_is_refused),
	    cmocka_unit_test(what_suits_sqs),
	    cmocka_unit_test(closing_drops_what_is_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
