#include <stdio.h>

#include "engine/membership.h"
#include "unit_office.h"

#define REGISTERED OK_ANSWER("15", "{\"worker_id\":7}")
#define OK         OK_ANSWER("2", "OK")
#define FORGOT                                                                                     \
	"HTTP/1.1 400 Bad Request\r\nContent-Length: 42\r\nConnection: close\r\n\r\n"              \
	"400 - Bad request: worker does not exist  "

static const struct worker_program program = {.name = "build-worker", .kind = "build"};

struct member {
	struct office office;
	struct membership membership;
	int64_t ahead; /* ms: how far the time of the turns is ahead of the clock */
	size_t enough; /* requests until the end */
	size_t seen;   /* requests that were answered */
	void (*answered)(struct member *member, size_t count); /* or NULL */
};

static void
open_member(struct member *member, const struct scripted *script, size_t count)
{
	*member = (struct member){0};
	office_open(&member->office, script, count, 0);
	member->office.site.config.heartbeat_period = 300000;
	member->office.site.services.program = &program;
	membership_init(&member->membership, &member->office.site.services);
	member->membership.backoff = (struct backoff){.first = 10, .cap = 10};
}

static int64_t
turn(void *data)
{
	struct member *member = data;
	struct membership *membership = &member->membership;
	size_t count = member->office.server.asked;
	bool more = !membership->call && count > member->seen;
	if (more && member->answered)
		member->answered(member, count);
	if (more)
		member->seen = count;
	if (more && count >= member->enough)
		office_stop(&member->office);
	else
		membership_turn(membership, &member->office.slot, clock_ms() + member->ahead);
	int64_t due = membership_due(membership);
	return due < 0 ? -1 : due - member->ahead;
}

static void
run_until(struct member *member, size_t enough)
{
	member->enough = enough;
	office_run(&member->office, turn, member);
}

static void
close_member(struct member *member)
{
	membership_done(&member->membership);
	office_close(&member->office);
}

static void
shut(struct member *member)
{
	http_cancel(&member->membership.call);
	office_shut(&member->office);
}

static void
let_time_pass(struct member *member, size_t count)
{
	if (count != 1)
		return;
	assert_string_equal(member->membership.worker_id, "7");
	assert_true(membership_due(&member->membership) > clock_ms() + 290000);
	member->ahead = 300000;
}

static void
registers_and_is_heard_of(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = REGISTERED}, {.bytes = OK}};
	struct member member;
	open_member(&member, script, 2);
	member.answered = let_time_pass;
	run_until(&member, 2);
	shut(&member);
	expect_asked(&member.office, 0, "/workers/register");
	assert_string_equal(body_of(&member.office.server, 0),
	                    "{\"hostname\":\"host/1\",\"version\":\"" MOOLLOY_VERSION
	                    "\",\"kind\":\"build\"}");
	expect_asked(&member.office, 1, "/workers/7/heartbeat");
	assert_string_equal(body_of(&member.office.server, 1), "{\"job_id\":null}");
	close_member(&member);
}

/* And says meanwhile why it is not registered. */
static void
expect_reason(struct member *member, size_t count)
{
	enum failure_code code = member->membership.why.code;
	assert_int_equal(code, count == 1   ? FAILURE_SERVER
	                       : count == 4 ? FAILURE_NETWORK
	                       : count == 5 ? FAILURE_NONE
	                                    : FAILURE_BAD_ANSWER);
}

static void
registers_as_often_as_it_takes(void **state)
{
	(void)state;
	static const struct scripted script[] = {
	    {.bytes = ANSWER("500 Internal Server Error")},
	    {.bytes = OK_ANSWER("6", "<html>")},
	    {.bytes = OK_ANSWER("18", "{\"worker_id\":null}")},
	    {.bytes = "", .then = THEN_RESET},
	    {.bytes = REGISTERED},
	};
	struct member member;
	open_member(&member, script, 5);
	member.answered = expect_reason;
	run_until(&member, 5);
	assert_string_equal(member.membership.worker_id, "7");
	shut(&member);
	close_member(&member);
}

static void
one_that_was_forgotten_registers_again(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = FORGOT}, {.bytes = REGISTERED}};
	struct member member;
	open_member(&member, script, 2);
	office_employ(&member.office, BUILD);
	member.membership.worker_id = copy_string("3");
	run_until(&member, 2);
	assert_string_equal(member.membership.worker_id, "7");
	/* Its job is none of the dashboard's memory. */
	assert_int_equal(member.office.slot.state, SLOT_RUNNING);
	assert_int_equal(office_dismiss(&member.office), 0);
	shut(&member);
	expect_asked(&member.office, 0, "/workers/3/heartbeat");
	expect_asked(&member.office, 1, "/workers/register");
	close_member(&member);
}

