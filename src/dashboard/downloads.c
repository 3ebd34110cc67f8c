#include "downloads.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "lists.h"
#include "query.h"

/* An object on its way out of the store. */
struct download {
	char *key;
	int fd;
	int64_t size;
};

static bool
open_object(struct store *store, void *data, const struct tick *tick, struct failure *why)
{
	struct download *download = data;
	struct stat about;
	if (!store_open_object(store, download->key, tick, &download->fd, why))
		return false;
	if (fstat(download->fd, &about) < 0)
		return fail_errno(why, "cannot look at %s", download->key);
	download->size = about.st_size;
	return true;
}

static void
send_object(struct request *request, void *data)
{
	struct download *download = data;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	const char *slash = strrchr(download->key, '/');
	/* A key's characters need no quoting in a header. */
	strings_addf(&headers, "Content-Disposition: attachment; filename=\"%s\"",
	             slash ? slash + 1 : download->key);
	const struct answer answer = {.status = 200,
	                              .type = "application/octet-stream",
	                              .headers = &headers,
	                              .file = &download->fd,
	                              .file_size = download->size};
	request_answer(request, &answer);
}

static void
drop_download(void *data)
{
	struct download *download = data;
	close_fd(&download->fd);
	free(download->key);
	free(download);
}

static void
answer_object(struct request *request, struct site *site, const char *key)
{
	struct download *download = allocate(sizeof *download);
	*download = (struct download){.key = copy_string(key), .fd = -1};
	const struct errand errand = {
	    .work = open_object, .done = send_object, .drop = drop_download, .data = download};
	errands_run(site->errands, request, &errand);
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
