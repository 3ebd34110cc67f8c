/* What stands against claiming jobs when a server's clock and ours differ. */
#include <time.h>

#include "engine/clock_watch.h"
#include "scripted.h"

struct fixture {
	struct desk desk;
	struct services services;
	struct worker_config config;
	struct clock_watch watch;
	struct server server;
	char *answers[2];
	struct scripted script[2];
	struct loop_source *post;
	char type[3], bucket[7], style[5];
	int asked, wanted;
	struct failure told[2]; /* NONE: nothing stands against us any more */
};

/* An answer of a server whose clock is so far ahead of ours; malloc'd. */
static char *
answer_ahead(const char *status, int64_t ahead)
{
	time_t seconds = (time_t)((wall_ms() + ahead) / 1000);
	struct tm parts;
	char date[64];
	gmtime_r(&seconds, &parts);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
	return format("HTTP/1.1 %s\r\nDate: %s\r\nConnection: close\r\n\r\n", status, date);
}

/* After each asking its outcome is noted, and the next begins at once. */
static void
turn(void *data)
{
	struct fixture *fixture = data;
	struct clock_watch *watch = &fixture->watch;
	if (watch->call)
		return;
	if (!clock_watch_check(watch, &fixture->told[fixture->asked]))
		assert_int_equal(clock_watch_due(watch), watch->due);
	watch->due = clock_ms();
	if (++fixture->asked == fixture->wanted)
		desk_stop(&fixture->desk);
	else
		clock_watch_turn(watch, clock_ms());
}

static void
begin(struct fixture *fixture, int64_t first, int64_t second)
{
	struct failure why = FAILURE_INIT;
	*fixture = (struct fixture){.type = "s3", .bucket = "bucket", .style = "auto"};
	fixture->answers[0] = answer_ahead("403 Forbidden", first);
	fixture->answers[1] = answer_ahead("200 OK", second);
	for (int i = 0; i < 2; i++)
		fixture->script[i].bytes = fixture->answers[i];
	server_start(&fixture->server, fixture->script, 2);
	desk_open(&fixture->desk);
	fixture->services.http = fixture->desk.client;
	fixture->services.config = &fixture->config;
	fixture->config.store = (struct store_settings){.type = fixture->type,
	                                                .bucket = fixture->bucket,
	                                                .path_style = fixture->style,
	                                                .endpoint = fixture->server.url};
	clock_watch_init(&fixture->watch, &fixture->services);
	assert_int_equal(clock_watch_due(&fixture->watch), -1);
	assert_true(clock_watch_check(&fixture->watch, NULL));
	fail(&why, FAILURE_NETWORK, "no matter of clocks");
	clock_watch_store(&fixture->watch, &why);
	assert_true(clock_watch_check(&fixture->watch, NULL));
	fail(&why, FAILURE_CLOCK, "the server's own words");
	clock_watch_store(&fixture->watch, &why);
}

static void
ask(struct fixture *fixture, int wanted)
{
	fixture->wanted = wanted;
	clock_watch_turn(&fixture->watch, clock_ms());
	assert_non_null(fixture->watch.call);
	assert_int_equal(clock_watch_due(&fixture->watch), -1);
	fixture->post = loop_post(fixture->desk.loop, turn, fixture);
	desk_run(&fixture->desk);
	loop_source_drop(&fixture->post);
}

static void
end(struct fixture *fixture)
{
	clock_watch_done(&fixture->watch);
	desk_close(&fixture->desk);
	server_stop(&fixture->server);
	for (int i = 0; i < 2; i++) {
		free(fixture->answers[i]);
		failure_done(&fixture->told[i]);
	}
}

static void
expect(const struct failure *why, const char *begins, const char *ends)
{
	assert_int_equal(why->code, FAILURE_CLOCK);
	if (!starts_with(why->message, begins) || !ends_with(why->message, ends))
		assert_string_equal(why->message, begins);
}

static void
asks_until_the_clocks_agree(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture, -7200 * 1000 - 30000, 0);
	ask(&fixture, 2);
	expect(&fixture.told[0],
	       "this host's clock is 2h00m ahead of http://127.0.0.1:", "'s: set it");
	assert_int_equal(fixture.told[1].code, FAILURE_NONE);
	assert_int_equal(clock_watch_due(&fixture.watch), -1);
	end(&fixture);
	assert_int_equal(fixture.server.asked, 2);
	assert_true(request_has(&fixture.server, 0, "HEAD /bucket HTTP/1.1\r\n"));
	server_done(&fixture.server);
}

static void
a_refusal_has_a_date_too(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture, 4 * 60 * 1000, 0);
	ask(&fixture, 1);
	assert_int_equal(fixture.told[0].code, FAILURE_NONE);
	end(&fixture);
	server_done(&fixture.server);
}

static void
no_answer_changes_nothing(void **state)
{
	(void)state;
	struct fixture fixture;
	begin(&fixture, 0, 0);
	fixture.script[0].bytes = "";
	ask(&fixture, 1);
	expect(&fixture.told[0], "the server's own words", "");
	end(&fixture);
	server_done(&fixture.server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(asks_until_the_clocks_agree),
	    cmocka_unit_test(a_refusal_has_a_date_too),
	    cmocka_unit_test(no_answer_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
