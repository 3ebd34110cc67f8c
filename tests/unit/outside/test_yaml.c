/* The walk over YAML: job messages as the existing dashboard writes them, configuration files, and
 * what is refused. */
#include "base/text.h"
#include "outside/yaml.h"
#include "unit.h"

/* One line a visit: "line key=value", plain values in <>, others in []. */
static bool
note(const struct yaml_event_seen *seen, void *data, struct failure *why)
{
	struct text *text = data;
	(void)why;
	text_addf(text, "%d ", seen->line);
	if (seen->kind == YAML_LIST)
		text_addf(text, "%s:\n", seen->key);
	else
		text_addf(text, seen->plain ? "%s%s<%s>\n" : "%s%s[%s]\n", seen->key,
		          seen->kind == YAML_ITEM ? "-" : "=", seen->value);
	return true;
}

static void
assert_seen(const char *yaml, const char *expected)
{
	scoped(text_done) struct text seen = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool walked = yaml_walk(yaml, strlen(yaml), note, &seen, &why);
	assert_string_equal(why.message, "");
	assert_true(walked);
	assert_string_equal(text_string(&seen), expected);
}

static void
assert_refused_bytes(const char *yaml, size_t length, const char *message)
{
	scoped(text_done) struct text seen = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_false(yaml_walk(yaml, length, note, &seen, &why));
	assert_int_equal(why.code, FAILURE_BAD_MESSAGE);
	assert_string_equal(why.message, message);
}

static void
assert_refused(const char *yaml, const char *message)
{
	assert_refused_bytes(yaml, strlen(yaml), message);
}

/* ---- job messages ---- */

static void
reads_the_messages_of_the_existing_dashboard(void **state)
{
	(void)state;
	assert_seen("---\n:version: 2\n:job_id: 1\n:job_type: :build\n"
	            ":commit: 287a688f338d5d8c7b27b8915629893721a1fcac\n",
	            "2 :version=<2>\n3 :job_id=<1>\n4 :job_type=<:build>\n"
	            "5 :commit=<287a688f338d5d8c7b27b8915629893721a1fcac>\n");
	assert_seen(
	    "---\n:version: 2\n:job_id: 2\n:job_type: :run\n"
	    ":commit: 287a688f338d5d8c7b27b8915629893721a1fcac\n:model_id: 1\n"
	    ":jar_file_key: builds/287a688f338d5d8c7b27b8915629893721a1fcac.jar\n"
	    ":model_file_key: "
	    "models/9cbd95da72f1274e496d4a7d823b0106f51838c4621879d7379e69a97bca2c21.tar.bz2\n"
	    ":algorithm: GIA\n",
	    "2 :version=<2>\n3 :job_id=<2>\n4 :job_type=<:run>\n"
	    "5 :commit=<287a688f338d5d8c7b27b8915629893721a1fcac>\n6 :model_id=<1>\n"
	    "7 :jar_file_key=<builds/287a688f338d5d8c7b27b8915629893721a1fcac.jar>\n"
	    "8 :model_file_key=<"
	    "models/9cbd95da72f1274e496d4a7d823b0106f51838c4621879d7379e69a97bca2c21.tar.bz2>\n"
	    "9 :algorithm=<GIA>\n");
}

static void
reads_every_way_of_quoting(void **state)
{
	(void)state;
	static const struct {
		const char *written, *seen;
	} values[] = {
	    {"'1234567890123456789012345678901234567890'",
	     "[1234567890123456789012345678901234567890]"},
	    {"'0b1'", "[0b1]"},
	    {"'0x12'", "[0x12]"},
	    {"'12_3'", "[12_3]"},
	    {"'true'", "[true]"},
	    {"'null'", "[null]"},
	    {"'1.5'", "[1.5]"},
	    {"'a: b'", "[a: b]"},
	    {"'x #y'", "[x #y]"},
	    {"''", "[]"},
	    {"'2014-01-02'", "[2014-01-02]"},
	    {"'it''s'", "[it's]"},
	    {"\"@x\"", "[@x]"},
	    {"\"- x\"", "[- x]"},
	    {"\"\\u00e9\\n\"", "[\xc3\xa9\n]"},
	    {"12345678901234567890123456789012345678e9",
	     "<12345678901234567890123456789012345678e9>"},
	    {"|-\n  one\n  two", "[one\ntwo]"},
	    {"", "<>"},
	    {" ", "<>"},
	    {"~", "<~>"},
	    {"5 # five", "<5>"},
	};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		/* A block begins where its mark stands. */
		scoped_free char *yaml = format("---\n:x: %s\n:y: 1\n", values[i].written);
		scoped_free char *expected = format("2 :x=%s\n%d :y=<1>\n", values[i].seen,
		                                    values[i].written[0] == '|' ? 5 : 3);
		assert_seen(yaml, expected);
	}
}

static void
reads_json(void **state)
{
	(void)state;
	assert_seen("{\"version\":2,\"job\":{\"id\":\"7\",\"tags\":[\"a\",\"b\"]},\"none\":null}",
	            "1 version=<2>\n1 job.id=[7]\n1 job.tags:\n1 job.tags-[a]\n1 job.tags-[b]\n"
	            "1 none=<null>\n");
}

/* ---- configuration ---- */

static void
reads_nested_and_dotted_keys_alike(void **state)
{
	(void)state;
	assert_seen("# workers\nname: host/1\nstore:\n  type: directory\n  path: /srv/store\n"
	            "git.timeout: 1h\ndisk: {free-bytes: 2GiB}\n",
	            "2 name=<host/1>\n4 store.type=<directory>\n5 store.path=</srv/store>\n"
	            "6 git.timeout=<1h>\n7 disk.free-bytes=<2GiB>\n");
}

