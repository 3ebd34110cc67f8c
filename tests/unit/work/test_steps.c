#include <signal.h>

#include "base/files.h"
#include "outside/json.h"
#include "unit.h"
#include "work/steps.h"

/* A job's steps whose progress lines end in a pipe, to be read without waiting. */
struct fixture {
	struct steps steps;
	int reading;
};

static struct fixture
make(void)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	return (struct fixture){
	    .steps = {.about = {.job = "12", .attempt = 1}, .progress_fd = ends[1]},
	    .reading = ends[0]};
}

static void
drop(struct fixture *fixture)
{
	close_fd(&fixture->reading);
	close_fd(&fixture->steps.progress_fd);
	steps_done(&fixture->steps);
}

static void
expect_told(const struct fixture *fixture, const char *lines)
{
	char told[4096];
	ssize_t got = read(fixture->reading, told, sizeof told - 1);
	told[got > 0 ? got : 0] = '\0';
	assert_string_equal(told, lines);
}

static void
a_step_is_told_and_timed(void **state)
{
	(void)state;
	scoped(drop) struct fixture fixture = make();
	struct failure why = FAILURE_INIT;
	assert_true(steps_begin(&fixture.steps, "clone", &why));
	expect_told(&fixture, "{\"step\":\"clone\"}\n");
	assert_string_equal(fixture.steps.about.step, "clone");
	assert_true(steps_end(&fixture.steps, true, &why));
	assert_true(steps_begin(&fixture.steps, "checkout", &why));
	assert_true(steps_end(&fixture.steps, true, &why));
	expect_told(&fixture, "{\"step\":\"checkout\"}\n");
	assert_int_equal(why.code, FAILURE_NONE);
	double seconds = -1;
	assert_true(js_real(fixture.steps.timings, "clone", &seconds));
	assert_true(seconds >= 0 && seconds < 600);
	assert_true(js_real(fixture.steps.timings, "checkout", &seconds));
	scoped_free char *timings = js_text(fixture.steps.timings);
	assert_true(strstr(timings, "clone") < strstr(timings, "checkout"));
}

static void
a_failure_bears_its_step(void **state)
{
	(void)state;
	scoped(drop) struct fixture fixture = make();
	struct failure why = FAILURE_INIT;
	double seconds = -1;
	assert_true(steps_begin(&fixture.steps, "build", &why));
	assert_false(
	    steps_end(&fixture.steps, fail(&why, FAILURE_COMMAND, "ant dist: exit 1"), &why));
	assert_string_equal(why.step, "build");
	assert_int_equal(why.code, FAILURE_COMMAND);
	assert_string_equal(why.message, "ant dist: exit 1");
	/* How long it took is known of a failure too. */
	assert_true(js_real(fixture.steps.timings, "build", &seconds));
}

static void
progress_is_told_now_and_then(void **state)
{
	(void)state;
	scoped(drop) struct fixture fixture = make();
	struct failure why = FAILURE_INIT;
	assert_true(steps_begin(&fixture.steps, "upload", &why));
	expect_told(&fixture, "{\"step\":\"upload\"}\n");
	struct tick tick = steps_tick(&fixture.steps, "bytes");
	assert_true(tick_tell(&tick, 0, 100));
	assert_true(tick_tell(&tick, 1, 100));
	expect_told(&fixture, "");
	/* With nothing done yet it lives nevertheless. */
	fixture.steps.told -= 60000;
	assert_true(tick_tell(&tick, 0, 100));
	assert_true(tick_tell(&tick, 0, 100));
	expect_told(&fixture, "{\"step\":\"upload\"}\n");
	/* As if the last line were long ago. */
	fixture.steps.told -= 1000;
	assert_true(tick_tell(&tick, 2, 100));
	assert_true(tick_tell(&tick, 3, 100));
	expect_told(&fixture, "{\"step\":\"upload\",\"progress\":"
	                      "{\"done\":2,\"total\":100,\"unit\":\"bytes\"}}\n");
	/* The end is told at once, and once. */
	assert_true(tick_tell(&tick, 100, 100));
	assert_true(tick_tell(&tick, 100, 100));
	expect_told(&fixture, "{\"step\":\"upload\",\"progress\":"
	                      "{\"done\":100,\"total\":100,\"unit\":\"bytes\"}}\n");
	/* A total that is not known is never reached. */
	tick = steps_tick(&fixture.steps, "objects");
	assert_true(tick_tell(&tick, 7, 0));
	expect_told(&fixture, "");
	fixture.steps.told -= 1000;
	fixture.steps.logged -= 60000;
	assert_true(tick_tell(&tick, 8, 0));
	expect_told(&fixture, "{\"step\":\"upload\",\"progress\":"
	                      "{\"done\":8,\"total\":0,\"unit\":\"objects\"}}\n");
}

