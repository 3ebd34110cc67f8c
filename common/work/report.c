#include "work/report.h"

#include <stdlib.h>

#include "base/scoped.h"
#include "outside/json.h"

char *
report_start(const struct reporter *reporter, const struct job *job)
{
	scoped(js_drop) struct json_t *body = js_object();
	js_set_integer(body, "attempt", job->attempt);
	js_set_string(body, "worker", reporter->worker);
	return js_text(body);
}

/* A run that came as far as a return code has a verdict, also if its package could not be uploaded.
 */
static bool
has_verdict(const struct job *job, const struct outcome *outcome)
{
	return job->type == JOB_RUN && (outcome->success || outcome->wall_seconds > 0);
}

static void
add_verdict(struct json_t *body, const struct outcome *outcome)
{
	js_set_integer(body, "correct", outcome->correct);
	js_set_real(body, "real_time_seconds", outcome->wall_seconds);
	js_set_real(body, "cpu_time_seconds", outcome->cpu_seconds);
}

static void
add_failure(struct json_t *body, const struct failure *why)
{
	js_set_string(body, "error_message", why->message);
	js_set_string(body, "error_details", why->details ? why->details : "");
}

/* What goes beyond the existing dashboard's fields. */
static void
add_ours(struct json_t *body, const struct reporter *reporter, const struct job *job,
         const struct outcome *outcome)
{
	js_set_integer(body, "attempt", job->attempt);
	js_set_string(body, "worker", reporter->worker);
	js_set_string(body, "jar_sha256", outcome->jar_sha256);
	js_set_string(body, "result_sha256", outcome->result_sha256);
	if (outcome->why.code != FAILURE_NONE) {
		js_set_string(body, "failure", failure_name(outcome->why.code));
		js_set_string(body, "step", outcome->why.step);
	}
	if (outcome->timings)
		js_set(body, "timings", js_copy(outcome->timings));
	if (outcome->measured_by) {
		js_set_integer(body, "max_rss_bytes", outcome->max_rss_bytes);
		js_set_string(body, "measured_by", outcome->measured_by);
	}
}

char *
report_finish(const struct reporter *reporter, const struct job *job, const struct outcome *outcome)
{
	scoped(js_drop) struct json_t *body = js_object();
	/* Only 0 means success to the dashboard: a failure must not carry it. */
	int code = !outcome->success && outcome->return_code == 0 ? RETURN_CODE_NONE
	                                                          : outcome->return_code;
	js_set_string(body, "secret_key", reporter->secret);
	js_set_integer(body, "return_code", code);
	if (has_verdict(job, outcome))
		add_verdict(body, outcome);
	js_set_string(body, "result_s3_key", outcome->result_key);
	if (outcome->why.code != FAILURE_NONE)
		add_failure(body, &outcome->why);
	add_ours(body, reporter, job, outcome);
	return js_text(body);
}
