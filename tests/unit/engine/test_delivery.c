#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "engine/delivery.h"
#include "engine/settle.h"
#include "scripted.h"
#include "unit_letters.h"

#define REPORT_MAX_AGE 3600000
#define ANSWER(STATUS) "HTTP/1.1 " STATUS "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* A dashboard that answers as scripted, and letters on their way to it. */
struct post {
	struct desk desk;
	struct server server;
	struct site site;
	struct strings names;
	struct slot slot;
	struct delivery delivery;
	struct loop_source *turn, *wake;
	void (*each_turn)(struct post *post);
	struct outbox_entry *watched;
	int64_t tried; /* ms before now that the watched letter's first try was */
};

static void
on_wake(void *data)
{
	(void)data;
}

/* As the manager does; ends when nothing is left to tell. */
static void
on_turn(void *data)
{
	struct post *post = data;
	if (post->each_turn)
		post->each_turn(post);
	delivery_turn(&post->delivery, clock_ms());
	if (!outbox_count(post->site.services.outbox))
		desk_stop(&post->desk);
	int64_t due = delivery_due(&post->delivery);
	if (due >= 0)
		loop_timer_at(post->wake, due);
	else
		loop_timer_off(post->wake);
}

static void
post_open(struct post *post, const struct scripted *script, size_t count)
{
	*post = (struct post){0};
	server_start(&post->server, script, count);
	desk_open(&post->desk);
	site_open(&post->site);
	struct services *services = &post->site.services;
	services->dashboard.url = post->server.url;
	services->http = post->desk.client;
	services->loop = post->desk.loop;
	post->site.config.report_max_age = REPORT_MAX_AGE;
	strings_add(&post->names, "ci");
	struct queue_access access = {.client = services->http,
	                              .dashboard = &services->dashboard,
	                              .names = &post->names,
	                              .worker = "host/1"};
	assert_true(queue_open("dashboard", &access, &services->queue, NULL));
	slot_init(&post->slot, post->desk.loop);
	delivery_init(&post->delivery, services, &post->slot);
}

static void
post_run(struct post *post)
{
	post->wake = loop_timer(post->desk.loop, on_wake, post);
	post->turn = loop_post(post->desk.loop, on_turn, post);
	loop_timer_at(post->wake, 0);
	desk_run(&post->desk);
	assert_int_equal(delivery_under_way(&post->delivery), 0);
	loop_source_drop(&post->wake);
	loop_source_drop(&post->turn);
	queue_close(&post->site.services.queue);
	desk_close(&post->desk);
	delivery_done(&post->delivery);
	server_stop(&post->server);
}

static void
post_close(struct post *post)
{
	site_close(&post->site);
	strings_done(&post->names);
	server_done(&post->server);
}

static void
add(struct post *post, enum outbox_kind kind, const char *job)
{
	scoped(outbox_letter_done) struct outbox_letter letter = {
	    .kind = kind,
	    .job = copy_string(job),
	    .attempt = 1,
	    .path = format("/jobs/%s/%s", job, outbox_kind_name(kind)),
	    .body = copy_string("{}"),
	    .receipt = copy_string("00ff")};
	assert_true(outbox_add(post->site.services.outbox, &letter, NULL));
}

static void
expect_asked(const struct post *post, size_t which, const char *path)
{
	scoped_free char *line = format("POST %s HTTP/1.1\r\n", path);
	assert_true(starts_with(text_string(&post->server.requests[which]), line));
}

static void
letters_arrive_in_order(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = OK_ANSWER("2", "OK")}};
	struct post post;
	post_open(&post, script, 1);
	scoped(claim_done) struct claim claim = site_claim(BUILD, 1, 0);
	scoped(outcome_done) struct outcome outcome = {.success = true};
	scoped_free char *directory = site_directory(&claim, &outcome);
	enum settled settled;
	assert_true(settle_start(&post.site.services, &claim, NULL));
	assert_true(
	    settle_outcome(&post.site.services, &claim, &outcome, directory, &settled, NULL));
	post_run(&post);
	assert_int_equal(post.server.asked, 3);
	expect_asked(&post, 0, "/jobs/1/start");
	expect_asked(&post, 1, "/jobs/1/finish");
	expect_asked(&post, 2, "/queue/acknowledge");
	assert_string_equal(body_of(&post.server, 2), "{\"receipt\":\"receipt\"}");
	expect_letters("");
	assert_int_equal(outbox_parked(post.site.services.outbox), 0);
	post_close(&post);
}

