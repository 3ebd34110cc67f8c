#include "page_workers.h"

#include "base/clock.h"
#include "html.h"
#include "lists.h"
#include "pages.h"

#define MINUTE 60000

/* Silent for how long: under 5 minutes is fine, under 10 a warning. */
static void
add_health(struct text *page, int64_t last_heartbeat)
{
	int64_t silent = wall_ms() - last_heartbeat;
	const char *look = silent < 5 * MINUTE ? "good" : silent < 10 * MINUTE ? "busy" : "bad";
	const char *word = silent < 5 * MINUTE ? "ok" : silent < 10 * MINUTE ? "warning" : "failed";
	html_addf(page, "<span class=\"state %s\">%s</span>", look, word);
}

static void
add_progress(struct text *page, struct rows *row)
{
	long long done = (long long)row_integer(row, "progress_done");
	long long total = (long long)row_integer(row, "progress_total");
	if (!row_is_null(row, "step"))
		html_addf(page, "%s", row_text(row, "step"));
	if (row_is_null(row, "progress_unit") || total <= 0)
		return;
	html_addf(page, " %d %% of ", (int)(100.0 * (double)done / (double)total));
	if (strings_equal(row_text(row, "progress_unit"), "bytes"))
		html_addf(page, "%.1f MiB", (double)total / (1 << 20));
	else
		html_addf(page, "%lld %s", total, row_text(row, "progress_unit"));
}

bool
workers_add_progress(struct text *page, struct database *db, int64_t job, struct failure *why)
{
	scoped(rows_close) struct rows *rows = list_workers(db);
	while (rows_next(rows)) {
		if (row_integer(rows, "job_id") != job)
			continue;
		html_addf(page, "<dt>Step</dt><dd>");
		add_progress(page, rows);
		html_addf(page, " on %s, told at ", row_text(rows, "hostname"));
		html_add_time(page, row_integer(rows, "last_heartbeat"));
		html_addf(page, "</dd>\n");
	}
	return rows_end(rows, why);
}

static void
add_state(struct text *page, struct rows *row)
{
	if (row_is_null(row, "job_id")) {
		html_addf(page, "Waiting for job.");
		return;
	}
	long long job = (long long)row_integer(row, "job_id");
	scoped_free char *commit = format("%.7s",
	                                  row_is_null(row, "sha") ? "" : row_text(row, "sha"));
	html_addf(page, "<a href=\"/jobs/%lld\">Running job %lld</a>: %s", job, job,
	          row_is_null(row, "model_path") ? commit : row_text(row, "model_path"));
	if (!row_is_null(row, "step"))
		html_addf(page, ", ");
	add_progress(page, row);
}

static void
add_row(struct text *page, struct rows *row)
{
	html_addf(page, "<tr><td>");
	add_health(page, row_integer(row, "last_heartbeat"));
	html_addf(page, "</td><td>%s</td><td>%s</td><td>", row_text(row, "hostname"),
	          row_text(row, "kind"));
	html_add_time(page, row_integer(row, "last_heartbeat"));
	html_addf(page, "</td><td>");
	html_add_time(page, row_integer(row, "last_state_change"));
	html_addf(page, "</td><td class=\"text\">");
	add_state(page, row);
	html_addf(page, "</td><td>%s</td></tr>\n", row_text(row, "version"));
}

bool
workers_table_add(struct text *page, struct database *db, struct failure *why)
{
	scoped(rows_close) struct rows *rows = list_workers(db);
	bool any = false;
	while (rows_next(rows)) {
		if (!any)
			html_addf(page,
			          "<div class=\"wide\"><table><tr><th>Status</th><th>Hostname</th>"
			          "<th>Kind</th><th>Last Heartbeat</th><th>Last State Change</th>"
			          "<th>Current State</th><th>Version</th></tr>\n");
		any = true;
		add_row(page, rows);
	}
	html_addf(page,
	          any ? "</table></div>\n" : "<p class=\"none\">No worker registered yet.</p>\n");
	return rows_end(rows, why);
}

void
page_workers(struct request *request, struct site *site)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	html_begin(&page, "Workers", "/workers");
	html_answer(request, &page, workers_table_add(&page, site->db, &why), true, &why);
}
