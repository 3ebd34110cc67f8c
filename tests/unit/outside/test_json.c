/* JSON in and out: what our workers write, and what servers may send. */
#include "base/text.h"
#include "outside/json.h"
#include "unit.h"

static struct json_t *
parsed(const char *bytes)
{
	struct json_t *value = NULL;
	assert_true(js_parse(bytes, strlen(bytes), &value, NULL));
	return value;
}

static void
assert_refused(const char *bytes, const char *part)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct json_t *value = NULL;
	assert_false(js_parse(bytes, strlen(bytes), &value, &why));
	assert_null(value);
	assert_int_equal(why.code, FAILURE_BAD_ANSWER);
	assert_non_null(strstr(why.message, part));
}

static void
writes_keys_in_order_without_spaces(void **state)
{
	(void)state;
	scoped(js_drop) struct json_t *finish = js_object();
	js_set_string(finish, "secret_key", "3afb1aad");
	js_set_integer(finish, "return_code", 0);
	js_set_string(finish, "error_message", NULL);
	js_set_real(finish, "real_time_seconds", 0.375803);
	js_set_bool(finish, "last", true);
	js_set_null(finish, "job_id");
	scoped_free char *text = js_text(finish);
	assert_string_equal(text, "{\"secret_key\":\"3afb1aad\",\"return_code\":0,"
	                          "\"real_time_seconds\":0.375803,\"last\":true,\"job_id\":null}");
}

static void
writes_for_people_too(void **state)
{
	(void)state;
	scoped(js_drop) struct json_t *object = js_object();
	struct json_t *list = js_array();
	js_append_string(list, "a");
	js_append(list, js_object());
	js_set(object, "list", list);
	scoped_free char *text = js_pretty(object);
	assert_string_equal(text, "{\n \"list\": [\n  \"a\",\n  {}\n ]\n}\n");
}

/* Commit messages, build logs and file names may hold any bytes. */
static void
strings_that_are_no_utf8_are_made_so(void **state)
{
	(void)state;
	scoped(js_drop) struct json_t *object = js_object();
	js_set_string(object, "log", "caf\xe9\n");
	js_set_string(object, "fine", "caf\xc3\xa9\n");
	assert_string_equal(js_string(object, "log"), "caf\xef\xbf\xbd\n");
	assert_string_equal(js_string(object, "fine"), "caf\xc3\xa9\n");
}

static void
reads_members_by_type(void **state)
{
	(void)state;
	scoped(js_drop) struct json_t *object = parsed(
	    "{\"s\":\"x\",\"i\":-7,\"r\":1.5,\"t\":true,\"f\":false,\"n\":null,"
	    "\"a\":[\"p\",2],\"o\":{\"k\":\"v\"}}");
	int64_t integer = 99;
	double real = 99;
	assert_string_equal(js_string(object, "s"), "x");
	assert_true(js_integer(object, "i", &integer));
	assert_int_equal(integer, -7);
	assert_true(js_real(object, "r", &real) && real > 1.4 && real < 1.6);
	assert_true(js_real(object, "i", &real) && real < -6.9);
	assert_true(js_true(object, "t"));
	assert_false(js_true(object, "f"));
	assert_true(js_is_null(object, "n"));
	assert_false(js_is_null(object, "absent"));
	assert_int_equal(js_size(js_member(object, "a")), 2);
	assert_string_equal(js_item_string(js_member(object, "a"), 0), "p");
	assert_null(js_item_string(js_member(object, "a"), 1));
	assert_null(js_item(js_member(object, "a"), 2));
	assert_true(js_is_object(js_member(object, "o")));
	assert_true(js_is_array(js_member(object, "a")));
}

static void
another_type_or_nothing_is_no_value(void **state)
{
	(void)state;
	scoped(js_drop) struct json_t *object = parsed("{\"s\":\"1\",\"r\":1.0,\"i\":1}");
	int64_t integer = 99;
	double real = 99;
	assert_false(js_integer(object, "s", &integer));
	assert_false(js_integer(object, "r", &integer));
	assert_false(js_integer(object, "absent", &integer));
	assert_int_equal(integer, 99);
	assert_false(js_real(object, "s", &real));
	assert_null(js_string(object, "i"));
	assert_null(js_string(object, "absent"));
	assert_null(js_member(object, "absent"));
	assert_null(js_string(NULL, "s"));
	assert_int_equal(js_size(object), 0);
	assert_int_equal(js_size(NULL), 0);
}

static void
refuses_what_is_not_json(void **state)
{
	(void)state;
	assert_refused("", "line 1");
	assert_refused("<h1>Internal Server Error</h1>", "line 1 column 1");
	assert_refused("{\"a\":1", "line 1");
	assert_refused("{\"a\":1} trailing", "line 1");
	assert_refused("{\"a\":1,\n\"a\":2}", "line 2");
	assert_refused("\"only a string\"", "line 1");
	assert_refused("{\"a\":\"\xff\"}", "line 1");
	assert_refused("{\"a\":\"\\u0000\"}", "line 1");
	assert_refused("{\"a\":1e999}", "line 1");
	assert_refused("{\"a\":9223372036854775808}", "line 1");
}

static void
refuses_bottomless_nesting(void **state)
{
	(void)state;
	scoped(text_done) struct text deep = TEXT_INIT;
	for (int i = 0; i < 100000; i++)
		text_add_string(&deep, "[");
	assert_refused(deep.bytes, "depth");
}

static void
list_names(const char *key, const struct json_t *value, void *data)
{
	text_addf(data, "%s=%s ", key, js_as_string(value));
}

static void
members_are_visited_in_order(void **state)
{
	(void)state;
	scoped(js_drop) struct json_t *object = parsed("{\"z\":\"1\",\"a\":\"2\",\"m\":\"3\"}");
	scoped(text_done) struct text names = TEXT_INIT;
	js_each(object, list_names, &names);
	assert_string_equal(text_string(&names), "z=1 a=2 m=3 ");
}

static void
a_copy_is_its_own(void **state)
{
	(void)state;
	scoped(js_drop) struct json_t *object = parsed("{\"a\":{\"b\":\"1\"}}");
	scoped(js_drop) struct json_t *copy = js_copy(object);
	js_set_string(copy, "c", "2");
	js_drop(&object);
	assert_null(object);
	assert_string_equal(js_string(js_member(copy, "a"), "b"), "1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(writes_keys_in_order_without_spaces),
	    cmocka_unit_test(writes_for_people_too),
	    cmocka_unit_test(strings_that_are_no_utf8_are_made_so),
	    cmocka_unit_test(reads_members_by_type),
	    cmocka_unit_test(another_type_or_nothing_is_no_value),
	    cmocka_unit_test(refuses_what_is_not_json),
	    cmocka_unit_test(refuses_bottomless_nesting),
	    cmocka_unit_test(members_are_visited_in_order),
	    cmocka_unit_test(a_copy_is_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
