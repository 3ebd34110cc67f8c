#include "job_failure.h"

#include "base/text.h"

#define LOOKED_AT 20 /* jobs; those before the latest finished one wait or run */

bool
job_has_failure(struct rows *row)
{
	return !row_is_null(row, "good")
	       && (row_integer(row, "good") == 0 || !row_is_null(row, "failure"));
}

/* Existing workers tell no code, and of a run that ended by itself no message either. */
static void
add_reason(struct text *page, struct rows *row)
{
	if (!row_is_null(row, "failure"))
		html_addf(page, "<span class=\"state bad\">%s</span>", row_text(row, "failure"));
	else if (row_integer(row, "return_code") != 0)
		html_addf(page, "<span class=\"state bad\">return code %lld</span>",
		          (long long)row_integer(row, "return_code"));
	else
		html_addf(page, "<span class=\"state bad\">solutions differ</span>");
}

void
job_failure_add_line(struct text *page, struct rows *row)
{
	add_reason(page, row);
	if (!row_is_null(row, "step"))
		html_addf(page, " in step %s", row_text(row, "step"));
	if (!row_is_null(row, "worker"))
		html_addf(page, " on %s", row_text(row, "worker"));
	html_addf(page, ", attempt %lld", (long long)row_integer(row, "finished_attempt"));
	if (!row_is_null(row, "error_message"))
		html_addf(page, ": %s", row_text(row, "error_message"));
}

bool
job_failure_add_log(struct text *page, struct database *db, int64_t id, struct failure *why)
{
	scoped(rows_close) struct rows *rows = list_job_details(db, id);
	if (rows_next(rows) && !row_is_null(rows, "error_details")
	    && row_text(rows, "error_details")[0])
		html_addf(page, "<div class=\"log\"><pre>%s</pre></div>\n",
		          row_text(rows, "error_details"));
	return rows_end(rows, why);
}

static void
add_title(struct text *page, struct rows *row)
{
	long long id = (long long)row_integer(row, "id");
	html_addf(page, "<h2>Latest failure: <a href=\"/jobs/%lld\">%s %lld</a></h2>\n<p>", id,
	          row_text(row, "type"), id);
	job_failure_add_line(page, row);
	html_addf(page, "</p>\n");
}

bool
job_failure_add_latest(struct text *page, struct database *db, const struct job_filter *filter,
                       struct failure *why)
{
	const struct page newest = {.before = INT64_MAX, .limit = LOOKED_AT};
	scoped(rows_close) struct rows *rows = list_jobs(db, filter, newest);
	int64_t failed = 0;
	bool finished = false;
	while (!finished && rows_next(rows)) {
		finished = !row_is_null(rows, "good");
		if (!job_has_failure(rows))
			continue;
		failed = row_integer(rows, "id");
		add_title(page, rows);
	}
	return rows_end(rows, why) && (!failed || job_failure_add_log(page, db, failed, why));
}