static void
trouble_is_part_of_what_is_told_while_it_lasts(void **state)
{
	(void)state;
	scoped(drop) struct fixture fixture = make();
	struct failure why = FAILURE_INIT;
	assert_true(steps_begin(&fixture.steps, "upload", &why));
	struct tick tick = steps_tick(&fixture.steps, "bytes");
	expect_told(&fixture, "{\"step\":\"upload\"}\n");
	fail(&why, FAILURE_NETWORK, "away");
	tick_trouble(&tick, &why, 100);
	tick_trouble(&tick, &why, 200);
	expect_told(&fixture, "{\"step\":\"upload\",\"trouble\":\"away\"}\n");
	assert_true(tick_tell(&tick, 9, 9));
	expect_told(&fixture, "{\"step\":\"upload\",\"progress\":{\"done\":9,\"total\":9,"
	                      "\"unit\":\"bytes\"},\"trouble\":\"away\"}\n");
	tick_trouble(&tick, NULL, 0);
	tick_trouble(&tick, NULL, 0);
	expect_told(&fixture, "{\"step\":\"upload\"}\n");
	/* It ends with its step. */
	tick_trouble(&tick, &why, 100);
	assert_false(steps_end(&fixture.steps, false, &why));
	assert_true(steps_begin(&fixture.steps, "next", &why));
	expect_told(&fixture, "{\"step\":\"upload\",\"trouble\":\"away\"}\n"
	                      "{\"step\":\"next\"}\n");
}

static void
nobody_need_listen(void **state)
{
	(void)state;
	scoped(drop) struct fixture fixture = make();
	struct failure why = FAILURE_INIT;
	struct steps alone = STEPS_INIT;
	assert_true(steps_begin(&alone, "clone", &why));
	assert_true(steps_end(&alone, true, &why));
	steps_done(&alone);
	/* A manager that is gone stops no job. */
	close_fd(&fixture.reading);
	assert_true(steps_begin(&fixture.steps, "clone", &why));
	assert_true(steps_end(&fixture.steps, true, &why));
}

/* The last test: what was cancelled stays so. */
static void
a_cancelled_job_begins_no_step(void **state)
{
	(void)state;
	scoped(drop) struct fixture fixture = make();
	struct failure why = FAILURE_INIT;
	assert_true(steps_begin(&fixture.steps, "clone", &why));
	expect_told(&fixture, "{\"step\":\"clone\"}\n");
	struct tick tick = steps_tick(&fixture.steps, "bytes");
	assert_true(tick_tell(&tick, 1, 100));
	assert_false(steps_cancelled());
	assert_int_equal(raise(SIGTERM), 0);
	assert_true(steps_cancelled());
	assert_false(tick_tell(&tick, 2, 100));
	/* A step that is done all the same was done. */
	assert_true(steps_end(&fixture.steps, true, &why));
	assert_false(steps_begin(&fixture.steps, "checkout", &why));
	assert_int_equal(why.code, FAILURE_CANCELLED);
	assert_string_equal(why.step, "checkout");
	expect_told(&fixture, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_step_is_told_and_timed),
	    cmocka_unit_test(a_failure_bears_its_step),
	    cmocka_unit_test(progress_is_told_now_and_then),
	    cmocka_unit_test(trouble_is_part_of_what_is_told_while_it_lasts),
	    cmocka_unit_test(nobody_need_listen),
	    cmocka_unit_test(a_cancelled_job_begins_no_step),
	};
	steps_catch_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
