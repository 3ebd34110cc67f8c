#include "job_table.h"

#include <string.h>

void
job_table_add_commit(struct text *page, int64_t id, const char *sha)
{
	scoped_free char *brief = format("%.7s", sha ? sha : "");
	html_addf(page, "<a href=\"/commits/%lld\"><code>%s</code></a>", (long long)id, brief);
}

void
job_table_add_comment(struct text *page, const char *comment)
{
	scoped_free char *line = format("%.*s", (int)strcspn(comment, "\r\n"), comment);
	html_addf(page, "%s", line);
}

/* What the job is about: of a run its model, of a build its commit's message. */
static void
add_subject(struct text *page, struct rows *row)
{
	if (row_is_null(row, "model_id")) {
		job_table_add_comment(page, row_text(row, "comment"));
		return;
	}
	html_addf(page, "<a href=\"/models/%lld\">%s</a> ", (long long)row_integer(row, "model_id"),
	          row_text(row, "model_path"));
	html_addf(page, "<span class=\"none\">%s %s</span>", row_text(row, "test_type"),
	          row_is_null(row, "algorithm") ? "" : row_text(row, "algorithm"));
}

/* Why it failed, in a few words, or what it took. */
static void
add_result(struct text *page, struct rows *row)
{
	if (!row_is_null(row, "failure"))
		html_addf(page, "<span class=\"bad\">%s</span>: %s", row_text(row, "failure"),
		          row_text(row, "error_message"));
	else if (!row_is_null(row, "real_time_seconds"))
		html_addf(page, "%.1f s, CPU %.1f s", row_real(row, "real_time_seconds"),
		          row_real(row, "cpu_time_seconds"));
	else if (!row_is_null(row, "return_code"))
		html_addf(page, "code %lld", (long long)row_integer(row, "return_code"));
}

static void
add_row(struct text *page, struct rows *row)
{
	long long id = (long long)row_integer(row, "id");
	html_addf(page, "<tr><td><a href=\"/jobs/%lld\">%s %lld</a></td><td>", id,
	          row_text(row, "type"), id);
	html_add_state(page, row_text(row, "state"), row_integer(row, "good") == 1);
	html_addf(page, "</td><td>");
	job_table_add_commit(page, row_integer(row, "commit_id"), row_text(row, "sha"));
	html_addf(page, "</td><td class=\"text\">");
	add_subject(page, row);
	html_addf(page, "</td><td>");
	html_add_time(page, row_integer(row, "requested_at"));
	html_addf(page, "</td><td>");
	html_add_time(page, row_integer(row, "finished_at"));
	html_addf(page, "</td><td class=\"text\">");
	add_result(page, row);
	html_addf(page, "</td></tr>\n");
}

bool
job_table_add(struct text *page, struct rows *rows, struct failure *why)
{
	bool any = false;
	while (rows_next(rows)) {
		if (!any)
			html_addf(page, "<div class=\"wide\"><table><tr><th>Job</th><th>Status</th>"
			                "<th>Commit</th><th>Of</th><th>Requested At</th>"
			                "<th>Finished At</th><th>Result</th></tr>\n");
		any = true;
		add_row(page, rows);
	}
	html_addf(page, any ? "</table></div>\n" : "<p class=\"none\">None yet.</p>\n");
	return rows_end(rows, why);
}
