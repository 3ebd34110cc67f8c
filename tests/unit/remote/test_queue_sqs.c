/* SQS as a queue: what one queue is asked, and what its answers mean. */
#include "unit_sqs.h"

/* ---- receiving ---- */

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
	unsetenv("AWS_SECRET_ACCESS_KEY");
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
	assert_string_equal(queue_server(queue), "https://sqs.eu-west-1.amazonaws.com");
	queue_close(&queue);
	access.region = "cn-north-1";
	assert_true(queue_open("sqs", &access, &queue, NULL));
	assert_string_equal(queue_server(queue), "https://sqs.cn-north-1.amazonaws.com.cn");
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
	    cmocka_unit_test(errands_name_queue_and_receipt),
	    cmocka_unit_test(a_message_that_is_not_ours_any_more),
	    cmocka_unit_test(a_receipt_of_another_queue_is_refused),
	    cmocka_unit_test(what_suits_sqs),
	    cmocka_unit_test(closing_drops_what_is_under_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
