#include "jobs.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "outside/digest.h"

/* ---- requesting ---- */

/* Which jar a run is to take. */
struct jar {
	char *key;
	char *sha256; /* NULL: an existing worker built it and did not say */
};

static void
jar_done(struct jar *jar)
{
	free_pointer(&jar->key);
	free_pointer(&jar->sha256);
}

static bool
is_one_of(const char *text, const char *const *names)
{
	for (; *names; names++)
		if (strings_equal(text, *names))
			return true;
	return false;
}

static bool
is_algorithm(const char *text)
{
	static const char *const names[] = {"GIA", "IGIA", "CGIA", "PGIA", "OGIA", NULL};
	return is_one_of(text, names);
}

static bool
is_test_type(const char *text)
{
	static const char *const names[] = {"performance", "correctness", "ci", NULL};
	return is_one_of(text, names);
}

bool
jobs_request_build(struct database *db, int64_t commit_id, int64_t *ret_id, struct failure *why)
{
	scoped_free char *secret = random_uuid();
	int64_t now = wall_ms();
	if (!database_do(
		db,
		"INSERT INTO jobs (type, commit_id, requested_at, queue, secret, visible_at)"
		" SELECT 'build', id, ?, 'build', ?, ? FROM commits WHERE id = ?",
		WITH(integer_value(now), text_value(secret), integer_value(now),
	             integer_value(commit_id)),
		why))
		return false;
	if (database_changed(db) == 0)
		return fail(why, FAILURE_NOT_FOUND, "commit does not exist");
	*ret_id = database_last_id(db);
	return true;
}

static bool
insert_run(struct database *db, const struct run_request *request, const struct jar *jar,
           int64_t *ret_id, struct failure *why)
{
	scoped_free char *secret = random_uuid();
	int64_t now = wall_ms();
	if (!database_do(
		db,
		"INSERT INTO jobs (type, commit_id, model_id, algorithm, test_type, jar_key,"
		" jar_sha256, model_key, requested_at, queue, secret, visible_at)"
		" SELECT 'run', ?1, id, ?3, ?4, ?5, ?6, key, ?7, ?4, ?8, ?7"
		" FROM models WHERE id = ?2",
		WITH(integer_value(request->commit_id), integer_value(request->model_id),
	             text_value(request->algorithm), text_value(request->test_type),
	             text_value(jar->key), text_value(jar->sha256), integer_value(now),
	             text_value(secret)),
		why))
		return false;
	*ret_id = database_last_id(db);
	return true;
}

static bool
find_jar(struct database *db, int64_t commit_id, struct jar *jar, struct failure *why)
{
	scoped(rows_close) struct rows *rows = database_rows(
	    db,
	    "SELECT result_s3_key, jar_sha256 FROM jobs WHERE commit_id = ?"
	    " AND type = 'build' AND return_code = 0 AND result_s3_key IS NOT NULL"
	    " ORDER BY finished_at DESC, id DESC LIMIT 1",
	    WITH(integer_value(commit_id)));
	if (rows_next(rows)) {
		jar->key = copy_string(row_text(rows, "result_s3_key"));
		jar->sha256 = copy_string(row_text(rows, "jar_sha256"));
	}
	return rows_end(rows, why);
}

static bool
check_run(struct database *db, const struct run_request *request, struct failure *why)
{
	int64_t commits, archives;
	if (request->algorithm && !is_algorithm(request->algorithm))
		return fail(why, FAILURE_REJECTED, "unknown algorithm");
	if (!is_test_type(request->test_type))
		return fail(why, FAILURE_REJECTED, "unknown test type");
	if (!database_number(db, "SELECT count(*) FROM commits WHERE id = ?",
	                     WITH(integer_value(request->commit_id)), 0, &commits, why)
	    || !database_number(db, "SELECT key IS NOT NULL FROM models WHERE id = ?",
	                        WITH(integer_value(request->model_id)), -1, &archives, why))
		return false;
	if (commits == 0)
		return fail(why, FAILURE_NOT_FOUND, "commit does not exist");
	if (archives < 0)
		return fail(why, FAILURE_NOT_FOUND, "model does not exist");
	if (archives == 0)
		return fail(why, FAILURE_REJECTED, "the model has no archive yet: upload one");
	return true;
}

