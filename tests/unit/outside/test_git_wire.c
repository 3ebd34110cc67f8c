#include "../../../common/outside/git_wire.h"

#include <stdlib.h>

#include "base/scoped.h"
#include "unit.h"

static void
test_lists(void **state)
{
	static const char words[] = "00d3HASH HEAD\0multi_ack no-progress include-tag\n";
	static const char branches[1 << 20];
	(void)state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct git_list list = {0};
	assert_true(git_list_look(&list, NULL, 0, &why));
	assert_true(git_list_look(&list, words, 20, &why));
	assert_false(list.offers_silence);
	assert_true(git_list_look(&list, words, sizeof words, &why));
	assert_true(list.offers_silence);
	for (int i = 0; i < 63; i++)
		assert_true(git_list_look(&list, branches, sizeof branches, &why));
	assert_true(list.offers_silence);
	assert_false(git_list_look(&list, branches, sizeof branches, &why));
	assert_int_equal(why.code, FAILURE_REPOSITORY);
}

/* A commit "N" has the parent "N+1"; "m" is a merge of "1" and "a", which is "b"'s child. */
static void
add_parents(const char *hash, struct strings *list)
{
	if (strcmp(hash, "m") == 0) {
		strings_add(list, "1");
		strings_add(list, "a");
	} else if (strcmp(hash, "a") == 0) {
		strings_add(list, "b");
	} else if (atoi(hash) > 0) {
		strings_addf(list, "%d", atoi(hash) + 1);
	}
}

static const struct strings *moved;

static void
add_moved(struct strings *list)
{
	if (moved)
		strings_add_all(list, moved);
}

static const struct git_known known = {.add_parents = add_parents, .add_moved = add_moved};

static void
assert_request(const char *said, bool silence, const char *wanted)
{
	scoped(text_done) struct text text = TEXT_INIT;
	git_add_request(&text, said, strlen(said), silence, &known);
	assert_string_equal(text_string(&text), wanted);
}

static void
test_requests(void **state)
{
	(void)state;
	assert_request("0019want HASH thin-pack \n000fwant HASH2\n0000", true,
	               "0025want HASH thin-pack  no-progress\n000fwant HASH2\n0000");
	assert_request("0019want HASH thin-pack \n", false, "0019want HASH thin-pack \n");
	assert_request("000ewant HASH\n", true, "000ewant HASH\n");
	assert_request("000ehave HASH\n", true, "000ehave HASH\n");
	assert_request("0009done\n", true, "0009done\n");
	assert_request("00ffwant HASH thin-pack \n", true, "00ffwant HASH thin-pack \n");
	assert_request("want", true, "want");
	assert_request("", true, "");
}

static void
add_offer(struct text *text, const char *hash)
{
	text_addf(text, "%04zxhave %s\n", strlen("0000have \n") + strlen(hash), hash);
}

/* What of these offers is made, between two wishes and an end. */
static void
assert_offers(const char *const *said, const char *const *wanted)
{
	scoped(text_done) struct text request = TEXT_INIT, asked = TEXT_INIT;
	text_add_string(&request, "000ewant HASH\n0000");
	text_add_string(&asked, "000ewant HASH\n0000");
	for (; *said; said++)
		add_offer(&request, *said);
	for (; *wanted; wanted++)
		add_offer(&asked, *wanted);
	text_add_string(&request, "0009done\n");
	text_add_string(&asked, "0009done\n");
	assert_request(text_string(&request), true, text_string(&asked));
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
test_offers_of_history(void **state)
{
	(void)state;
	assert_offers(LIST("1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13",
	                   "14", "15", "16", "17", "18", "19", "20"),
	              LIST("1", "2", "5", "17"));
	/* Branches side by side. */
	assert_offers(LIST("1", "51", "2", "52", "3", "53"), LIST("1", "51", "2", "53"));
	assert_offers(LIST("m", "1", "a", "2", "b"), LIST("m", "1", "b"));
	/* Not known here; of another length. */
	assert_offers(LIST("x", "y", "z"), LIST("x", "y", "z"));
	/* An answer may name a commit twice. */
	assert_offers(LIST("1", "2", "5", "17", "17"), LIST("1", "2", "5", "17"));
	/* A child after its parent, as clocks may have it. */
	assert_offers(LIST("2", "1", "3"), LIST("2", "1", "3"));
}

static void
test_moved_branches_come_first(void **state)
{
	(void)state;
	scoped(strings_done) struct strings branches = STRINGS_INIT;
	strings_add(&branches, "1");
	strings_add(&branches, "x");
	moved = &branches;
	assert_offers(LIST("1", "2"), LIST("1", "x", "2"));
	assert_request("0019want HASH thin-pack \n00000009done\n", false,
	               "0019want HASH thin-pack \n0000000bhave 1\n000bhave x\n0009done\n");
	/* What goes on a conversation. */
	assert_request("000bhave a\n0000", false, "000bhave a\n0000");
	moved = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_offers_of_history),
	    cmocka_unit_test(test_moved_branches_come_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
