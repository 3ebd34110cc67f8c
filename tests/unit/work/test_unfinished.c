#include "base/files.h"
#include "unit.h"
#include "unit_directory.h"
#include "work/unfinished.h"

/* A store that leaves nothing unfinished, but follows notes as any does. */
struct place {
	struct store_settings settings;
	struct strings ended;
	struct failure why;
};

static void
place_open(struct place *place)
{
	scoped_free char *jobs = unit_path("jobs/1-1");
	scoped_free char *other = unit_path("jobs/2-1");
	*place = (struct place){.settings = {.type = "directory", .path = unit_path("store")}};
	assert_true(directory_make(jobs, 0700, NULL) && directory_make(other, 0700, NULL));
}

static bool
place_end(struct place *place, const char *current)
{
	return unfinished_end(unit_directory, &place->settings, current, &place->ended,
	                      &place->why);
}

static void
place_close(struct place *place)
{
	strings_done(&place->ended);
	failure_done(&place->why);
	free(place->settings.path);
}

static bool
has_note(const char *path)
{
	scoped_free char *whole = unit_path(path);
	return file_exists(AT_FDCWD, whole);
}

static void
a_note_is_followed_once(void **state)
{
	(void)state;
	struct place place;
	place_open(&place);
	unit_write("jobs/1-1/uploading", "results/1-1.tar.zst");
	assert_true(place_end(&place, "2-1"));
	assert_int_equal(place.ended.count, 1);
	assert_string_equal(place.ended.items[0], "results/1-1.tar.zst");
	assert_false(has_note("jobs/1-1/uploading"));
	assert_true(place_end(&place, "2-1"));
	assert_int_equal(place.ended.count, 1);
	place_close(&place);
}

static void
the_current_jobs_note_stays(void **state)
{
	(void)state;
	struct place place;
	place_open(&place);
	unit_write("jobs/2-1/uploading", "results/2-1.tar.zst");
	assert_true(place_end(&place, "2-1"));
	assert_int_equal(place.ended.count, 0);
	assert_true(has_note("jobs/2-1/uploading"));
	place_close(&place);
}

static void
a_note_that_cannot_be_followed_stays(void **state)
{
	(void)state;
	struct place place;
	place_open(&place);
	unit_write("jobs/1-1/uploading", "../results/1-1.tar.zst");
	assert_false(place_end(&place, "2-1"));
	assert_int_equal(place.why.code, FAILURE_REJECTED);
	assert_true(has_note("jobs/1-1/uploading"));
	place_close(&place);
}

/* A store on this machine has no use for notes. */
static void
only_what_goes_far_is_noted(void **state)
{
	(void)state;
	struct place place;
	scoped(store_close) struct store *store = NULL;
	scoped_free char *job = unit_path("jobs/1-1");
	scoped_fd int directory = -1;
	place_open(&place);
	assert_true(store_open(&place.settings, &store, NULL));
	assert_true(directory_open(AT_FDCWD, job, &directory, NULL));
	assert_true(unfinished_note(directory, store, "results/1-1.tar.zst", NULL));
	assert_false(has_note("jobs/1-1/uploading"));
	place_close(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(a_note_is_followed_once),
	    unit_test_in_directory(the_current_jobs_note_stays),
	    unit_test_in_directory(a_note_that_cannot_be_followed_stays),
	    unit_test_in_directory(only_what_goes_far_is_noted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
