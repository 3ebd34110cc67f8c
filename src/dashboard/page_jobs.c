#include <string.h>

#include "html.h"
#include "job_failure.h"
#include "job_table.h"
#include "lists.h"
#include "outside/json.h"
#include "page_workers.h"
#include "pages.h"
#include "query.h"

/* ---- lists ---- */

static void
answer_list(struct request *request, struct site *site, const char *type, const char *title)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	const struct job_filter filter = {.type = type};
	const struct page asked = query_page(request);
	struct job_table table = {.runs = strings_equal(type, "run")};
	scoped_free char *place = format("/%ss", type);
	scoped(rows_close) struct rows *rows = list_jobs(site->db, &filter, asked);
	html_begin(&page, title, place);
	bool made = job_table_add(&page, rows, &table, &why);
	html_add_pages(&page, place,
	               (struct html_piece){.later = asked.before != INT64_MAX,
	                                   .count = table.count,
	                                   .limit = asked.limit,
	                                   .last = table.last});
	html_answer(request, &page, made, true, &why);
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
add_hash(struct text *page, const char *name, const char *hash)
{
	if (hash)
		html_addf(page, "<dt>%s</dt><dd><code>%s</code></dd>\n", name, hash);
}

static void
add_moment(struct text *page, const char *name, int64_t ms)
{
	html_addf(page, "<dt>%s</dt><dd>", name);
	html_add_time(page, ms);
	html_addf(page, "</dd>\n");
}

/* The table of steps in the making. */
struct steps {
	struct text *page;
	const struct json_t *timings;
	const char *failed; /* the step that did; or NULL */
	double total;
};

static void
add_step(const char *step, const struct json_t *value, void *data)
{
	(void)value;
	struct steps *steps = data;
	double seconds = 0;
	js_real(steps->timings, step, &seconds);
	steps->total += seconds;
	scoped_free char *text = format("%.3f s", seconds);
	html_addf(steps->page, "<tr><td>%s%s</td><td class=\"number\">%s</td></tr>\n", step,
	          strings_equal(step, steps->failed) ? " ✘" : "", text);
}

static void
add_steps(struct text *page, struct rows *row)
{
	scoped(js_drop) struct json_t *timings = NULL;
	const char *json = row_text(row, "timings");
	if (!json || !js_parse(json, strlen(json), &timings, NULL))
		return;
	struct steps steps = {page, timings, row_text(row, "step"), 0};
	html_addf(page, "<h2>Steps</h2>\n<table class=\"narrow\">");
	js_each(timings, add_step, &steps);
	scoped_free char *total = format("%.3f s", steps.total);
	html_addf(page, "<tr><th>all</th><th>%s</th></tr></table>\n", total);
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
	add_hash(page, "Jar SHA-256", row_text(row, "jar_sha256"));
	if (!row_is_null(row, "result_s3_key"))
		html_addf(page, "<dt>Result</dt><dd><a href=\"/jobs/%lld/result\">%s</a></dd>\n",
		          (long long)row_integer(row, "id"), row_text(row, "result_s3_key"));
	add_hash(page, "Result SHA-256", row_text(row, "result_sha256"));
}

static void
add_times(struct text *page, struct rows *row)
{
	const char *worker = row_text(row, row_is_null(row, "worker") ? "leased_by" : "worker");
	html_addf(page, "<dt>Worker</dt><dd>%s, attempt %lld", worker,
	          (long long)row_integer(row, "attempt"));
	if (row_integer(row, "handbacks") > 0)
		html_addf(page, ", handed back %lld times",
		          (long long)row_integer(row, "handbacks"));
	html_addf(page, "</dd>\n");
	add_moment(page, "Requested At", row_integer(row, "requested_at"));
	add_moment(page, "Started At", row_integer(row, "started_at"));
	add_moment(page, "Finished At", row_integer(row, "finished_at"));
}

/* First what one looks for when something is wrong: which state, where, why. */
static bool
add_job(struct text *page, struct rows *row, struct database *db, struct failure *why)
{
	int64_t id = row_integer(row, "id");
	html_addf(page, "<p>");
	html_add_state(page, row_text(row, "state"), row_integer(row, "good") == 1);
	if (job_has_failure(row)) {
		html_addf(page, ": ");
		job_failure_add_line(page, row);
	}
	html_addf(page, "</p>\n");
	if (!job_failure_add_log(page, db, id, why))
		return false;
	html_addf(page, "<dl>");
	add_subject(page, row);
	if (row_is_null(row, "finished_at") && !workers_add_progress(page, db, id, why))
		return false;
	add_times(page, row);
	add_result(page, row);
	html_addf(page, "</dl>\n");
	add_steps(page, row);
	return true;
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
	bool run = strings_equal(row_text(rows, "type"), "run");
	scoped_free char *title = format("%s %lld", run ? "Run" : "Build", (long long)id);
	html_begin(page, title, run ? "/runs" : "/builds");
	return add_job(page, rows, site->db, why) && rows_end(rows, why);
}

void
page_job(struct request *request, struct site *site)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool found = false;
	bool made = add_page(&page, site, request_id(request), &found, &why);
	html_answer(request, &page, made, found, &why);
}
