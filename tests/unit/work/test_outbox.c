#include "unit.h"
#include "unit_directory.h"
#include "work/outbox.h"

static struct outbox *
open_outbox(void)
{
	struct outbox *outbox = NULL;
	assert_true(outbox_open(unit_directory, &outbox, NULL));
	return outbox;
}

static void
add(struct outbox *outbox, enum outbox_kind kind, const char *job, int attempt)
{
	scoped(outbox_letter_done) struct outbox_letter letter = {
	    .kind = kind, .job = copy_string(job), .attempt = attempt, .body = copy_string("{}")};
	assert_true(outbox_add(outbox, &letter, NULL));
}

static void
expect_next(struct outbox *outbox, const char *job, enum outbox_kind kind)
{
	struct outbox_entry *entry = outbox_next(outbox, 0);
	assert_non_null(entry);
	assert_string_equal(entry->job, job);
	assert_int_equal(entry->kind, kind);
}

static void
a_jobs_letters_go_in_order(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	add(outbox, OUTBOX_START, "1", 1);
	add(outbox, OUTBOX_FINISH, "1", 1);
	expect_next(outbox, "1", OUTBOX_START);
	outbox_next(outbox, 0)->under_way = true;
	assert_null(outbox_next(outbox, 0));
	/* Another job does not wait for it. */
	add(outbox, OUTBOX_START, "2", 1);
	expect_next(outbox, "2", OUTBOX_START);
}

static void
the_first_that_waits_holds_up_its_job_alone(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	add(outbox, OUTBOX_START, "1", 1);
	add(outbox, OUTBOX_FINISH, "1", 1);
	add(outbox, OUTBOX_FINISH, "2", 1);
	outbox_next(outbox, 0)->due = 500;
	expect_next(outbox, "2", OUTBOX_FINISH);
	assert_true(outbox_drop(outbox, outbox_next(outbox, 0), NULL));
	assert_null(outbox_next(outbox, 499));
	assert_int_equal(outbox_next_due(outbox), 500);
	assert_non_null(outbox_next(outbox, 500));
}

static void
everything_is_there_after_a_restart(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox();
	add(outbox, OUTBOX_START, "a-b", 2);
	add(outbox, OUTBOX_RELEASE, "a-b", 2);
	outbox_close(&outbox);
	unit_write("outbox/.half.json.tmp", "x");
	unit_write("outbox/notes.txt", "not ours");
	outbox = open_outbox();
	assert_int_equal(outbox_count(outbox), 2);
	expect_next(outbox, "a-b", OUTBOX_START);
	assert_int_equal(outbox_next(outbox, 0)->attempt, 2);
	assert_true(outbox_ends(outbox, "a-b", 2));
	assert_false(outbox_ends(outbox, "a-b", 1));
	/* New ones come after old ones. */
	add(outbox, OUTBOX_START, "a-b", 3);
	assert_true(outbox_drop(outbox, outbox_next(outbox, 0), NULL));
	expect_next(outbox, "a-b", OUTBOX_RELEASE);
	outbox_close(&outbox);
}

static void
what_is_written_is_read(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	struct outbox_letter letter = {.kind = OUTBOX_RELEASE,
	                               .job = copy_string("9"),
	                               .attempt = 1,
	                               .receipt = copy_string("r"),
	                               .delay = 1500,
	                               .handback = true};
	assert_true(outbox_add(outbox, &letter, NULL));
	outbox_letter_done(&letter);
	assert_true(outbox_read(outbox, outbox_next(outbox, 0), &letter, NULL));
	assert_string_equal(letter.receipt, "r");
	assert_int_equal(letter.delay, 1500);
	assert_true(letter.handback);
	assert_true(letter.added > 0);
	outbox_letter_done(&letter);
}

static void
a_parked_letter_keeps_its_reason(void **state)
{
	(void)state;
	struct outbox *outbox = open_outbox();
	struct failure reason = FAILURE_INIT;
	add(outbox, OUTBOX_FINISH, "1", 1);
	add(outbox, OUTBOX_ACKNOWLEDGE, "1", 1);
	fail(&reason, FAILURE_FORBIDDEN, "wrong secret");
	assert_true(outbox_park(outbox, outbox_next(outbox, 0), &reason, NULL));
	expect_next(outbox, "1", OUTBOX_ACKNOWLEDGE);
	assert_int_equal(outbox_parked(outbox), 1);
	outbox_close(&outbox);
	outbox = open_outbox();
	assert_int_equal(outbox_parked(outbox), 1);
	assert_int_equal(outbox_count(outbox), 1);
	outbox_close(&outbox);
	scoped_free char *parked = unit_path("parked");
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(text_done) struct text why = TEXT_INIT;
	assert_true(directory_list(AT_FDCWD, parked, &names, NULL));
	assert_int_equal(names.count, 2);
	scoped_free char *note = format("%s/%s", parked, names.items[1]);
	assert_true(file_read(AT_FDCWD, note, 1000, &why, NULL));
	assert_string_equal(text_string(&why), "forbidden: wrong secret\n");
}

static void
a_lost_attempt_is_forgotten(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	add(outbox, OUTBOX_START, "1", 1);
	add(outbox, OUTBOX_START, "1", 2);
	add(outbox, OUTBOX_START, "2", 1);
	outbox_forget(outbox, "1", 1);
	assert_int_equal(outbox_count(outbox), 2);
	assert_int_equal(outbox_next(outbox, 0)->attempt, 2);
}

static void
a_models_tarball_goes_along(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	unit_write("model", "BZh");
	struct outbox_letter letter = {.kind = OUTBOX_UPLOAD,
	                               .job = copy_string("1"),
	                               .attempt = 1,
	                               .model = copy_string("4"),
	                               .file = unit_path("model")};
	assert_true(outbox_add(outbox, &letter, NULL));
	assert_false(file_exists(AT_FDCWD, letter.file));
	outbox_letter_done(&letter);
	scoped(text_done) struct text content = TEXT_INIT;
	struct outbox_entry *entry = outbox_next(outbox, 0);
	assert_true(outbox_read(outbox, entry, &letter, NULL));
	assert_true(file_read(AT_FDCWD, letter.file, 100, &content, NULL));
	assert_string_equal(text_string(&content), "BZh");
	assert_true(outbox_drop(outbox, entry, NULL));
	assert_false(file_exists(AT_FDCWD, letter.file));
	outbox_letter_done(&letter);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(a_jobs_letters_go_in_order),
	    unit_test_in_directory(the_first_that_waits_holds_up_its_job_alone),
	    unit_test_in_directory(everything_is_there_after_a_restart),
	    unit_test_in_directory(what_is_written_is_read),
	    unit_test_in_directory(a_parked_letter_keeps_its_reason),
	    unit_test_in_directory(a_lost_attempt_is_forgotten),
	    unit_test_in_directory(a_models_tarball_goes_along),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
