#include "html.h"
#include "job_failure.h"
#include "job_table.h"
#include "lists.h"
#include "pages.h"

#define ALGORITHM_CHOICE                                                                           \
	"<select name=\"algorithm\" "                                                              \
	"aria-label=\"algorithm\"><option>GIA<option>IGIA<option>CGIA<option>PGIA<option>OGIA"     \
	"</select>"
#define FILE_CHOICE                                                                                \
	"<input type=\"file\" name=\"file\" aria-label=\"archive\" required "                      \
	"accept=\".bz2,.gz,.xz,.zst,.zip\">"

/* commit: may the person name one? */
static void
add_run_form(struct text *page, int64_t id, bool commit)
{
	html_addf(page,
	          "<form method=\"post\" action=\"/models/%lld/run\">" ALGORITHM_CHOICE
	          "<select name=\"test_type\" aria-label=\"test "
	          "type\"><option>PERFORMANCE<option>CORRECTNESS<option>CI"
	          "</select>",
	          (long long)id);
	if (commit)
		html_addf(
		    page,
		    "<input name=\"commit\" maxlength=\"64\" size=\"26\" "
		    "aria-label=\"commit\" placeholder=\"newest good commit, or whole SHA\">");
	html_addf(page, "<button>Request run</button></form>\n");
}

static void
add_ci_form(struct text *page, int64_t id, bool enabled)
{
	html_addf(page,
	          "<form method=\"post\" action=\"/models/%lld/ci\"><input type=\"hidden\" "
	          "name=\"enabled\" value=\"%d\"><button>%s</button></form>\n",
	          (long long)id, !enabled, enabled ? "Switch CI off" : "Switch CI on");
}

static void
add_times(struct text *page, struct rows *row)
{
	if (row_is_null(row, "timed_id")) {
		html_addf(page,
		          "<span class=\"none\">–</span></td><td><span class=\"none\">–</span>");
		return;
	}
	html_add_seconds(page, row_real(row, "real_time_seconds"));
	html_addf(page, "</td><td class=\"number\">");
	html_add_seconds(page, row_real(row, "cpu_time_seconds"));
}

/* ---- all of them ---- */

static void
add_row(struct text *page, struct rows *row)
{
	int64_t id = row_integer(row, "id");
	bool enabled = row_integer(row, "ci_enabled") == 1;
	html_addf(page, "<tr><td>");
	html_add_state(page, row_text(row, "run_state"), row_integer(row, "run_good") == 1);
	html_addf(
	    page,
	    "</td><td class=\"text\"><a href=\"/models/%lld\">%s</a></td><td class=\"number\">",
	    (long long)id, row_text(row, "path"));
	add_times(page, row);
	html_addf(page, "</td><td>%s</td><td>", enabled ? "on" : "off");
	if (row_is_null(row, "key"))
		html_addf(page, "<span class=\"none\">no archive yet</span>");
	else
		add_run_form(page, id, false);
	html_addf(page, "</td></tr>\n");
}

static bool
add_models(struct text *page, struct rows *rows, struct failure *why)
{
	bool any = false;
	while (rows_next(rows)) {
		if (!any)
			html_addf(page,
			          "<div class=\"wide\"><table><tr><th>Status</th><th>Path</th>"
			          "<th>Total</th><th>CPU</th><th>CI</th><th></th></tr>\n");
		any = true;
		add_row(page, rows);
	}
	html_addf(page, any ? "</table></div>\n" : "<p class=\"none\">None yet.</p>\n");
	html_addf(page,
	          "<h2>New model</h2>\n<form method=\"post\" action=\"/models\" "
	          "enctype=\"multipart/form-data\"><input name=\"path\" aria-label=\"path\" "
	          "required maxlength=\"255\" "
	          "placeholder=\"path, such as knapsack/5x3\">" FILE_CHOICE
	          "<label><input type=\"checkbox\" name=\"ci\" value=\"1\" checked> CI</label>"
	          "<button>Add</button></form>\n<p class=\"none\">An archive with model.als at its "
	          "top level, and alloy_solutions_*.xml or an empty "
	          "solutions_not_populated.txt.</p>\n");
	return rows_end(rows, why);
}

void
page_models(struct request *request, struct site *site)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(rows_close) struct rows *rows = list_models(site->db);
	html_begin(&page, "Models", "/models");
	html_answer(request, &page, add_models(&page, rows, &why), true, &why);
}

/* ---- one ---- */

static void
add_model(struct text *page, struct rows *row)
{
	int64_t id = row_integer(row, "id");
	bool enabled = row_integer(row, "ci_enabled") == 1;
	html_addf(page, "<dl><dt>CI</dt><dd>%s</dd>\n",
	          enabled ? "run after each good build" : "off");
	if (!row_is_null(row, "key"))
		html_addf(
		    page,
		    "<dt>Archive</dt><dd><a href=\"/models/%lld/download\">%s</a>, %lld bytes</dd>"
		    "<dt>SHA-256</dt><dd><code>%s</code></dd>\n",
		    (long long)id, row_text(row, "filename"), (long long)row_integer(row, "bytes"),
		    row_text(row, "sha256"));
	html_addf(page, "<dt>Uploaded At</dt><dd>");
	html_add_time(page, row_integer(row, "uploaded_at"));
	html_addf(page, "</dd></dl>\n<div class=\"forms\">\n");
	if (!row_is_null(row, "key"))
		add_run_form(page, id, true);
	add_ci_form(page, id, enabled);
	html_addf(page,
	          "<form method=\"post\" action=\"/models/%lld/upload\" "
	          "enctype=\"multipart/form-data\">" FILE_CHOICE
	          "<button>Upload archive</button></form></div>\n",
	          (long long)id);
}

static bool
add_runs(struct text *page, struct site *site, int64_t id, struct failure *why)
{
	const struct job_filter filter = {.model_id = id};
	const struct page newest = {.before = INT64_MAX, .limit = 100};
	struct job_table table = {.runs = true, .one_model = true};
	if (!job_failure_add_latest(page, site->db, &filter, why))
		return false;
	scoped(rows_close) struct rows *rows = list_jobs(site->db, &filter, newest);
	html_addf(page, "<h2>Runs</h2>\n");
	return job_table_add(page, rows, &table, why);
}

static bool
add_page(struct text *page, struct site *site, int64_t id, bool *ret_found, struct failure *why)
{
	scoped(rows_close) struct rows *rows = list_model(site->db, id);
	*ret_found = rows_next(rows);
	if (!*ret_found)
		return rows_end(rows, why);
	html_begin(page, row_text(rows, "path"), "/models");
	add_model(page, rows);
	return rows_end(rows, why) && add_runs(page, site, id, why);
}

void
page_model(struct request *request, struct site *site)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool found = false;
	bool made = add_page(&page, site, request_id(request), &found, &why);
	html_answer(request, &page, made, found, &why);
}
