/* XML as a walk over elements: what S3 says, and what it must not say. */
#include "base/text.h"
#include "outside/xml.h"
#include "unit.h"

/* Every element as a line "path=text". */
static bool
note(const char *path, const char *text, void *data, struct failure *why)
{
	text_addf(data, "%s=%s\n", path, text);
	return !strstr(text, "enough") || fail(why, FAILURE_CONFLICT, "enough of it");
}

static void
assert_seen(const char *document, const char *seen)
{
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(xml_walk(document, strlen(document), note, &text, NULL));
	assert_string_equal(text_string(&text), seen);
}

static void
assert_refused(const char *bytes, size_t length, const char *message)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(text_done) struct text text = TEXT_INIT;
	assert_false(xml_walk(bytes, length, note, &text, &why));
	assert_int_equal(why.code, FAILURE_BAD_ANSWER);
	assert_non_null(strstr(why.message, message));
}

static void
test_elements_with_their_text(void **state)
{
	(void)state;
	assert_seen("<?xml version='1.0' encoding='UTF-8'?>\n"
	            "<Error><Code>NoSuchKey</Code><Message>no &lt;key&gt; &#xe9;</Message></Error>",
	            "Error/Code=NoSuchKey\nError/Message=no <key> \xc3\xa9\nError=\n");
	assert_seen("<a>one<b/>two<b><![CDATA[<&]]></b></a>", "a/b=\na/b=<&\na=onetwo\n");
}

static void
test_repeated_elements_come_one_by_one(void **state)
{
	(void)state;
	assert_seen("<L><U><K>a</K></U><U><K>b</K></U></L>", "L/U/K=a\nL/U=\nL/U/K=b\nL/U=\nL=\n");
}

static void
test_blanks_before_the_document(void **state)
{
	(void)state;
	assert_seen(" \r\n\t <?xml version='1.0'?><a>x</a> \n", "a=x\n");
}

static void
test_name_spaces_are_not_told_apart(void **state)
{
	(void)state;
	assert_seen("<a:/>", "a:=\n");
	assert_seen(
	    "<s:Error xmlns:s='http://s3'><s:Code>x</s:Code><Code xmlns='y'>z</Code></s:Error>",
	    "Error/Code=x\nError/Code=z\nError=\n");
}

static void
test_the_visitor_ends_the_walk(void **state)
{
	(void)state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(text_done) struct text text = TEXT_INIT;
	static const char document[] = "<a><b>1</b><b>enough</b><b>2</b></a>";
	assert_false(xml_walk(document, strlen(document), note, &text, &why));
	assert_int_equal(why.code, FAILURE_CONFLICT);
	assert_string_equal(text_string(&text), "a/b=1\na/b=enough\n");
}

static void
test_what_is_no_document(void **state)
{
	(void)state;
	static const char *const broken[] = {
	    "",
	    " ",
	    "<a>",
	    "<a></b>",
	    "<a>&nbsp;</a>",
	    "plain text",
	    "<a/><b/>",
	    "{\"a\":1}",
	    "<html><br></html>",
	    "<a>\x01</a>",
	    "<a>\xff\xfe</a>",
	};
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		assert_refused(broken[i], strlen(broken[i]), "line 1: ");
	assert_refused("<a>\0</a>", 8, "line 1: ");
	assert_refused("\0", 1, "line 1: ");
}

static void
test_entities_are_refused(void **state)
{
	(void)state;
	static const char *const hostile[] = {
	    "<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;'>]><a>&y;</a>",
	    "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
	    "<!DOCTYPE a SYSTEM 'http://127.0.0.1/x.dtd'><a/>",
	    "<!DOCTYPE html><html/>",
	};
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
		assert_refused(hostile[i], strlen(hostile[i]), "a document type is not allowed");
}

static void
test_limits(void **state)
{
	(void)state;
	scoped(text_done) struct text deep = TEXT_INIT, many = TEXT_INIT, large = TEXT_INIT;
	for (int i = 0; i < 17; i++)
		text_add_string(&deep, "<a>");
	assert_refused(text_string(&deep), deep.length, "too many levels");
	text_add_string(&many, "<a>");
	for (int i = 0; i < 100000; i++)
		text_add_string(&many, "<b/>");
	text_add_string(&many, "</a>");
	assert_refused(text_string(&many), many.length, "too many elements");
	text_add_string(&large, "<a>");
	memset(text_reserve(&large, 4 << 20), 'x', 4 << 20);
	large.length += 4 << 20;
	text_add_string(&large, "</a>");
	assert_refused(text_string(&large), large.length, "longer than");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_elements_with_their_text),
	    cmocka_unit_test(test_repeated_elements_come_one_by_one),
	    cmocka_unit_test(test_blanks_before_the_document),
	    cmocka_unit_test(test_name_spaces_are_not_told_apart),
	    cmocka_unit_test(test_the_visitor_ends_the_walk),
	    cmocka_unit_test(test_what_is_no_document),
	    cmocka_unit_test(test_entities_are_refused),
	    cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