static void
what_failed_is_told_again(void **state)
{
	(void)state;
	static const struct scripted script[] = {
	    {.bytes = ANSWER("503 Service Unavailable")},
	    {.bytes = ANSWER("401 Unauthorized")},
	    {.bytes = "", .length = 0, .then = THEN_RESET},
	    {.bytes = OK_ANSWER("6", "<html>")},
	    {.bytes = OK_ANSWER("2", "OK")},
	};
	struct post post;
	post_open(&post, script, 5);
	add(&post, OUTBOX_FINISH, "1");
	add(&post, OUTBOX_ACKNOWLEDGE, "1");
	post_run(&post);
	assert_int_equal(post.server.asked, 6);
	for (size_t i = 0; i < 5; i++)
		expect_asked(&post, i, "/jobs/1/finish");
	assert_string_equal(body_of(&post.server, 4), "{}");
	assert_int_equal(post.delivery.ambiguous, 1);
	expect_asked(&post, 5, "/queue/acknowledge");
	assert_int_equal(outbox_parked(post.site.services.outbox), 0);
	post_close(&post);
}

static void
what_is_refused_is_parked_and_the_next_follows(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("403 Forbidden")},
	                                         {.bytes = OK_ANSWER("2", "OK")}};
	struct post post;
	post_open(&post, script, 2);
	add(&post, OUTBOX_FINISH, "1");
	add(&post, OUTBOX_ACKNOWLEDGE, "1");
	post_run(&post);
	assert_int_equal(post.server.asked, 2);
	expect_asked(&post, 1, "/queue/acknowledge");
	assert_int_equal(outbox_parked(post.site.services.outbox), 1);
	post_close(&post);
}

static void
a_damaged_letter_blocks_nobody(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = OK_ANSWER("2", "OK")}};
	struct post post;
	post_open(&post, script, 1);
	unit_write("outbox/0000000000000001-1-1-finish.json", "{\"body\":");
	unit_write("outbox/0000000000000002-1-1-upload.json", "{\"model\":\"4\"}");
	unit_write("outbox/0000000000000002-1-1-upload.data", "BZh");
	site_reopen(&post.site);
	scoped_free char *tarball = unit_path("outbox/0000000000000002-1-1-upload.data");
	assert_int_equal(unlink(tarball), 0);
	add(&post, OUTBOX_ACKNOWLEDGE, "1");
	post_run(&post);
	assert_int_equal(post.server.asked, 1);
	expect_asked(&post, 0, "/queue/acknowledge");
	assert_int_equal(outbox_parked(post.site.services.outbox), 2);
	post_close(&post);
}

/* The second try of the watched letter waits until others got through. */
static void
let_another_job_pass(struct post *post)
{
	struct outbox *outbox = post->site.services.outbox;
	if (!post->watched)
		return;
	if (post->watched->backoff.tries == 1 && post->watched->due != INT64_MAX) {
		post->watched->due = INT64_MAX;
		post->watched->first_tried -= post->tried;
		add(post, OUTBOX_FINISH, "2");
	} else if (post->watched->due == INT64_MAX && outbox_count(outbox) == 1) {
		post->watched->due = 0;
		post->watched = NULL;
	}
}

/* The existing dashboard answers a wrong secret with 500, for ever. */
static void
an_old_report_that_alone_fails_is_parked(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("500 Internal Server Error")},
	                                         {.bytes = OK_ANSWER("2", "OK")},
	                                         {.bytes = ANSWER("500 Internal Server Error")}};
	struct post post;
	post_open(&post, script, 3);
	unit_write("outbox/0000000000000001-1-1-finish.json",
	           "{\"path\":\"/jobs/1/finish\",\"body\":\"{}\",\"added\":1000}");
	site_reopen(&post.site);
	post.watched = outbox_next(post.site.services.outbox, 0);
	post.tried = REPORT_MAX_AGE / 20;
	post.each_turn = let_another_job_pass;
	post_run(&post);
	assert_int_equal(post.server.asked, 3);
	expect_asked(&post, 1, "/jobs/2/finish");
	expect_asked(&post, 2, "/jobs/1/finish");
	assert_int_equal(outbox_parked(post.site.services.outbox), 1);
	post_close(&post);
}

