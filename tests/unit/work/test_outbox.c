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

/* They have no order but that of their own. */
static void
letters_about_no_job_hold_up_nobody(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	add(outbox, OUTBOX_RELEASE, OUTBOX_NO_JOB, 1);
	add(outbox, OUTBOX_ACKNOWLEDGE, OUTBOX_NO_JOB, 1);
	outbox_next(outbox, 0)->due = 500;
	expect_next(outbox, OUTBOX_NO_JOB, OUTBOX_ACKNOWLEDGE);
	assert_int_equal(outbox_next_due(outbox), 0);
	/* It can be told at once: its message need not be held. */
	assert_null(outbox_held(outbox));
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

/* Names in a directory of the outbox, as one text. */
static void
expect_files(const char *directory, const char *wanted)
{
	scoped_free char *path = unit_path(directory);
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(directory_list(AT_FDCWD, path, &names, NULL));
	for (size_t i = 0; i < names.count; i++)
		text_addf(&text, "%s%s", i ? " " : "", names.items[i]);
	assert_string_equal(text_string(&text), wanted);
}

static void
make_outbox(void)
{
	struct outbox *outbox = open_outbox();
	outbox_close(&outbox);
}

static void
what_a_crash_left_half_done_is_swept(void **state)
{
	(void)state;
	make_outbox();
	unit_write("outbox/.0000000000000005-1-1-start.json.tmp", "{");
	unit_write("outbox/0000000000000001-1-1-upload.data", "told, its letter is gone");
	unit_write("outbox/0000000000000002-2-1-upload.json", "{\"model\":\"4\"}");
	unit_write("outbox/0000000000000003-3-1-upload.json", "{\"model\":\"4\"}");
	unit_write("outbox/0000000000000003-3-1-upload.data", "BZh");
	unit_write("parked/.0000000000000004-1-1-start.json.why.tmp", "serv");
	unit_write("parked/0000000000000004-1-1-start.json.why", "server: ...");
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	expect_files("outbox", "0000000000000003-3-1-upload.data 0000000000000003-3-1-upload.json");
	expect_files("parked", "0000000000000004-1-1-start.json.why");
	assert_int_equal(outbox_count(outbox), 1);
	expect_next(outbox, "3", OUTBOX_UPLOAD);
}

static void
names_that_are_not_ours_are_left_alone(void **state)
{
	(void)state;
	static const char *const foreign[] = {
	    "README",
	    "x-1-1-start.json",
	    "-1-1-1-start.json",
	    "18446744073709551615-1-1-start.json",
	    "10000000000000000-1-1-start.json",
	    "0000000000000000-1-1-start.json",
	    "0000000000000001-1-1-dance.json",
	    "0000000000000001-1-0-start.json",
	    "0000000000000001-1-x-start.json",
	    "0000000000000001-1-4294967297-start.json",
	    "0000000000000001--1-start.json",
	    "0000000000000001-1-start.json",
	    "0000000000000001-start.json",
	    "0000000000000001-1-1-start.json.bak",
	    "start.json",
	    ".json",
	};
	make_outbox();
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		scoped_free char *name = format("outbox/%s", foreign[i]);
		scoped_free char *path = unit_path(name);
		unit_write(name, "x");
		scoped(outbox_close) struct outbox *outbox = open_outbox();
		assert_int_equal(outbox_count(outbox), 0);
		assert_true(file_exists(AT_FDCWD, path));
	}
}