static void
a_heartbeat_that_fails_is_sent_again(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("503 Service Unavailable")},
	                                         {.bytes = OK}};
	struct member member;
	open_member(&member, script, 2);
	member.membership.worker_id = copy_string("3");
	run_until(&member, 2);
	assert_string_equal(member.membership.worker_id, "3");
	assert_int_equal(member.membership.why.code, FAILURE_NONE);
	shut(&member);
	expect_asked(&member.office, 1, "/workers/3/heartbeat");
	close_member(&member);
}

/* When the news is told. */
static void
expect_due(struct member *member, int64_t after)
{
	struct membership *membership = &member->membership;
	membership_turn(membership, &member->office.slot, membership->last + 1);
	assert_int_equal(membership_due(membership), membership->last + after);
	member->ahead += after;
}

static void
go_on(struct member *member, size_t count)
{
	struct slot *slot = &member->office.slot;
	if (count == 1) {
		office_employ(&member->office, BUILD);
		snprintf(slot->step, sizeof slot->step, "clone");
		expect_due(member, 2000);
	} else if (count == 2) {
		slot->done = 5;
		snprintf(slot->unit, sizeof slot->unit, "objects");
		expect_due(member, 10000);
	}
}

static void
a_step_is_told_soon_and_its_progress_later(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = OK}};
	struct member member;
	open_member(&member, script, 1);
	member.membership.worker_id = copy_string("3");
	member.answered = go_on;
	run_until(&member, 3);
	office_dismiss(&member.office);
	shut(&member);
	assert_string_equal(body_of(&member.office.server, 1),
	                    "{\"job_id\":1,\"attempt\":1,\"step\":\"clone\"}");
	assert_string_equal(body_of(&member.office.server, 2),
	                    "{\"job_id\":1,\"attempt\":1,\"step\":\"clone\",\"progress\":"
	                    "{\"done\":5,\"total\":0,\"unit\":\"objects\"}}");
	close_member(&member);
}

static void
the_dashboards_clock_is_noted(void **state)
{
	(void)state;
	static const struct scripted script[] = {
	    {.bytes = "HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
	              "Content-Length: 2\r\nConnection: close\r\n\r\nOK"}};
	struct member member;
	open_member(&member, script, 1);
	member.membership.worker_id = copy_string("3");
	run_until(&member, 1);
	/* More than 20 years. */
	assert_true(member.membership.clock_offset > 20LL * 365 * 86400 * 1000);
	shut(&member);
	close_member(&member);
}

/* The existing dashboard's answers have no Date; whoever stood in for it may have had one. */
static void
an_answer_without_a_date_tells_of_no_offset(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = OK}};
	struct member member;
	open_member(&member, script, 1);
	member.membership.worker_id = copy_string("3");
	member.membership.clock_offset = 3600000;
	run_until(&member, 1);
	assert_int_equal(member.membership.clock_offset, 0);
	shut(&member);
	close_member(&member);
}

static int64_t
until_left(void *data)
{
	struct member *member = data;
	membership_leave(&member->membership);
	if (member->membership.left)
		office_stop(&member->office);
	return -1;
}

static void
leaves_once_however_it_is_answered(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("500 Internal Server Error")}};
	struct member member;
	open_member(&member, script, 1);
	member.membership.worker_id = copy_string("3");
	office_run(&member.office, until_left, &member);
	assert_int_equal(membership_due(&member.membership), -1);
	shut(&member);
	assert_int_equal(member.office.server.asked, 1);
	expect_asked(&member.office, 0, "/workers/3/unregister");
	close_member(&member);
}

static void
one_that_never_came_has_left(void **state)
{
	(void)state;
	struct member member;
	open_member(&member, NULL, 0);
	membership_leave(&member.membership);
	assert_true(member.membership.left);
	shut(&member);
	close_member(&member);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(registers_and_is_heard_of),
	    unit_test_in_directory(registers_as_often_as_it_takes),
	    unit_test_in_directory(one_that_was_forgotten_registers_again),
	    unit_test_in_directory(a_heartbeat_that_fails_is_sent_again),
	    unit_test_in_directory(a_step_is_told_soon_and_its_progress_later),
	    unit_test_in_directory(the_dashboards_clock_is_noted),
	    unit_test_in_directory(an_answer_without_a_date_tells_of_no_offset),
	    unit_test_in_directory(leaves_once_however_it_is_answered),
	    unit_test_in_directory(one_that_never_came_has_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
