#include "unit.h"
#include "unit_directory.h"
#include "work/claim.h"

#define COMMIT "287a688f338d5d8c7b27b8915629893721a1fcac"
#define BODY   "---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: " COMMIT "\n"

static struct claim
claim_of(const char *body, const char *id, int attempt)
{
	return (struct claim){.job = {.id = copy_string(id), .attempt = attempt},
	                      .message = {.body = copy_string(body),
	                                  .id = copy_string("3afb1aad"),
	                                  .receipt = copy_string("r\"1"),
	                                  .queue = copy_string("build"),
	                                  .attempt = attempt,
	                                  .handbacks = 1}};
}

static void
make_places(void)
{
	scoped_free char *claims = unit_path("claims"), *parked = unit_path("parked");
	assert_true(directory_make(claims, 0700, NULL) && directory_make(parked, 0700, NULL));
}

static void
expect_names(const char *wanted)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(claim_list(unit_directory, &names, NULL));
	for (size_t i = 0; i < names.count; i++)
		text_addf(&text, "%s%s", i ? " " : "", names.items[i]);
	assert_string_equal(text_string(&text), wanted);
}

static void
what_was_claimed_comes_back(void **state)
{
	(void)state;
	scoped(claim_done) struct claim claim = claim_of(BODY, "1", 3), again = CLAIM_INIT;
	make_places();
	assert_true(claim_write(unit_directory, &claim, NULL));
	expect_names("1-3.json");
	assert_true(claim_read(unit_directory, "1-3.json", &again, NULL));
	assert_string_equal(again.job.id, "1");
	assert_string_equal(again.job.commit, COMMIT);
	assert_int_equal(again.job.type, JOB_BUILD);
	assert_int_equal(again.job.attempt, 3);
	assert_string_equal(again.message.body, BODY);
	assert_string_equal(again.message.id, "3afb1aad");
	assert_string_equal(again.message.receipt, "r\"1");
	assert_string_equal(again.message.queue, "build");
	assert_int_equal(again.message.attempt, 3);
	assert_int_equal(again.message.handbacks, 1);
	assert_true(claim_remove(unit_directory, &again, NULL));
	expect_names("");
	assert_true(claim_remove(unit_directory, &again, NULL));
}

static void
an_attempt_is_a_claim_of_its_own(void **state)
{
	(void)state;
	scoped(claim_done) struct claim first = claim_of(BODY, "1", 1);
	scoped(claim_done) struct claim second = claim_of(BODY, "1", 2);
	make_places();
	assert_true(claim_write(unit_directory, &first, NULL));
	assert_true(claim_write(unit_directory, &second, NULL));
	unit_write("claims/.1-3.json.tmp", "half");
	expect_names("1-1.json 1-2.json");
	assert_true(claim_remove(unit_directory, &first, NULL));
	expect_names("1-2.json");
}

static void
a_kept_claim_is_renewed(void **state)
{
	(void)state;
	scoped(claim_done) struct claim claim = claim_of(BODY, "1", 3), again = CLAIM_INIT;
	make_places();
	assert_true(claim_write(unit_directory, &claim, NULL));
	claim.kept = true;
	assert_true(claim_write(unit_directory, &claim, NULL));
	expect_names("1-3.json");
	assert_false(claim_was_renewed(unit_directory, &claim));
	assert_true(claim_renew(unit_directory, &claim, true, NULL));
	expect_names("1-4.json");
	assert_true(claim_was_renewed(unit_directory, &claim));
	assert_true(claim_read(unit_directory, "1-4.json", &again, NULL));
	assert_true(again.kept);
	assert_int_equal(again.job.attempt, 4);
	assert_int_equal(again.message.handbacks, 2);
	assert_string_equal(again.message.id, "3afb1aad");
}

static void
expect_unreadable(const char *name, const char *content)
{
	struct claim claim = CLAIM_INIT;
	struct failure why = FAILURE_INIT;
	scoped_free char *path = format("claims/%s", name);
	unit_write(path, content);
	assert_false(claim_read(unit_directory, name, &claim, &why));
	assert_non_null(strstr(why.message, name));
	assert_true(claim_park(unit_directory, name, NULL));
	scoped_free char *parked = format("%s/parked/claim-%s", unit_directory, name);
	assert_true(file_exists(AT_FDCWD, parked));
	expect_names("");
}

static void
what_cannot_be_read_is_parked(void **state)
{
	(void)state;
	make_places();
	expect_unreadable("1-1.json", "");
	expect_unreadable("1-1.json", "{\"body\":");
	expect_unreadable("1-1.json", "{}");
	expect_unreadable("1-1.json", "[]");
	expect_unreadable("1-1.json", "{\"body\":\"---\\n:version: 2\\n:job_id: ../1\\n\","
	                              "\"id\":\"i\",\"receipt\":\"r\",\"attempt\":1}");
	expect_unreadable("1-1.json", "{\"body\":\"---\\n:version: 1\\n\","
	                              "\"id\":\"i\",\"receipt\":\"r\",\"attempt\":1}");
}

#define CONTENT(ATTEMPT)                                                                           \
	"{\"body\":\"---\\n:version: 2\\n:job_id: 1\\n:job_type: :build\\n:commit: " COMMIT        \
	"\\n\",\"id\":\"i\",\"receipt\":\"r\",\"attempt\":" ATTEMPT "}"

/* One that is removed under another name would be settled at every start. */
static void
one_under_a_wrong_name_is_parked(void **state)
{
	(void)state;
	struct claim claim = CLAIM_INIT;
	make_places();
	unit_write("claims/1-2.json", CONTENT("2"));
	assert_true(claim_read(unit_directory, "1-2.json", &claim, NULL));
	claim_done(&claim);
	expect_names("1-2.json");
	assert_true(claim_park(unit_directory, "1-2.json", NULL));
	expect_unreadable("1-1.json", CONTENT("2"));
	expect_unreadable("copy of 1-2.json", CONTENT("2"));
	expect_unreadable("1-0.json", CONTENT("0"));
	expect_unreadable("1-1.json", CONTENT("4294967297"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(what_was_claimed_comes_back),
	    unit_test_in_directory(an_attempt_is_a_claim_of_its_own),
	    unit_test_in_directory(a_kept_claim_is_renewed),
	    unit_test_in_directory(what_cannot_be_read_is_parked),
	    unit_test_in_directory(one_under_a_wrong_name_is_parked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