bool
jobs_request_run(struct database *db, const struct run_request *request, int64_t *ret_id,
                 struct failure *why)
{
	scoped(jar_done) struct jar jar = {};
	if (!check_run(db, request, why) || !find_jar(db, request->commit_id, &jar, why))
		return false;
	if (!jar.key)
		return fail(why, FAILURE_REJECTED, "the commit has no good build yet");
	return insert_run(db, request, &jar, ret_id, why);
}

/* ---- what workers tell ---- */

/* What is known of a job that somebody tells something about. */
struct standing {
	bool build;
	int64_t commit_id;
	char *secret;
	int64_t attempt; /* given out last */
	bool started, finished;
	int64_t started_attempt, finished_attempt;
	char *report_sha256;
};

static void
standing_done(struct standing *standing)
{
	free_pointer(&standing->secret);
	free_pointer(&standing->report_sha256);
}

static bool
find(struct database *db, int64_t id, struct standing *job, struct failure *why)
{
	scoped(rows_close) struct rows *rows = database_rows(
	    db,
	    "SELECT type = 'build' AS build, commit_id, secret, attempt, started_at,"
	    " started_attempt, finished_at, finished_attempt, report_sha256"
	    " FROM jobs WHERE id = ?",
	    WITH(integer_value(id)));
	if (!rows_next(rows))
		return rows_end(rows, why) && fail(why, FAILURE_NOT_FOUND, "job does not exist");
	job->build = row_integer(rows, "build");
	job->commit_id = row_integer(rows, "commit_id");
	job->secret = copy_string(row_text(rows, "secret"));
	job->attempt = row_integer(rows, "attempt");
	job->started = !row_is_null(rows, "started_at");
	job->started_attempt = row_integer(rows, "started_attempt");
	job->finished = !row_is_null(rows, "finished_at");
	job->finished_attempt = row_integer(rows, "finished_attempt");
	job->report_sha256 = copy_string(row_text(rows, "report_sha256"));
	return true;
}

/* Sets an attempt that was not told, and refuses one whose lease was lost to a later one. */
static bool
check_attempt(const struct standing *job, int64_t *attempt, struct failure *why)
{
	if (*attempt == ATTEMPT_NOT_TOLD)
		*attempt = job->finished ? job->finished_attempt : job->attempt;
	if (*attempt > job->attempt)
		return fail(why, FAILURE_CONFLICT, "attempt was never given out");
	if (job->finished && job->finished_attempt != *attempt)
		return fail(why, FAILURE_CONFLICT, "job was finished by another attempt");
	if (*attempt < job->attempt)
		return fail(why, FAILURE_CONFLICT, "a later attempt began");
	return true;
}

bool
jobs_start(struct database *db, const struct job_start *start, struct failure *why)
{
	scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
	scoped(standing_done) struct standing job = {};
	int64_t attempt = start->attempt;
	if (!transaction_begin(&change, db, why) || !find(db, start->id, &job, why)
	    || !check_attempt(&job, &attempt, why))
		return false;
	if (job.finished || (job.started && job.started_attempt == attempt))
		return true;
	return database_do(db,
	                   "UPDATE jobs SET started_at = ?, started_attempt = ?,"
	                   " worker = coalesce(?, leased_by) WHERE id = ?",
	                   WITH(integer_value(wall_ms()), integer_value(attempt),
	                        text_value(start->worker), integer_value(start->id)),
	                   why)
	       && transaction_commit(&change, why);
}

/* ---- finishing ---- */

