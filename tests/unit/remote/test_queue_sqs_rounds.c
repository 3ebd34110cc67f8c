/* SQS as a queue: several of them asked together, and the end of asking. */
#include "unit_sqs.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_look_in_order_and_then_waits_in_parallel),
	    cmocka_unit_test(a_look_ends_with_the_first_message),
	    cmocka_unit_test(a_look_without_an_answer_does_not_hold_the_others),
	    cmocka_unit_test(a_wait_without_an_answer_does_not_hold_the_next_round),
	    cmocka_unit_test(of_two_messages_the_lower_goes_back),
	    cmocka_unit_test(a_busy_queue_does_not_stop_the_other),
	    cmocka_unit_test(a_queue_that_does_not_exist_does),
	    cmocka_unit_test(a_wait_is_dropped_after_a_moment),
	    cmocka_unit_test(what_comes_in_that_moment_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
