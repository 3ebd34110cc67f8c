#include <string.h>

#include "html.h"
#include "job_table.h"
#include "lists.h"
#include "outside/json.h"
#include "pages.h"
#include "query.h"

/* ---- lists ---- */

static void
answer_list(struct request *request, struct site *site, const char *type, const char *title)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	const struct job_filter filter = {.type = type};
	scoped_free char *place = format("/%ss", type);
	scoped(rows_close) struct rows *rows = list_jobs(site->db, &filter, query_page(request));
	html_begin(&page, title, place);
	html_answer_found(request, &page, job_table_add(&page, rows, &why), true, &why);
}

void
page_builds(struct request *request, struct site *site)
{
	answer_list(request, site, "build", "Builds");
}

void
page_runs(struct request *request, struct site *site)
{
	answer_list(request, site, "run", "Runs");
}

/* ---- one job ---- */

static void
add_term(struct text *page, const char *name, const char *value)
{
	if (value)
		html_addf(page, "<dt>%s</dt><dd>%s</dd>\n", name, value);
}

static void
add_moment(struct text *page, const char *name, int64_t ms)
{
	html_addf(page, "<dt>%s</dt><dd>", name);
	html_add_time(page, ms);
	html_addf(page, "</dd>\n");
}

static void
add_timing(const char *step, const struct json_t *value, void *data)
{
	(void)value;
	struct {
		struct text *page;
		const struct json_t *timings;
	} *adding = data;
	double seconds = 0;
	js_real(adding->timings, step, &seconds);
	scoped_free char *text = format("%.3f s", seconds);
	html_addf(adding->page, "<tr><td>%s</td><td class=\"number\">%s</td></tr>\n", step, text);
}

static void
add_timings(struct text *page, const char *json)
{
	scoped(js_drop) struct json_t *timings = NULL;
	if (!json || !js_parse(json, strlen(json), &timings, NULL))
		return;
	struct {
		struct text *page;
		const struct json_t *timings;
	} adding = {page, timings};
	html_addf(page, "<h2>Steps</h2>\n<table>");
	js_each(timings, add_timing, &adding);
	html_addf(page, "</table>\n");
}

static void
add_verdict(struct text *page, struct rows *row)
{
	if (!row_is_null(row, "correct"))
		add_term(page, "Correct", row_integer(row, "correct") ? "yes" : "no");
	if (!row_is_null(row, "real_time_seconds"))
		html_addf(page, "<dt>Total, CPU</dt><dd>%.1f s, %.1f s</dd>\n",
		          row_real(row, "real_time_seconds"), row_real(row, "cpu_time_seconds"));
	if (!row_is_null(row, "max_rss_bytes"))
		html_addf(page, "<dt>Peak memory</dt><dd>%.1f MiB (%s)</dd>\n",
		          row_real(row, "max_rss_bytes") / (1 << 20), row_text(row, "measured_by"));
}

static void
add_subject(struct text *page, struct rows *row)
{
	html_addf(page, "<dt>Commit</dt><dd>");
	job_table_add_commit(page, row_integer(row, "commit_id"), row_text(row, "sha"));
	html_addf(page, " ");
	job_table_add_comment(page, row_text(row, "comment"));
	html_addf(page, "</dd>\n");
	if (row_is_null(row, "model_id"))
		return;
	html_addf(page, "<dt>Model</dt><dd><a href=\"/models/%lld\">%s</a></dd>\n",
	          (long long)row_integer(row, "model_id"), row_text(row, "model_path"));
	add_term(page, "Test Type", row_text(row, "test_type"));
	add_term(page, "Algorithm", row_text(row, "algorithm"));
}

static void
add_result(struct text *page, struct rows *row)
{
	if (!row_is_null(row, "return_code"))
		html_addf(page, "<dt>Return Code</dt><dd>%lld</dd>\n",
		          (long long)row_integer(row, "return_code"));
	add_verdict(page, row);
	add_term(page, "Jar SHA-256", row_text(row, "jar_sha256"));
	if (!row_is_null(row, "result_s3_key"))
		html_addf(page, "<dt>Result</dt><dd><a href=\"/jobs/%lld/result\">%s</a></dd>\n",
		          (long long)row_integer(row, "id"), row_text(row, "result_s3_key"));
	add_term(page, "Result SHA-256", row_text(row, "result_sha256"));
}

static void
add_job(struct text *page, struct rows *row)
{
	html_addf(page, "<dl><dt>Status</dt><dd>");
	html_add_state(page, row_text(row, "state"), row_integer(row, "good") == 1);
	html_addf(page, "</dd>\n");
	add_subject(page, row);
	html_addf(page, "<dt>Worker</dt><dd>%s, attempt %lld</dd>\n", row_text(row, "worker"),
	          (long long)row_integer(row, "attempt"));
	add_moment(page, "Requested At", row_integer(row, "requested_at"));
	add_moment(page, "Started At", row_integer(row, "started_at"));
	add_moment(page, "Finished At", row_integer(row, "finished_at"));
	add_result(page, row);
	html_addf(page, "</dl>\n");
	if (!row_is_null(row, "failure"))
		html_addf(
		    page,
		    "<h2>Failure</h2>\n<p><span class=\"state bad\">%s</span> in step %s: %s</p>\n",
		    row_text(row, "failure"), row_text(row, "step"),
		    row_text(row, "error_message"));
}

static bool
add_details(struct text *page, struct database *db, int64_t id, struct failure *why)
{
	scoped(rows_close) struct rows *rows = list_job_details(db, id);
	if (rows_next(rows) && !row_is_null(rows, "error_details")
	    && row_text(rows, "error_details")[0])
		html_addf(page, "<pre>%s</pre>\n", row_text(rows, "error_details"));
	return rows_end(rows, why);
}

/* *ret_found: is there such a job? */
static bool
add_page(struct text *page, struct site *site, int64_t id, bool *ret_found, struct failure *why)
{
	const struct job_filter filter = {.id = id};
	const struct page one = {.before = INT64_MAX, .limit = 1};
	scoped(rows_close) struct rows *rows = list_jobs(site->db, &filter, one);
	*ret_found = rows_next(rows);
	if (!*ret_found)
		return rows_end(rows, why);
	scoped_free char *title = format(
	    "%s %lld", strings_equal(row_text(rows, "type"), "run") ? "Run" : "Build",
	    (long long)id);
	html_begin(page, title, strings_equal(row_text(rows, "type"), "run") ? "/runs" : "/builds");
	add_job(page, rows);
	if (!add_details(page, site->db, id, why))
		return false;
	add_timings(page, row_text(rows, "timings"));
	return rows_end(rows, why);
}

void
page_job(struct request *request, struct site *site)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool found = false;
	bool made = add_page(&page, site, request_id(request), &found, &why);
	html_answer_found(request, &page, made, found, &why);
}
