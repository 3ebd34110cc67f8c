#include "html.h"
#include "job_failure.h"
#include "job_table.h"
#include "lists.h"
#include "pages.h"
#include "query.h"

/* ---- all of them ---- */

static void
add_row(struct text *page, struct rows *row)
{
	html_addf(page, "<tr><td>");
	html_add_state(page, row_text(row, "build_state"), row_integer(row, "build_good") == 1);
	html_addf(page, "</td><td class=\"text\">");
	job_table_add_comment(page, row_text(row, "comment"));
	html_addf(page, "</td><td>");
	job_table_add_commit(page, row_integer(row, "id"), row_text(row, "sha"));
	html_addf(page, "</td><td>");
	if (row_integer(row, "runs") == 0)
		html_addf(page, "<span class=\"none\">–</span>");
	else
		html_addf(page, "%lld of %lld good", (long long)row_integer(row, "runs_good"),
		          (long long)row_integer(row, "runs"));
	html_addf(page, "</td><td>");
	html_add_time(page, row_integer(row, "time"));
	html_addf(page, "</td></tr>\n");
}

static bool
add_commits(struct text *page, struct rows *rows, struct page asked, struct failure *why)
{
	struct html_piece piece = {.later = asked.before != INT64_MAX, .limit = asked.limit};
	for (; rows_next(rows); piece.count++) {
		if (piece.count == 0)
			html_addf(page,
			          "<div class=\"wide\"><table><tr><th>Status</th><th>Comment</th>"
			          "<th>SHA</th><th>Runs</th><th>Time</th></tr>\n");
		piece.last = row_integer(rows, "id");
		add_row(page, rows);
	}
	html_addf(page, piece.count ? "</table></div>\n"
	                            : "<p class=\"none\">None: a push to the repository brings "
	                              "them.</p>\n");
	html_add_pages(page, "/commits", piece);
	return rows_end(rows, why);
}

void
page_commits(struct request *request, struct site *site)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct page asked = query_page(request);
	scoped(rows_close) struct rows *rows = list_commits(site->db, asked);
	html_begin(&page, "Commits", "/commits");
	html_answer(request, &page, add_commits(&page, rows, asked, &why), true, &why);
}

/* ---- one ---- */

static void
add_commit(struct text *page, struct rows *row)
{
	long long id = (long long)row_integer(row, "id");
	html_addf(page, "<pre>%s</pre>\n<dl><dt>SHA</dt><dd><code>%s</code></dd><dt>Time</dt><dd>",
	          row_text(row, "comment"), row_text(row, "sha"));
	html_add_time(page, row_integer(row, "time"));
	html_addf(page, "</dd>\n");
	if (!row_is_null(row, "jar_key"))
		html_addf(page,
		          "<dt>Jar</dt><dd><a href=\"/commits/%lld/download\">%s</a></dd>"
		          "<dt>Jar SHA-256</dt><dd><code>%s</code></dd>\n",
		          id, row_text(row, "jar_key"), row_text(row, "jar_sha256"));
	html_addf(
	    page,
	    "</dl>\n<div class=\"forms\"><form method=\"post\" action=\"/commits/%lld/build\">"
	    "<button>Request Build</button></form></div>\n",
	    id);
}

static bool
add_jobs(struct text *page, struct site *site, int64_t commit, const char *type,
         struct failure *why)
{
	const struct job_filter filter = {.type = type, .commit_id = commit};
	const struct page newest = {.before = INT64_MAX, .limit = 100};
	struct job_table table = {.runs = strings_equal(type, "run"), .one_commit = true};
	scoped(rows_close) struct rows *rows = list_jobs(site->db, &filter, newest);
	html_addf(page, table.runs ? "<h2>Runs</h2>\n" : "<h2>Builds</h2>\n");
	return job_table_add(page, rows, &table, why);
}

static bool
add_page(struct text *page, struct request *request, struct site *site, bool *ret_found,
         struct failure *why)
{
	scoped(rows_close) struct rows *rows = query_commit(request, site->db);
	*ret_found = rows_next(rows);
	if (!*ret_found)
		return rows_end(rows, why);
	int64_t id = row_integer(rows, "id");
	const struct job_filter builds = {.type = "build", .commit_id = id};
	scoped_free char *title = format("Commit %.7s", row_text(rows, "sha"));
	html_begin(page, title, "/commits");
	add_commit(page, rows);
	return rows_end(rows, why) && job_failure_add_latest(page, site->db, &builds, why)
	       && add_jobs(page, site, id, "build", why) && add_jobs(page, site, id, "run", why);
}

void
page_commit(struct request *request, struct site *site)
{
	scoped(text_done) struct text page = TEXT_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool found = false;
	bool made = add_page(&page, request, site, &found, &why);
	html_answer(request, &page, made, found, &why);
}
