#include "outside/background.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "unit.h"

struct world {
	struct loop *loop;
	struct background *background;
	pthread_t here, worked_on, ended_on;
	atomic_bool worked;
	int ended;
};

static void
work(void *data)
{
	struct world *world = data;
	world->worked_on = pthread_self();
	usleep(20000);
	atomic_store(&world->worked, true);
}

static void
ended(void *data)
{
	struct world *world = data;
	assert_true(atomic_load(&world->worked));
	world->ended_on = pthread_self();
	world->ended++;
	background_drop(&world->background);
	loop_stop(world->loop);
}

static void
works_beside_the_loop(void **state)
{
	(void)state;
	struct world world = {.here = pthread_self()};
	assert_true(loop_new(&world.loop, NULL));
	world.background = background_start(world.loop, work, ended, &world);
	assert_true(loop_run(world.loop, NULL));
	assert_int_equal(world.ended, 1);
	assert_false(pthread_equal(world.worked_on, world.here));
	assert_true(pthread_equal(world.ended_on, world.here));
	assert_null(world.background);
	loop_free(&world.loop);
}

static void
dropping_waits_and_does_not_tell(void **state)
{
	(void)state;
	struct world world = {0};
	assert_true(loop_new(&world.loop, NULL));
	world.background = background_start(world.loop, work, ended, &world);
	background_drop(&world.background);
	assert_true(atomic_load(&world.worked));
	assert_int_equal(world.ended, 0);
	loop_free(&world.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(works_beside_the_loop),
	    cmocka_unit_test(dropping_waits_and_does_not_tell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