static bool
set_finished(struct database *db, const struct job_finish *finish, int64_t attempt,
             struct failure *why)
{
	return database_do(
	    db,
	    "UPDATE jobs SET queued = 0, receipt = NULL, finished_at = ?, finished_attempt = ?,"
	    " report_sha256 = ?, return_code = ?, result_s3_key = ?,"
	    " jar_sha256 = coalesce(?, jar_sha256), result_sha256 = ?, correct = ?,"
	    " real_time_seconds = ?, cpu_time_seconds = ?, max_rss_bytes = ?, measured_by = ?,"
	    " failure = ?, step = ?, error_message = ?, error_details = ?, timings = ?,"
	    " worker = coalesce(?, worker, leased_by) WHERE id = ?",
	    WITH(integer_value(wall_ms()), integer_value(attempt),
	         text_value(finish->report_sha256), integer_value(finish->return_code),
	         text_value(finish->result_key), text_value(finish->jar_sha256),
	         text_value(finish->result_sha256),
	         finish->has_verdict ? integer_value(finish->correct) : null_value(),
	         finish->real_time_seconds, finish->cpu_time_seconds, finish->max_rss_bytes,
	         text_value(finish->measured_by), text_value(finish->failure),
	         text_value(finish->step), text_value(finish->error_message),
	         text_value(finish->error_details), text_value(finish->timings),
	         text_value(finish->worker), integer_value(finish->id)),
	    why);
}

/* Runs that were requested with an earlier build's jar must find the one that is there now. */
static bool
tell_waiting_runs(struct database *db, int64_t commit_id, const struct jar *jar,
                  struct failure *why)
{
	return database_do(
	    db,
	    "UPDATE jobs SET jar_key = ?, jar_sha256 = ? WHERE commit_id = ?"
	    " AND type = 'run' AND finished_at IS NULL",
	    WITH(text_value(jar->key), text_value(jar->sha256), integer_value(commit_id)), why);
}

static bool
request_ci_runs(struct database *db, int64_t commit_id, const struct jar *jar, struct failure *why)
{
	struct run_request request = {
	    .commit_id = commit_id, .algorithm = "GIA", .test_type = "ci"};
	scoped(rows_close) struct rows *models = database_rows(
	    db, "SELECT id FROM models WHERE ci_enabled = 1 AND key IS NOT NULL ORDER BY id",
	    WITH_NONE);
	while (rows_next(models)) {
		int64_t id;
		request.model_id = row_integer(models, "id");
		if (!insert_run(db, &request, jar, &id, why))
			return false;
	}
	return rows_end(models, why);
}

/* What follows from a good build. */
static bool
follow_build(struct database *db, const struct standing *job, const struct job_finish *finish,
             struct failure *why)
{
	if (!job->build || finish->return_code != 0 || !finish->result_key)
		return true;
	scoped(jar_done) struct jar jar = {.key = copy_string(finish->result_key),
	                                   .sha256 = copy_string(finish->jar_sha256)};
	return tell_waiting_runs(db, job->commit_id, &jar, why)
	       && request_ci_runs(db, job->commit_id, &jar, why);
}

bool
jobs_finish(struct database *db, const struct job_finish *finish, int64_t *ret_attempt,
            struct failure *why)
{
	scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
	scoped(standing_done) struct standing job = {};
	int64_t attempt = finish->attempt;
	if (!transaction_begin(&change, db, why) || !find(db, finish->id, &job, why))
		return false;
	if (!finish->secret || !digest_equal(finish->secret, job.secret))
		return fail(why, FAILURE_FORBIDDEN, "wrong secret_key");
	if (!check_attempt(&job, &attempt, why))
		return false;
	if (job.finished && !strings_equal(job.report_sha256, finish->report_sha256))
		return fail(why, FAILURE_CONFLICT, "job is finished, with another report");
	if (job.finished) {
		*ret_attempt = 0;
		return true;
	}
	if (!set_finished(db, finish, attempt, why) || !follow_build(db, &job, finish, why)
	    || !transaction_commit(&change, why))
		return false;
	*ret_attempt = attempt;
	return true;
}