/* As old as the epoch, says a clock that was set; but of this life it is a moment. */
static void
a_wall_clock_that_was_set_parks_nothing(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("500 Internal Server Error")},
	                                         {.bytes = OK_ANSWER("2", "OK")},
	                                         {.bytes = ANSWER("500 Internal Server Error")},
	                                         {.bytes = OK_ANSWER("2", "OK")}};
	struct post post;
	post_open(&post, script, 4);
	unit_write("outbox/0000000000000001-1-1-finish.json",
	           "{\"path\":\"/jobs/1/finish\",\"body\":\"{}\",\"added\":1000}");
	site_reopen(&post.site);
	post.watched = outbox_next(post.site.services.outbox, 0);
	/* Others get through later, also where that takes less than a millisecond. */
	post.tried = 10;
	post.each_turn = let_another_job_pass;
	post_run(&post);
	assert_int_equal(post.server.asked, 4);
	expect_asked(&post, 3, "/jobs/1/finish");
	assert_int_equal(outbox_parked(post.site.services.outbox), 0);
	post_close(&post);
}

/* The dashboard says that a later attempt began. */
static void
a_superseded_attempt_is_stopped(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("409 Conflict")}};
	struct post post;
	int status;
	post_open(&post, script, 1);
	add(&post, OUTBOX_START, "1");
	pid_t runner = fork();
	if (runner == 0) {
		signal(SIGTERM, SIG_DFL);
		while (pause() < 0)
			;
	}
	post.slot.state = SLOT_RUNNING;
	post.slot.pid = runner;
	post.slot.claim.job = (struct job){.id = copy_string("1"), .attempt = 1};
	post_run(&post);
	assert_int_equal(post.slot.state, SLOT_STOPPING);
	assert_int_equal(post.slot.reason, STOP_LEASE_LOST);
	assert_int_equal(waitpid(runner, &status, 0), runner);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_int_equal(outbox_parked(post.site.services.outbox), 0);
	slot_clear(&post.slot);
	post_close(&post);
}

static void
a_superseded_attempt_stops_no_other(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = ANSWER("409 Conflict")}};
	struct post post;
	post_open(&post, script, 1);
	add(&post, OUTBOX_FINISH, "1");
	post.slot.state = SLOT_RUNNING;
	post.slot.claim.job = (struct job){.id = copy_string("1"), .attempt = 2};
	/* Nothing would happen to whom it were asked to end. */
	post.slot.pid = INT32_MAX;
	post_run(&post);
	assert_int_equal(post.slot.state, SLOT_RUNNING);
	assert_int_equal(outbox_count(post.site.services.outbox), 0);
	slot_clear(&post.slot);
	post_close(&post);
}

static void
not_too_many_go_at_once(void **state)
{
	(void)state;
	static const struct scripted script[] = {{.bytes = OK_ANSWER("2", "OK")}};
	struct post post;
	post_open(&post, script, 1);
	for (int i = 1; i <= 10; i++) {
		scoped_free char *job = format("%d", i);
		add(&post, OUTBOX_FINISH, job);
	}
	delivery_turn(&post.delivery, clock_ms());
	assert_int_equal(delivery_under_way(&post.delivery), DELIVERY_AT_ONCE);
	assert_int_equal(delivery_due(&post.delivery), -1);
	post_run(&post);
	assert_int_equal(post.server.asked, 10);
	post_close(&post);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(letters_arrive_in_order),
	    unit_test_in_directory(what_failed_is_told_again),
	    unit_test_in_directory(what_is_refused_is_parked_and_the_next_follows),
	    unit_test_in_directory(a_damaged_letter_blocks_nobody),
	    unit_test_in_directory(an_old_report_that_alone_fails_is_parked),
	    unit_test_in_directory(a_wall_clock_that_was_set_parks_nothing),
	    unit_test_in_directory(a_superseded_attempt_is_stopped),
	    unit_test_in_directory(a_superseded_attempt_stops_no_other),
	    unit_test_in_directory(not_too_many_go_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
