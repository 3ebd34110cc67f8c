#include "forms.h"

#include <ctype.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "commits.h"
#include "jobs.h"
#include "lists.h"
#include "models.h"
#include "query.h"
#include "upload.h"

/* The page to see, or why not. */
static void
answer(struct request *request, bool done, const char *page, const struct failure *why)
{
	if (done)
		request_answer_see(request, page);
	else
		request_answer_failure(request, why);
}

static bool
first_id(struct rows *rows, int64_t *ret_id, struct failure *why)
{
	*ret_id = rows_next(rows) ? row_integer(rows, "id") : 0;
	return rows_end(rows, why);
}

/* ---- build ---- */

static bool
request_build(struct site *site, int64_t commit, struct failure *why)
{
	scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
	int64_t job;
	if (!transaction_begin(&change, site->db, why)
	    || !jobs_request_build(site->db, commit, &job, why)
	    || !transaction_commit(&change, why))
		return false;
	log_info(NULL, "build %lld of commit %lld requested", (long long)job, (long long)commit);
	return true;
}

void
form_build(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	int64_t commit = 0;
	scoped(rows_close) struct rows *rows = query_commit(request, site->db);
	bool done = first_id(rows, &commit, &why) && request_build(site, commit, &why);
	scoped_free char *page = format("/commits/%lld", (long long)commit);
	answer(request, done, page, &why);
}

/* ---- run ---- */

/* The commit the form names, or the newest with a good build. 0: none. */
static bool
find_commit(struct request *request, struct site *site, int64_t *ret_id, struct failure *why)
{
	const char *sha = request_field(request, "commit");
	if (sha && sha[0]) {
		scoped(rows_close) struct rows *rows = list_commit_of_sha(site->db, sha);
		return first_id(rows, ret_id, why)
		       && (*ret_id
		           || fail(why, FAILURE_NOT_FOUND,
		                   "no commit here has that SHA, which must be whole"));
	}
	return database_number(site->db,
	                       "SELECT max(commit_id) FROM jobs WHERE type = 'build'"
	                       " AND return_code = 0 AND result_s3_key IS NOT NULL",
	                       WITH_NONE, 0, ret_id, why)
	       && (*ret_id || fail(why, FAILURE_REJECTED, "no commit has a good build yet"));
}

static bool
request_run(struct request *request, struct site *site, struct failure *why)
{
	scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
	const char *type = request_field(request, "test_type");
	const char *algorithm = request_field(request, "algorithm");
	/* The existing dashboard's forms have PERFORMANCE and CORRECTNESS. */
	scoped_free char *lower = copy_string(type && type[0] ? type : "performance");
	for (char *at = lower; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	struct run_request run = {.model_id = request_id(request),
	                          .algorithm = algorithm && algorithm[0] ? algorithm : "GIA",
	                          .test_type = lower};
	int64_t job;
	if (!find_commit(request, site, &run.commit_id, why)
	    || !transaction_begin(&change, site->db, why)
	    || !jobs_request_run(site->db, &run, &job, why) || !transaction_commit(&change, why))
		return false;
	log_info(NULL, "run %lld of model %lld requested", (long long)job, (long long)run.model_id);
	return true;
}

void
form_run(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool done = request_run(request, site, &why);
	scoped_free char *page = format("/models/%lld", (long long)request_id(request));
	answer(request, done, page, &why);
}

/* ---- models ---- */

void
form_ci(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool enabled = strings_equal(request_field(request, "enabled"), "1");
	bool done = models_set_ci(site->db, request_id(request), enabled, &why);
	scoped_free char *page = format("/models/%lld", (long long)request_id(request));
	answer(request, done, page, &why);
}

/* All of it or nothing: a model whose archive is refused is not made. */
static bool
add_model(struct request *request, struct site *site, const struct model_archive *archive,
          int64_t *ret_id, struct failure *why)
{
	scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
	bool ci = strings_equal(request_field(request, "ci"), "1");
	return transaction_begin(&change, site->db, why)
	       && models_add(site->db, request_field(request, "path"), ret_id, why)
	       && models_set_archive(site->db, *ret_id, archive, why)
	       && (!ci || models_set_ci(site->db, *ret_id, true, why))
	       && transaction_commit(&change, why);
}

void
form_model(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (models_check_path(request_field(request, "path"), &why))
		upload_keep(request, site, add_model);
	else
		request_answer_failure(request, &why);
}
