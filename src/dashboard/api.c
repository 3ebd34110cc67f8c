#include "api.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "lists.h"
#include "outside/json.h"
#include "query.h"

/* ---- rows as objects ---- */

static bool
is_time(const char *column)
{
	return ends_with(column, "_at") || strings_equal(column, "time")
	       || strings_equal(column, "last_heartbeat")
	       || strings_equal(column, "last_state_change");
}

static bool
is_truth(const char *column)
{
	return strings_equal(column, "correct") || ends_with(column, "good")
	       || strings_equal(column, "ci_enabled");
}

/* RFC 3339 with milliseconds. */
static void
set_time(struct json_t *object, const char *column, int64_t ms)
{
	char text[WALL_TEXT_SIZE];
	wall_text(ms, text);
	scoped_free char *precise = format("%.19s.%03" PRId64 "Z", text, ms % 1000);
	js_set_string(object, column, precise);
}

static void
set_json(struct json_t *object, const char *column, const char *json)
{
	struct json_t *value = NULL;
	if (json && js_parse(json, strlen(json), &value, NULL))
		js_set(object, column, value);
}

static void
set_value(struct json_t *object, const char *column, const struct value *value)
{
	if (value->type == VALUE_NULL)
		js_set_null(object, column);
	else if (value->type == VALUE_REAL)
		js_set_real(object, column, value->real);
	else if (value->type == VALUE_TEXT && strings_equal(column, "timings"))
		set_json(object, column, value->text);
	else if (value->type == VALUE_TEXT)
		js_set_string(object, column, value->text);
	else if (is_time(column))
		set_time(object, column, value->integer);
	else if (is_truth(column))
		js_set_bool(object, column, value->integer != 0);
	else
		js_set_integer(object, column, value->integer);
}

static void
add_columns(struct json_t *object, struct rows *row)
{
	for (int i = 0; i < row_columns(row); i++) {
		const char *column;
		const struct value value = row_value(row, i, &column);
		set_value(object, column, &value);
	}
}

/* ---- answers ---- */

static void
answer_json(struct request *request, const struct json_t *value)
{
	scoped_free char *text = js_pretty(value);
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	strings_add(&headers, "Cache-Control: no-store");
	const struct answer answer = {.status = 200,
	                              .type = TYPE_JSON,
	                              .headers = &headers,
	                              .bytes = text,
	                              .length = strlen(text)};
	request_answer(request, &answer);
}

static void
answer_rows(struct request *request, struct rows *rows)
{
	scoped(js_drop) struct json_t *list = js_array();
	scoped(failure_done) struct failure why = FAILURE_INIT;
	while (rows_next(rows)) {
		struct json_t *object = js_object();
		add_columns(object, rows);
		js_append(list, object);
	}
	if (rows_end(rows, &why))
		answer_json(request, list);
	else
		request_answer_failure(request, &why);
}

/* The first row; more, if not NULL, has a row of further columns. */
static void
answer_row(struct request *request, struct rows *rows, struct rows *more)
{
	scoped(js_drop) struct json_t *object = js_object();
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool found = rows_next(rows);
	if (found)
		add_columns(object, rows);
	if (found && more && rows_next(more))
		add_columns(object, more);
	if (!rows_end(rows, &why) || (more && !rows_end(more, &why)))
		request_answer_failure(request, &why);
	else if (!found)
		request_answer_text(request, 404, "404 - Not found.");
	else
		answer_json(request, object);
}

/* ---- handlers ---- */

void
api_overview(struct request *request, struct site *site)
{
	scoped(js_drop) struct json_t *object = js_object();
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct overview overview;
	if (!list_overview(site->db, &overview, &why)) {
		request_answer_failure(request, &why);
		return;
	}
	js_set_integer(object, "commits", overview.commits);
	js_set_integer(object, "models", overview.models);
	js_set_integer(object, "builds_waiting", overview.builds_waiting);
	js_set_integer(object, "builds_running", overview.builds_running);
	js_set_integer(object, "runs_waiting", overview.runs_waiting);
	js_set_integer(object, "runs_running", overview.runs_running);
	js_set_integer(object, "models_failing", overview.models_failing);
	js_set_integer(object, "workers", overview.workers);
	js_set_integer(object, "workers_idle", overview.workers_idle);
	js_set_integer(object, "workers_silent", overview.workers_silent);
	js_set_real(object, "seconds", overview.seconds);
	answer_json(request, object);
}

void
api_commits(struct request *request, struct site *site)
{
	scoped(rows_close) struct rows *rows = list_commits(site->db, query_page(request));
	answer_rows(request, rows);
}

void
api_commit(struct request *request, struct site *site)
{
	scoped(rows_close) struct rows *rows = query_commit(request, site->db);
	answer_row(request, rows, NULL);
}

static void
answer_jobs(struct request *request, struct site *site, const char *type)
{
	const struct job_filter filter = {.type = type};
	scoped(rows_close) struct rows *rows = list_jobs(site->db, &filter, query_page(request));
	answer_rows(request, rows);
}

void
api_builds(struct request *request, struct site *site)
{
	answer_jobs(request, site, "build");
}

void
api_runs(struct request *request, struct site *site)
{
	answer_jobs(request, site, "run");
}

void
api_job(struct request *request, struct site *site)
{
	const struct job_filter filter = {.id = request_id(request)};
	const struct page one = {.before = INT64_MAX, .limit = filter.id ? 1 : 0};
	scoped(rows_close) struct rows *rows = list_jobs(site->db, &filter, one);
	scoped(rows_close) struct rows *details = list_job_details(site->db, filter.id);
	answer_row(request, rows, details);
}

void
api_models(struct request *request, struct site *site)
{
	scoped(rows_close) struct rows *rows = list_models(site->db);
	answer_rows(request, rows);
}

void
api_model(struct request *request, struct site *site)
{
	scoped(rows_close) struct rows *rows = list_model(site->db, request_id(request));
	answer_row(request, rows, NULL);
}

void
api_workers(struct request *request, struct site *site)
{
	scoped(rows_close) struct rows *rows = list_workers(site->db);
	answer_rows(request, rows);
}
