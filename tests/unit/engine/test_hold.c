#include "engine/hold.h"
#include "unit_office.h"

#define LEASE 300 /* ms */

struct holding {
	struct office office;
	struct hold hold;
	size_t enough; /* requests until the end */
};

static void
add(struct holding *holding, enum outbox_kind kind)
{
	scoped(outbox_letter_done) struct outbox_letter letter = {.kind = kind,
	                                                          .job = copy_string("1"),
	                                                          .attempt = 1,
	                                                          .path = copy_string("/jobs/1"),
	                                                          .body = copy_string("{}"),
	                                                          .receipt = copy_string("00ff")};
	assert_true(outbox_add(holding->office.site.services.outbox, &letter, NULL));
}

/* A finish that waits, and the acknowledgement behind it, as after a restart. */
static void
open_holding(struct holding *holding, const struct scripted *script, size_t count)
{
	*holding = (struct holding){0};
	office_open(&holding->office, script, count, LEASE);
	hold_init(&holding->hold, &holding->office.site.services);
	add(holding, OUTBOX_FINISH);
	add(holding, OUTBOX_ACKNOWLEDGE);
	site_reopen(&holding->office.site);
}

static void
close_holding(struct holding *holding)
{
	hold_done(&holding->hold);
	office_close(&holding->office);
}

static int64_t
turn(void *data)
{
	struct holding *holding = data;
	hold_turn(&holding->hold, clock_ms());
	if (!holding->hold.name && holding->office.server.asked >= holding->enough)
		office_stop(&holding->office);
	return hold_due(&holding->hold);
}

static void
its_lease_is_extended_every_third(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = OK_ANSWER("2", "OK")}};
	struct holding holding;
	open_holding(&holding, script, 1);
	holding.enough = 3;
	int64_t began = clock_ms();
	office_run(&holding.office, turn, &holding);
	assert_true(clock_ms() - began >= LEASE / 3 * 2);
	office_shut(&holding.office);
	for (size_t i = 0; i < 3; i++) {
		expect_asked(&holding.office, i, "/queue/extend");
		assert_true(request_has(&holding.office.server, i, "\"receipt\":\"00ff\""));
	}
	close_holding(&holding);
}

static void
a_queue_that_is_away_is_asked_again(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("500 Internal Server Error")},
	                                         {.bytes = "", .then = THEN_RESET}};
	struct holding holding;
	open_holding(&holding, script, 2);
	holding.enough = 3;
	office_run(&holding.office, turn, &holding);
	assert_true(hold_due(&holding.hold) > 0);
	office_shut(&holding.office);
	close_holding(&holding);
}

/* Another's message, or one of a queue that hides for ever and refuses all the same. */
static void
what_the_queue_refuses_is_left_alone(void **state)
{
	(void)state;
	const char *const refusals[] = {ANSWER("409 Conflict"), ANSWER("400 Bad Request")};
	for (size_t i = 0; i < 2; i++) {
		const struct scripted script[] = {{.bytes = refusals[i]}};
		struct holding holding;
		open_holding(&holding, script, 1);
		holding.enough = 1;
		office_run(&holding.office, turn, &holding);
		assert_int_equal(hold_due(&holding.hold), -1);
		office_shut(&holding.office);
		close_holding(&holding);
	}
}

/* A fresh letter is given the time in which it usually arrives; a first one needs no message held.
 */
static void
nothing_is_held_without_need(void **state)
{
	(void)state;
	struct holding holding;
	open_holding(&holding, NULL, 0);
	struct outbox *outbox = holding.office.site.services.outbox;
	assert_true(outbox_drop(outbox, outbox_next(outbox, clock_ms()), NULL));
	assert_int_equal(hold_due(&holding.hold), -1);
	assert_true(outbox_drop(outbox, outbox_next(outbox, clock_ms()), NULL));
	int64_t now = clock_ms();
	add(&holding, OUTBOX_FINISH);
	add(&holding, OUTBOX_ACKNOWLEDGE);
	assert_true(hold_due(&holding.hold) > now);
	hold_turn(&holding.hold, now);
	assert_null(holding.hold.name);
	office_shut(&holding.office);
	close_holding(&holding);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(its_lease_is_extended_every_third),
	    unit_test_in_directory(a_queue_that_is_away_is_asked_again),
	    unit_test_in_directory(what_the_queue_refuses_is_left_alone),
	    unit_test_in_directory(nothing_is_held_without_need),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
