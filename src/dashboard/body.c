#include "body.h"

#include <math.h>
#include <string.h>

#include "base/units.h"
#include "outside/digest.h"
#include "outside/json.h"

bool
body_json(struct request *request, struct json_t **ret, struct failure *why)
{
	scoped(js_drop) struct json_t *body = NULL;
	struct failure inner = FAILURE_INIT;
	if (!js_parse(text_string(&request->body), request->body.length, &body, &inner))
		return fail(why, FAILURE_REJECTED, "%s", inner.message);
	if (!js_is_object(body))
		return fail(why, FAILURE_REJECTED, "a JSON object is needed");
	*ret = take_pointer(&body);
	return true;
}

/* Is there a value at all? JSON's null counts as none. */
static bool
is_told(const struct json_t *body, const char *name)
{
	return js_member(body, name) && !js_is_null(body, name);
}

static bool
read_integer(const struct json_t *body, const char *name, int64_t *ret)
{
	double real;
	const char *text = js_string(body, name);
	if (text)
		return number_parse(text, ret, NULL);
	if (js_integer(body, name, ret))
		return true;
	if (!js_real(body, name, &real) || real != floor(real) || fabs(real) > 1e15)
		return false;
	*ret = (int64_t)real;
	return true;
}

bool
body_integer(const struct json_t *body, const char *name, struct range range, int64_t *ret,
             struct failure *why)
{
	int64_t number;
	if (!is_told(body, name))
		return true;
	if (!read_integer(body, name, &number) || number < range.min || number > range.max)
		return fail(why, FAILURE_REJECTED, "%s must be a whole number from %lld to %lld",
		            name, (long long)range.min, (long long)range.max);
	*ret = number;
	return true;
}

bool
body_text(const struct json_t *body, const char *name, size_t limit, const char **ret,
          struct failure *why)
{
	if (!is_told(body, name))
		return true;
	const char *text = js_string(body, name);
	if (!text || strlen(text) > limit)
		return fail(why, FAILURE_REJECTED, "%s must be a text of at most %zu bytes", name,
		            limit);
	*ret = text;
	return true;
}

bool
body_sha256(const struct json_t *body, const char *name, const char **ret, struct failure *why)
{
	const char *text = NULL;
	if (!body_text(body, name, SHA256_TEXT, &text, why))
		return false;
	if (text && !digest_is_sha256(text))
		return fail(why, FAILURE_REJECTED, "%s must be 64 lower-case hex digits", name);
	if (text)
		*ret = text;
	return true;
}
