#include "downloads.h"

#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "lists.h"
#include "query.h"

static void
answer_object(struct request *request, struct site *site, const char *key)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	scoped_fd int fd = -1;
	struct stat about;
	if (!store_open_object(site->store, key, &fd, &why)) {
		request_answer_failure(request, &why);
		return;
	}
	if (fstat(fd, &about) < 0) {
		fail_errno(&why, "cannot look at %s", key);
		request_answer_failure(request, &why);
		return;
	}
	const char *slash = strrchr(key, '/');
	/* A key's characters need no quoting in a header. */
	strings_addf(&headers, "Content-Disposition: attachment; filename=\"%s\"",
	             slash ? slash + 1 : key);
	const struct answer answer = {.status = 200,
	                              .type = "application/octet-stream",
	                              .headers = &headers,
	                              .file = &fd,
	                              .file_size = about.st_size};
	request_answer(request, &answer);
}

/* The object that the first row's column names; else the status with its text. */
static void
answer_column(struct request *request, struct site *site, struct rows *rows, const char *column)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool found = rows_next(rows);
	scoped_free char *key = found ? copy_string(row_text(rows, column)) : NULL;
	if (!rows_end(rows, &why))
		request_answer_failure(request, &why);
	else if (!found)
		request_answer_text(request, 404, "404 - Page not found.");
	else if (!key)
		request_answer_text(request, 404,
		                    "404 - Not found: there is nothing to download yet.");
	else
		answer_object(request, site, key);
}

/* The existing dashboard says 400 both where there is no such commit and where it has no jar. */
void
download_jar(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(rows_close) struct rows *rows = query_commit(request, site->db);
	bool found = rows_next(rows);
	scoped_free char *key = found ? copy_string(row_text(rows, "jar_key")) : NULL;
	if (!rows_end(rows, &why))
		request_answer_failure(request, &why);
	else if (!key)
		request_answer_text(request, 400, "400 - No good build.");
	else
		answer_object(request, site, key);
}

void
download_result(struct request *request, struct site *site)
{
	const struct job_filter filter = {.id = request_id(request)};
	const struct page one = {.before = INT64_MAX, .limit = filter.id ? 1 : 0};
	scoped(rows_close) struct rows *rows = list_jobs(site->db, &filter, one);
	answer_column(request, site, rows, "result_s3_key");
}

void
download_model(struct request *request, struct site *site)
{
	scoped(rows_close) struct rows *rows = list_model(site->db, request_id(request));
	answer_column(request, site, rows, "key");
}
