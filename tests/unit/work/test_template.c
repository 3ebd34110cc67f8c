#include "work/template.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "outside/git.h"
#include "unit_directory.h"

/* One that was used so many seconds ago. */
static void
make_template(const char *name, int seconds)
{
	scoped_free char *info = format("%s/template/%s/.git/objects/info", unit_directory, name);
	scoped_free char *borrowed = format("template/%s/.git/objects/info/alternates", name);
	scoped_free char *path = unit_path(borrowed);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - seconds}};
	assert_true(directory_make(info, 0700, NULL));
	unit_write(borrowed, "/somewhere/objects\n");
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static bool
is_there(const char *name)
{
	scoped_free char *path = format("%s/template/%s", unit_directory, name);
	return file_exists(AT_FDCWD, path);
}

/* Another job at work. */
static int
lock_all(void)
{
	scoped_free char *path = unit_path("template/lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
	return fd;
}

static void
the_old_go(void **state)
{
	(void)state;
	assert_true(templates_sweep(unit_directory, 0, NULL));
	make_template("old", 100);
	make_template("new", 10);
	/* Nobody knows when that was used. */
	scoped_free char *half = unit_path("template/half/.git");
	assert_true(directory_make(half, 0700, NULL));
	assert_true(templates_sweep(unit_directory, 50000, NULL));
	assert_true(is_there("new") && is_there("lock"));
	assert_false(is_there("old") || is_there("half"));
}

static void
nothing_goes_while_a_job_works(void **state)
{
	(void)state;
	make_template("old", 100);
	scoped_fd int lock = lock_all();
	assert_true(templates_sweep(unit_directory, 50000, NULL));
	assert_true(is_there("old"));
	close_fd(&lock);
	assert_true(templates_sweep(unit_directory, 50000, NULL));
	assert_false(is_there("old"));
}

static enum failure_code
instantiate(const char *mirror, const struct tick *tick)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(steps_done) struct steps steps = STEPS_INIT;
	scoped_free char *place = unit_path("tree");
	const struct template_wish wish = {.state_directory = unit_directory,
	                                   .url = "https://host/x",
	                                   .commit = "0123456789012345678901234567890123456789",
	                                   .mirror = mirror,
	                                   .place = place,
	                                   .tick = tick,
	                                   .steps = &steps};
	assert_false(template_instantiate(&wish, &why));
	return why.code;
}

static void
start(void)
{
	static bool started;
	static const struct repository_access access;
	started = started || repository_start(&access, NULL);
	assert_true(started);
}

static void
waiting_for_another_can_be_stopped(void **state)
{
	(void)state;
	static const struct tick tick = {.tell = unit_stop};
	make_template("other", 0);
	scoped_fd int lock = lock_all();
	assert_int_equal(instantiate("/nowhere", &tick), FAILURE_CANCELLED);
}

/* Then it is the mirror that is to be replaced, and no half template stays. */
static void
a_mirror_without_the_commit(void **state)
{
	(void)state;
	start();
	scoped_free char *mirror = unit_path("mirror");
	assert_true(mirror_make(mirror, NULL));
	assert_int_equal(instantiate(mirror, NULL), FAILURE_DAMAGED);
	unit_write("mirror/packed-refs", "# pack-refs with: sorted \n");
	assert_int_equal(instantiate(mirror, NULL), FAILURE_DAMAGED);
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_free char *all = unit_path("template");
	assert_true(directory_list(AT_FDCWD, all, &names, NULL));
	assert_int_equal(names.count, 1); /* the lock */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(the_old_go),
	    unit_test_in_directory(nothing_goes_while_a_job_works),
	    unit_test_in_directory(waiting_for_another_can_be_stopped),
	    unit_test_in_directory(a_mirror_without_the_commit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