static void
a_sequence_never_comes_twice(void **state)
{
	(void)state;
	scoped_free char *first = NULL;
	struct outbox *outbox = open_outbox();
	add(outbox, OUTBOX_START, "1", 1);
	first = copy_string(outbox_next(outbox, 0)->name);
	assert_true(outbox_drop(outbox, outbox_next(outbox, 0), NULL));
	add(outbox, OUTBOX_START, "1", 1);
	assert_true(strcmp(outbox_next(outbox, 0)->name, first) > 0);
	replace_string(&first, outbox_next(outbox, 0)->name);
	assert_true(outbox_drop(outbox, outbox_next(outbox, 0), NULL));
	outbox_close(&outbox);
	outbox = open_outbox();
	add(outbox, OUTBOX_START, "1", 1);
	assert_true(strcmp(outbox_next(outbox, 0)->name, first) > 0);
	outbox_close(&outbox);
	/* Also when the clock was ahead in an earlier life. */
	unit_write("outbox/9000000000000000-1-1-finish.json", "{}");
	outbox = open_outbox();
	add(outbox, OUTBOX_ACKNOWLEDGE, "1", 1);
	outbox_close(&outbox);
	outbox = open_outbox();
	expect_next(outbox, "1", OUTBOX_START);
	assert_true(outbox_drop(outbox, outbox_next(outbox, 0), NULL));
	expect_next(outbox, "1", OUTBOX_FINISH);
	assert_true(outbox_drop(outbox, outbox_next(outbox, 0), NULL));
	expect_next(outbox, "1", OUTBOX_ACKNOWLEDGE);
	outbox_close(&outbox);
}

static void
many_jobs_take_turns(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	assert_null(outbox_next(outbox, INT64_MAX));
	assert_int_equal(outbox_next_due(outbox), -1);
	for (int i = 0; i < 20; i++) {
		scoped_free char *job = format("%d", i);
		add(outbox, OUTBOX_START, job, 1);
		add(outbox, OUTBOX_FINISH, job, 1);
	}
	/* All that may be told now: each job's first, in the order they were added. */
	for (int i = 0; i < 20; i++) {
		scoped_free char *job = format("%d", i);
		expect_next(outbox, job, OUTBOX_START);
		outbox_next(outbox, 0)->under_way = true;
	}
	assert_null(outbox_next(outbox, 0));
	assert_int_equal(outbox_next_due(outbox), -1);
}

static void
the_earliest_due_is_next(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	struct outbox_entry *one, *two;
	add(outbox, OUTBOX_FINISH, "1", 1);
	add(outbox, OUTBOX_ACKNOWLEDGE, "1", 1);
	add(outbox, OUTBOX_FINISH, "2", 1);
	one = outbox_next(outbox, 0);
	one->due = 900;
	two = outbox_next(outbox, 0);
	two->due = 700;
	assert_int_equal(outbox_next_due(outbox), 700);
	assert_null(outbox_next(outbox, 699));
	assert_ptr_equal(outbox_next(outbox, 700), two);
	/* Whoever waits for the longest, so that a few that fail slowly keep nobody out for ever.
	 */
	assert_ptr_equal(outbox_next(outbox, 900), two);
	two->under_way = true;
	assert_int_equal(outbox_next_due(outbox), 900);
	assert_ptr_equal(outbox_next(outbox, 900), one);
	/* What comes after a letter is due when that one was told. */
	assert_true(outbox_drop(outbox, one, NULL));
	assert_int_equal(outbox_next_due(outbox), 0);
}

static void
a_damaged_letter_is_told_of(void **state)
{
	(void)state;
	make_outbox();
	unit_write("outbox/0000000000000001-1-1-finish.json", "{\"body\":");
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	struct outbox_letter letter;
	struct failure why = FAILURE_INIT;
	assert_false(outbox_read(outbox, outbox_next(outbox, 0), &letter, &why));
	assert_non_null(strstr(why.message, "0000000000000001-1-1-finish.json"));
	assert_false(why.retryable);
	assert_true(outbox_park(outbox, outbox_next(outbox, 0), &why, NULL));
	assert_int_equal(outbox_count(outbox), 0);
	expect_files("parked",
	             "0000000000000001-1-1-finish.json 0000000000000001-1-1-finish.json.why");
}

static void
a_lost_attempts_letter_under_way_stays(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	add(outbox, OUTBOX_START, "1", 1);
	add(outbox, OUTBOX_FINISH, "1", 1);
	outbox_next(outbox, 0)->under_way = true;
	assert_true(outbox_holds(outbox, OUTBOX_FINISH, "1", 1));
	assert_false(outbox_holds(outbox, OUTBOX_FINISH, "1", 2));
	outbox_forget(outbox, "1", 1);
	assert_int_equal(outbox_count(outbox), 1);
	assert_true(outbox_holds(outbox, OUTBOX_START, "1", 1));
	assert_false(outbox_holds(outbox, OUTBOX_FINISH, "1", 1));
}

