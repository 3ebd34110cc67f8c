#include "engine/lease.h"
#include "unit_office.h"

#define LEASE 300 /* ms */

struct keeping {
	struct office office;
	struct lease lease;
	size_t enough; /* requests until the end */
};

static void
open_keeping(struct keeping *keeping, const struct scripted *script, size_t count)
{
	*keeping = (struct keeping){0};
	office_open(&keeping->office, script, count, LEASE);
	office_employ(&keeping->office, BUILD);
	lease_init(&keeping->lease, &keeping->office.site.services, &keeping->office.slot);
}

static void
close_keeping(struct keeping *keeping)
{
	lease_done(&keeping->lease);
	office_close(&keeping->office);
}

static int64_t
turn(void *data)
{
	struct keeping *keeping = data;
	lease_turn(&keeping->lease, clock_ms());
	if (!keeping->lease.under_way && keeping->office.server.asked >= keeping->enough)
		office_stop(&keeping->office);
	return lease_due(&keeping->lease);
}

static void
it_is_extended_every_third(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = OK_ANSWER("2", "OK")}};
	struct keeping keeping;
	open_keeping(&keeping, script, 1);
	keeping.enough = 3;
	int64_t began = clock_ms();
	office_run(&keeping.office, turn, &keeping);
	assert_true(clock_ms() - began >= LEASE);
	assert_int_equal(keeping.office.slot.state, SLOT_RUNNING);
	assert_int_equal(office_dismiss(&keeping.office), 0);
	office_shut(&keeping.office);
	for (size_t i = 0; i < 3; i++) {
		expect_asked(&keeping.office, i, "/queue/extend");
		assert_true(request_has(&keeping.office.server, i, "\"receipt\":\"receipt\""));
	}
	close_keeping(&keeping);
}

static void
one_that_is_gone_stops_the_job(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("409 Conflict")}};
	struct keeping keeping;
	open_keeping(&keeping, script, 1);
	keeping.enough = 1;
	office_run(&keeping.office, turn, &keeping);
	assert_int_equal(keeping.office.slot.state, SLOT_STOPPING);
	assert_int_equal(keeping.office.slot.reason, STOP_LEASE_LOST);
	while (waitpid(keeping.office.slot.pid, NULL, 0) < 0)
		;
	office_shut(&keeping.office);
	close_keeping(&keeping);
}

/* Whatever else the queue says, or does not say. */
static void
a_queue_that_is_away_stops_nothing(void **state)
{
	(void)state;
	static const struct scripted script[] = {
	    {.bytes = ANSWER("500 Internal Server Error")},
	    {.bytes = ANSWER("401 Unauthorized")},
	    {.bytes = "", .then = THEN_RESET},
	    {.bytes = OK_ANSWER("2", "OK")},
	};
	struct keeping keeping;
	open_keeping(&keeping, script, 4);
	keeping.lease.backoff = (struct backoff){.first = 10, .cap = 10};
	keeping.enough = 5;
	office_run(&keeping.office, turn, &keeping);
	assert_int_equal(keeping.office.slot.state, SLOT_RUNNING);
	assert_int_equal(office_dismiss(&keeping.office), 0);
	office_shut(&keeping.office);
	close_keeping(&keeping);
}

/* Its report has still to be delivered. */
static void
the_end_of_a_job_extends_it_once_more(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = OK_ANSWER("2", "OK")}};
	struct keeping keeping;
	open_keeping(&keeping, script, 1);
	int64_t now = clock_ms();
	lease_turn(&keeping.lease, now);
	assert_int_equal(lease_due(&keeping.lease), now + LEASE / 3);
	office_dismiss(&keeping.office);
	slot_clear(&keeping.office.slot);
	keeping.lease.extended -= LEASE / 4;
	keeping.enough = 1;
	office_run(&keeping.office, turn, &keeping);
	assert_null(keeping.lease.receipt);
	assert_int_equal(lease_due(&keeping.lease), -1);
	office_shut(&keeping.office);
	expect_asked(&keeping.office, 0, "/queue/extend");
	close_keeping(&keeping);
}

static void
a_job_that_ends_at_once_needs_no_more(void **state)
{
	(void)state;
	struct keeping keeping;
	open_keeping(&keeping, NULL, 0);
	int64_t now = clock_ms();
	lease_turn(&keeping.lease, now);
	office_dismiss(&keeping.office);
	slot_clear(&keeping.office.slot);
	lease_turn(&keeping.lease, now + 10);
	assert_false(keeping.lease.under_way);
	assert_null(keeping.lease.receipt);
	office_shut(&keeping.office);
	close_keeping(&keeping);
}

/* By an earlier life, which may not have got so far as to take the message off the queue. */
static void
what_was_kept_is_let_go_at_once(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = OK_ANSWER("2", "OK")}};
	struct keeping keeping;
	open_keeping(&keeping, script, 1);
	keeping.office.slot.claim.kept = true;
	int64_t now = clock_ms();
	lease_turn(&keeping.lease, now);
	assert_true(keeping.lease.under_way);
	keeping.enough = 1;
	office_run(&keeping.office, turn, &keeping);
	assert_true(keeping.lease.let_go);
	assert_int_equal(lease_due(&keeping.lease), -1);
	assert_int_equal(office_dismiss(&keeping.office), 0);
	office_shut(&keeping.office);
	expect_asked(&keeping.office, 0, "/queue/acknowledge");
	close_keeping(&keeping);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(it_is_extended_every_third),
	    unit_test_in_directory(one_that_is_gone_stops_the_job),
	    unit_test_in_directory(a_queue_that_is_away_stops_nothing),
	    unit_test_in_directory(the_end_of_a_job_extends_it_once_more),
	    unit_test_in_directory(a_job_that_ends_at_once_needs_no_more),
	    unit_test_in_directory(what_was_kept_is_let_go_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
