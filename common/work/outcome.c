#include "work/outcome.h"

#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "outside/json.h"

#define OUTCOME_LIMIT (1024 * 1024)

void
outcome_done(struct outcome *outcome)
{
	failure_done(&outcome->why);
	free_pointer(&outcome->result_key);
	free_pointer(&outcome->jar_sha256);
	free_pointer(&outcome->result_sha256);
	free_pointer(&outcome->measured_by);
	free_pointer(&outcome->populated);
	js_drop(&outcome->timings);
	*outcome = (struct outcome)OUTCOME_INIT;
}

static struct json_t *
failure_object(const struct failure *why)
{
	struct json_t *object = js_object();
	js_set_string(object, "code", failure_name(why->code));
	js_set_string(object, "step", why->step);
	js_set_string(object, "message", why->message);
	js_set_string(object, "details", why->details);
	return object;
}

bool
outcome_write(const struct outcome *outcome, int directory, struct failure *why)
{
	scoped(js_drop) struct json_t *object = js_object();
	js_set_bool(object, "success", outcome->success);
	if (outcome->why.code != FAILURE_NONE)
		js_set(object, "failure", failure_object(&outcome->why));
	js_set_integer(object, "return_code", outcome->return_code);
	js_set_string(object, "result_key", outcome->result_key);
	js_set_string(object, "jar_sha256", outcome->jar_sha256);
	js_set_string(object, "result_sha256", outcome->result_sha256);
	js_set_bool(object, "correct", outcome->correct);
	js_set_real(object, "wall_seconds", outcome->wall_seconds);
	js_set_real(object, "cpu_seconds", outcome->cpu_seconds);
	js_set_integer(object, "max_rss_bytes", outcome->max_rss_bytes);
	js_set_string(object, "measured_by", outcome->measured_by);
	js_set_string(object, "populated", outcome->populated);
	if (outcome->timings)
		js_set(object, "timings", js_copy(outcome->timings));
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *pretty = js_pretty(object);
	text_add_string(&text, pretty);
	return file_replace(directory, OUTCOME_FILE, &text, 0644, why);
}

/* Names of steps come back from a file, but failure.step is a constant: keep each name once. */
static const char *
constant_step(const char *name)
{
	static struct strings known;
	if (!name)
		return NULL;
	for (size_t i = 0; i < known.count; i++)
		if (strcmp(known.items[i], name) == 0)
			return known.items[i];
	if (known.count == 64 || strlen(name) > 32)
		return NULL;
	strings_add(&known, name);
	return known.items[known.count - 1];
}

static void
read_failure(const struct json_t *object, struct failure *ret)
{
	enum failure_code code = FAILURE_INTERNAL;
	const char *name = js_string(object, "code"), *message = js_string(object, "message");
	const char *details = js_string(object, "details");
	if (!js_is_object(object))
		return;
	if (name && !failure_from_name(name, &code))
		code = FAILURE_INTERNAL;
	fail(ret, code, "%s", message ? message : "");
	ret->step = constant_step(js_string(object, "step"));
	if (details)
		failure_set_details(ret, details, strlen(details));
}

bool
outcome_read(int directory, struct outcome *ret_outcome, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(js_drop) struct json_t *object = NULL;
	if (!file_read(directory, OUTCOME_FILE, OUTCOME_LIMIT, &text, why)
	    || !js_parse(text_string(&text), text.length, &object, why))
		return false;
	if (!js_is_object(object))
		return fail(why, FAILURE_BAD_ANSWER, OUTCOME_FILE " holds no object");
	struct outcome outcome = OUTCOME_INIT;
	int64_t code = RETURN_CODE_NONE;
	outcome.success = js_true(object, "success");
	read_failure(js_member(object, "failure"), &outcome.why);
	if (!outcome.success && outcome.why.code == FAILURE_NONE)
		fail(&outcome.why, FAILURE_INTERNAL, OUTCOME_FILE " does not say what failed");
	js_integer(object, "return_code", &code);
	outcome.return_code = (int)code;
	outcome.result_key = copy_string(js_string(object, "result_key"));
	outcome.jar_sha256 = copy_string(js_string(object, "jar_sha256"));
	outcome.result_sha256 = copy_string(js_string(object, "result_sha256"));
	outcome.correct = js_true(object, "correct");
	js_real(object, "wall_seconds", &outcome.wall_seconds);
	js_real(object, "cpu_seconds", &outcome.cpu_seconds);
	js_integer(object, "max_rss_bytes", &outcome.max_rss_bytes);
	outcome.measured_by = copy_string(js_string(object, "measured_by"));
	outcome.populated = copy_string(js_string(object, "populated"));
	const struct json_t *timings = js_member(object, "timings");
	outcome.timings = js_is_object(timings) ? js_copy(timings) : NULL;
	*ret_outcome = outcome;
	return true;
}