static void
reads_lists(void **state)
{
	(void)state;
	assert_seen(
	    "queues: [ci, \"a b\"]\nbuild:\n  commands:\n  - ant deps\n  - ant dist\nnone: []\n",
	    "1 queues:\n1 queues-<ci>\n1 queues-[a b]\n4 build.commands:\n"
	    "4 build.commands-<ant deps>\n5 build.commands-<ant dist>\n6 none:\n");
}

static void
an_empty_document_holds_nothing(void **state)
{
	(void)state;
	assert_seen("", "");
	assert_seen("# nothing\n", "");
	assert_seen("---\n", "");
	assert_seen("{}", "");
}

/* ---- refused ---- */

static void
refuses_what_has_no_place(void **state)
{
	(void)state;
	assert_refused("a: 1\nb: &x 1\n", "line 2: anchors and tags are not allowed");
	assert_refused("a: &x {b: 1}\n", "line 1: anchors and tags are not allowed");
	assert_refused("a: &x [1]\n", "line 1: anchors and tags are not allowed");
	assert_refused("a: 1\nb: *x\n", "line 2: aliases are not allowed");
	assert_refused("*x : 1\n", "line 1: aliases are not allowed");
	assert_refused("a: !ruby/object:Gem::Requirement\n  b: 1\n",
	               "line 1: anchors and tags are not allowed");
	assert_refused("a: !!str 1\n", "line 1: anchors and tags are not allowed");
	assert_refused("? [a]\n: 1\n", "line 1: a key must be a plain word");
	assert_refused("a:\n- [1]\n", "line 2: a list may hold plain values only");
	assert_refused("- a\n", "line 1: keys with values are expected");
	assert_refused("word\n", "line 1: keys with values are expected");
	assert_refused("a: 1\n---\nb: 1\n", "line 2: a second document is not allowed");
}

static void
refuses_keys_twice(void **state)
{
	(void)state;
	assert_refused("a: 1\nb: 2\na: 3\n", "line 3: a stands there twice");
	assert_refused("a.b: 1\na:\n  b: 2\n", "line 3: a.b stands there twice");
}

static void
tells_the_line_of_an_error(void **state)
{
	(void)state;
	assert_refused("a: 1\nb: c: d\n", "line 2: mapping values are not allowed in this context");
	assert_refused("a: 1\nword\nb: 2\n", "line 2: could not find expected ':'");
	assert_refused("a: 1\nb: [1\n", "line 3: did not find expected ',' or ']'");
	assert_refused("a: 1\nb: \xff\n", "line 2: invalid leading UTF-8 octet");
	assert_refused("a: 1\n\nb: \x01\n", "line 3: control characters are not allowed");
}

static void
refuses_nul_characters(void **state)
{
	(void)state;
	assert_refused("a: \"x\\0y\"\n", "line 1: a NUL character is not allowed");
	assert_refused("\"a\\0b\": 1\n", "line 1: a NUL character is not allowed");
	assert_refused("a: 1\nb: [\"\\0\"]\n", "line 2: a NUL character is not allowed");
	assert_refused_bytes("a: 1\nb: \0\n", 10, "line 2: control characters are not allowed");
}

static void
refuses_too_deep_nesting(void **state)
{
	(void)state;
	assert_seen("{a: {b: {c: {d: {e: {f: {g: {h: 1}}}}}}}}", "1 a.b.c.d.e.f.g.h=<1>\n");
	assert_refused("{a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}}",
	               "line 1: nested too deeply");
}

static void
refuses_too_much(void **state)
{
	(void)state;
	scoped(text_done) struct text keys = TEXT_INIT;
	for (int i = 0; i < 1000; i++)
		text_addf(&keys, "k%d: 1\n", i);
	scoped(text_done) struct text seen = TEXT_INIT;
	assert_true(yaml_walk(keys.bytes, keys.length, note, &seen, NULL));
	text_add_string(&keys, "one-more: 1\n");
	assert_refused_bytes(keys.bytes, keys.length, "line 1001: too many keys");

	scoped(text_done) struct text comment = TEXT_INIT;
	while (comment.length < 64 * 1024)
		text_add_string(&comment, "#.......");
	assert_seen(comment.bytes, "");
	text_add_string(&comment, "#");
	assert_refused(comment.bytes, "more than 65536 bytes");
}

static bool
object(const struct yaml_event_seen *seen, void *data, struct failure *why)
{
	int *visits = data;
	++*visits;
	return strcmp(seen->key, "b") != 0
	       || fail(why, FAILURE_CONFIGURATION, "no %s here", seen->key);
}

static void
the_visitor_may_end_the_walk(void **state)
{
	(void)state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	const char *yaml = "a: 1\nb: 2\nc: 3\n";
	int visits = 0;
	assert_false(yaml_walk(yaml, strlen(yaml), object, &visits, &why));
	assert_int_equal(visits, 2);
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	assert_string_equal(why.message, "no b here");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_the_messages_of_the_existing_dashboard),
	    cmocka_unit_test(reads_every_way_of_quoting),
	    cmocka_unit_test(reads_json),
	    cmocka_unit_test(reads_nested_and_dotted_keys_alike),
	    cmocka_unit_test(reads_lists),
	    cmocka_unit_test(an_empty_document_holds_nothing),
	    cmocka_unit_test(refuses_what_has_no_place),
	    cmocka_unit_test(refuses_keys_twice),
	    cmocka_unit_test(tells_the_line_of_an_error),
	    cmocka_unit_test(refuses_nul_characters),
	    cmocka_unit_test(refuses_too_deep_nesting),
	    cmocka_unit_test(refuses_too_much),
	    cmocka_unit_test(the_visitor_may_end_the_walk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