static void
a_tarball_is_parked_with_its_letter(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	struct failure reason = FAILURE_INIT;
	unit_write("model", "BZh");
	struct outbox_letter letter = {.kind = OUTBOX_UPLOAD,
	                               .job = copy_string("1"),
	                               .attempt = 1,
	                               .model = copy_string("4"),
	                               .file = unit_path("model")};
	assert_true(outbox_add(outbox, &letter, NULL));
	outbox_letter_done(&letter);
	fail(&reason, FAILURE_NOT_FOUND, "no model 4");
	failure_set_details(&reason, "404", 3);
	assert_true(outbox_park(outbox, outbox_next(outbox, 0), &reason, NULL));
	expect_files("outbox", "");
	scoped_free char *parked = unit_path("parked");
	scoped(strings_done) struct strings names = STRINGS_INIT;
	assert_true(directory_list(AT_FDCWD, parked, &names, NULL));
	assert_int_equal(names.count, 3);
	assert_true(ends_with(names.items[0], "-1-1-upload.data"));
	assert_int_equal(outbox_parked(outbox), 1);
	failure_done(&reason);
}

static void
a_missing_tarball_adds_nothing(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	struct failure why = FAILURE_INIT;
	struct outbox_letter letter = {.kind = OUTBOX_UPLOAD,
	                               .job = copy_string("1"),
	                               .attempt = 1,
	                               .model = copy_string("4"),
	                               .file = unit_path("model")};
	assert_false(outbox_add(outbox, &letter, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
	outbox_letter_done(&letter);
	assert_int_equal(outbox_count(outbox), 0);
	expect_files("outbox", "");
}

static void
bytes_that_mean_nothing_are_parked(void **state)
{
	(void)state;
	scoped(outbox_close) struct outbox *outbox = open_outbox();
	struct failure reason = {.code = FAILURE_BAD_MESSAGE, .message = "no job"};
	scoped(text_done) struct text bytes = TEXT_INIT, nothing = TEXT_INIT;
	text_add(&bytes, "a\0b", 3);
	assert_true(outbox_park_bytes(outbox, "message", &bytes, &reason, NULL));
	assert_true(outbox_park_bytes(outbox, "message", &nothing, &reason, NULL));
	assert_int_equal(outbox_parked(outbox), 2);
	assert_int_equal(outbox_count(outbox), 0);
	scoped_free char *parked = unit_path("parked");
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(directory_list(AT_FDCWD, parked, &names, NULL));
	assert_true(starts_with(names.items[0], "message-")
	            && starts_with(names.items[1], "message-"));
	scoped_free char *first = format("%s/%s", parked, names.items[0]);
	assert_true(file_read(AT_FDCWD, first, 100, &text, NULL));
	assert_int_equal(text.length, 3);
	assert_memory_equal(text.bytes, "a\0b", 3);
	unit_write("parked/claim-1-1.json", "x");
	assert_true(outbox_count_parked(outbox, NULL));
	assert_int_equal(outbox_parked(outbox), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(a_jobs_letters_go_in_order),
	    unit_test_in_directory(the_first_that_waits_holds_up_its_job_alone),
	    unit_test_in_directory(letters_about_no_job_hold_up_nobody),
	    unit_test_in_directory(everything_is_there_after_a_restart),
	    unit_test_in_directory(what_is_written_is_read),
	    unit_test_in_directory(a_parked_letter_keeps_its_reason),
	    unit_test_in_directory(a_lost_attempt_is_forgotten),
	    unit_test_in_directory(a_models_tarball_goes_along),
	    unit_test_in_directory(what_a_crash_left_half_done_is_swept),
	    unit_test_in_directory(names_that_are_not_ours_are_left_alone),
	    unit_test_in_directory(a_sequence_never_comes_twice),
	    unit_test_in_directory(many_jobs_take_turns),
	    unit_test_in_directory(the_earliest_due_is_next),
	    unit_test_in_directory(a_damaged_letter_is_told_of),
	    unit_test_in_directory(a_lost_attempts_letter_under_way_stays),
	    unit_test_in_directory(a_tarball_is_parked_with_its_letter),
	    unit_test_in_directory(a_missing_tarball_adds_nothing),
	    unit_test_in_directory(bytes_that_mean_nothing_are_parked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
