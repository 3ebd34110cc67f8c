/* Any bytes as JSON: what a dashboard or a server may answer. What is read and written again must
 * read as the same. */
#include <string.h>

#include "base/scoped.h"
#include "fuzz.h"
#include "outside/json.h"

static void visit(const char *key, const struct json_t *value, void *data);

static void
ask(const struct json_t *value)
{
	int64_t integer;
	double real;
	js_string(value, "job_id");
	js_integer(value, "job_id", &integer);
	js_real(value, "job_id", &real);
	for (size_t i = 0; i < js_size(value); i++)
		ask(js_item(value, i));
	if (js_is_object(value))
		js_each(value, visit, NULL);
}

static void
visit(const char *key, const struct json_t *value, void *data)
{
	(void)data;
	must_hold(key != NULL);
	ask(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	scoped(js_drop) struct json_t *value = NULL, *again = NULL;
	struct failure why = FAILURE_INIT;
	if (!js_parse((const char *)bytes, length, &value, &why)) {
		must_hold(why.code == FAILURE_BAD_ANSWER && value == NULL);
		failure_done(&why);
		return 0;
	}
	ask(value);
	scoped_free char *text = js_text(value);
	must_hold(js_parse(text, strlen(text), &again, NULL));
	scoped_free char *text_again = js_text(again);
	must_hold(strcmp(text, text_again) == 0);
	return 0;
}
