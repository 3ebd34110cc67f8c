#include "base/clock.h"
#include "html.h"
#include "job_table.h"
#include "lists.h"
#include "page_workers.h"
#include "pages.h"

static void
add_box(struct text *page, const char *name, int64_t count)
{
	html_addf(page, "<div><b>%lld</b>%s</div>\n", (long long)count, name);
}

static void
add_boxes(struct text *page, const struct overview *overview)
{
	html_addf(page, "<div class=\"boxes\">");
	add_box(page, "builds waiting", overview->builds_waiting);
	add_box(page, "builds running", overview->builds_running);
	add_box(page, "runs waiting", overview->runs_waiting);
	add_box(page, "runs running", overview->runs_running);
	add_box(page, "models", overview->models);
	add_box(page, "models failing", overview->models_failing);
	html_addf(page, "<div><b>");
	html_add_seconds(page, overview->seconds);
	html_addf(page, "</b>for all models</div></div>\n");
}

static bool
add_jobs(struct text *page, struct site *site, const char *type, struct failure *why)
{
	const struct job_filter filter = {.type = type};
	const struct page newest = {.before = INT64_MAX, .limit = 10};
	struct job_table table = {.runs = strings_equal(type, "run")};
	scoped(rows_close) struct rows *rows = list_jobs(site->db, &filter, newest);
	return job_table_add(page, rows, &table, why);
}

static bool
add_all(struct text *page, struct site *site, struct failure *why)
{
	struct overview overview;
	if (!list_overview(site->db, &overview, why))
		return false;
	add_boxes(page, &overview);
	html_addf(page, "<h2>Workers</h2>\n");
	if (!workers_table_add(page, site->db, why))
		return false;
	html_addf(page, "<h2>Latest builds</h2>\n");
	if (!add_jobs(page, site, "build", why))
		return false;
	html_addf(page, "<h2>Latest runs</h2>\n");
	return add_jobs(page, site, "run", why);
}

void
page_overview(struct request *request, struct site *site)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	html_begin(&page, "Overview", "/");
	html_answer(request, &page, add_all(&page, site, &why), true, &why);
}
