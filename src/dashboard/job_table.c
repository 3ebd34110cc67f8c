#include "job_table.h"

#include <string.h>

#include "job_failure.h"

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

/* ---- what the job is about ---- */

static void
add_build(struct text *page, struct rows *row, const struct job_table *table)
{
	if (table->one_commit)
		return;
	html_addf(page, "<td class=\"text\">");
	job_table_add_comment(page, row_text(row, "comment"));
	html_addf(page, "</td>");
}

static void
add_run(struct text *page, struct rows *row, const struct job_table *table)
{
	if (!table->one_model)
		html_addf(page, "<td class=\"text\"><a href=\"/models/%lld\">%s</a></td>",
		          (long long)row_integer(row, "model_id"), row_text(row, "model_path"));
	html_addf(page, "<td>%s</td><td>%s</td>", row_text(row, "test_type"),
	          row_text(row, "algorithm"));
}

/* ---- what came of it ---- */

static void
add_moment(struct text *page, struct rows *row, const char *column)
{
	html_addf(page, "<td class=\"number\">");
	html_add_time(page, row_integer(row, column));
	html_addf(page, "</td>");
}

static void
add_duration(struct text *page, struct rows *row, const char *column)
{
	html_addf(page, "<td class=\"number\">");
	if (row_is_null(row, column))
		html_addf(page, "<span class=\"none\">–</span>");
	else
		html_add_seconds(page, row_real(row, column));
	html_addf(page, "</td>");
}

static void
add_result(struct text *page, struct rows *row, const struct job_table *table)
{
	if (row_is_null(row, "return_code"))
		html_addf(page, "<td><span class=\"none\">–</span></td>");
	else
		html_addf(page, "<td class=\"number\">%lld</td>",
		          (long long)row_integer(row, "return_code"));
	if (table->runs) {
		add_duration(page, row, "real_time_seconds");
		add_duration(page, row, "cpu_time_seconds");
	}
	if (row_is_null(row, "result_s3_key"))
		html_addf(page, "<td><span class=\"none\">–</span></td>");
	else
		html_addf(page, "<td><a href=\"/jobs/%lld/result\">%s</a></td>",
		          (long long)row_integer(row, "id"), table->runs ? "tarball" : "jar");
}

/* ---- rows ---- */

static int
columns(const struct job_table *table)
{
	int always = 6; /* job, status, requested, started, code, result */
	if (table->runs)
		return always + 4 + !table->one_commit + !table->one_model;
	return always + (table->one_commit ? 1 : 3);
}

static void
add_row(struct text *page, struct rows *row, const struct job_table *table)
{
	long long id = (long long)row_integer(row, "id");
	html_addf(page, "<tr%s><td><a href=\"/jobs/%lld\">%s %lld</a></td><td>",
	          job_has_failure(row) ? " class=failed" : "", id, row_text(row, "type"), id);
	html_add_state(page, row_text(row, "state"), row_integer(row, "good") == 1);
	html_addf(page, "</td>");
	if (!table->one_commit) {
		html_addf(page, "<td>");
		job_table_add_commit(page, row_integer(row, "commit_id"), row_text(row, "sha"));
		html_addf(page, "</td>");
	}
	(table->runs ? add_run : add_build)(page, row, table);
	add_moment(page, row, "requested_at");
	add_moment(page, row, "started_at");
	if (!table->runs)
		add_moment(page, row, "finished_at");
	add_result(page, row, table);
	html_addf(page, "</tr>\n");
	if (!job_has_failure(row))
		return;
	html_addf(page, "<tr><td></td><td class=\"text\" colspan=\"%d\"><div class=\"why\">",
	          columns(table) - 1);
	job_failure_add_line(page, row);
	html_addf(page, "</div></td></tr>\n");
}

static void
add_head(struct text *page, const struct job_table *table)
{
	html_addf(page, "<div class=\"wide\"><table><tr><th>Job</th><th>Status</th>");
	if (!table->one_commit)
		html_addf(page, "<th>Commit</th>");
	if (!table->runs && !table->one_commit)
		html_addf(page, "<th>Comment</th>");
	if (table->runs && !table->one_model)
		html_addf(page, "<th>Model</th>");
	if (table->runs)
		html_addf(page, "<th>Test Type</th><th>Algorithm</th>");
	html_addf(page, "<th>Requested At</th><th>Started At</th>");
	html_addf(page, table->runs
	                    ? "<th>Code</th><th>Total</th><th>CPU</th><th>Result</th></tr>\n"
	                    : "<th>Finished At</th><th>Code</th><th>Result</th></tr>\n");
}

bool
job_table_add(struct text *page, struct rows *rows, struct job_table *table, struct failure *why)
{
	for (; rows_next(rows); table->count++) {
		if (table->count == 0)
			add_head(page, table);
		table->last = row_integer(rows, "id");
		add_row(page, rows, table);
	}
	html_addf(page, table->count ? "</table></div>\n" : "<p class=\"none\">None yet.</p>\n");
	return rows_end(rows, why);
}
