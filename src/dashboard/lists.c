#include "lists.h"

#include "base/clock.h"

#define SILENT_MS ((int64_t)10 * 60 * 1000)

/* ---- jobs ---- */

struct rows *
list_jobs(struct database *db, const struct job_filter *filter, struct page page)
{
	struct value type = text_value(filter->type);
	/* By what is asked most, so that an index serves each. */
	if (filter->id)
		return database_rows(db, "SELECT * FROM job_list WHERE id = ?",
		                     WITH(integer_value(filter->id)));
	if (filter->commit_id)
		return database_rows(
		    db,
		    "SELECT * FROM job_list WHERE commit_id = ? AND type = ifnull(?, type)"
		    " AND (?3 = 0 OR model_id = ?3) AND id < ? ORDER BY id DESC LIMIT ?",
		    WITH(integer_value(filter->commit_id), type, integer_value(filter->model_id),
		         integer_value(page.before), integer_value(page.limit)));
	if (filter->model_id)
		return database_rows(
		    db,
		    "SELECT * FROM job_list WHERE model_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
		    WITH(integer_value(filter->model_id), integer_value(page.before),
		         integer_value(page.limit)));
	return database_rows(db,
	                     "SELECT * FROM job_list WHERE (?1 IS NULL OR type = ?1) AND id < ?"
	                     " ORDER BY id DESC LIMIT ?",
	                     WITH(type, integer_value(page.before), integer_value(page.limit)));
}

struct rows *
list_job_details(struct database *db, int64_t id)
{
	return database_rows(db, "SELECT error_details FROM jobs WHERE id = ?",
	                     WITH(integer_value(id)));
}

/* ---- commits, models, workers ---- */

struct rows *
list_commits(struct database *db, struct page page)
{
	return database_rows(db, "SELECT * FROM commit_list WHERE id < ? ORDER BY id DESC LIMIT ?",
	                     WITH(integer_value(page.before), integer_value(page.limit)));
}

struct rows *
list_commit(struct database *db, int64_t id)
{
	return database_rows(db, "SELECT * FROM commit_list WHERE id = ?", WITH(integer_value(id)));
}

struct rows *
list_commit_of_sha(struct database *db, const char *sha)
{
	return database_rows(db, "SELECT * FROM commit_list WHERE sha = ?", WITH(text_value(sha)));
}

struct rows *
list_models(struct database *db)
{
	return database_rows(db, "SELECT * FROM model_list ORDER BY path", WITH_NONE);
}

struct rows *
list_model(struct database *db, int64_t id)
{
	return database_rows(db, "SELECT * FROM model_list WHERE id = ?", WITH(integer_value(id)));
}

struct rows *
list_workers(struct database *db)
{
	return database_rows(db,
	                     "SELECT workers.*, jobs.type AS job_type, models.path AS model_path,"
	                     " commits.sha AS sha FROM workers"
	                     " LEFT JOIN jobs ON jobs.id = job_id"
	                     " LEFT JOIN models ON models.id = jobs.model_id"
	                     " LEFT JOIN commits ON commits.id = jobs.commit_id"
	                     " ORDER BY hostname, kind, workers.id",
	                     WITH_NONE);
}

/* ---- overview ---- */

bool
list_overview(struct database *db, struct overview *ret, struct failure *why)
{
	scoped(rows_close) struct rows *rows = database_rows(
	    db,
	    "SELECT (SELECT count(*) FROM commits) AS commits,"
	    " (SELECT count(*) FROM models) AS models, builds_waiting, runs_waiting,"
	    " builds_running, runs_running,"
	    " (SELECT count(*) FROM models WHERE"
	    "   (SELECT good FROM job_list WHERE model_id = models.id AND state = 'finished'"
	    "    ORDER BY id DESC LIMIT 1) = 0) AS models_failing,"
	    " (SELECT count(*) FROM workers WHERE last_heartbeat >= ?1) AS workers,"
	    " (SELECT count(*) FROM workers WHERE last_heartbeat >= ?1 AND job_id IS NULL)"
	    "   AS workers_idle,"
	    " (SELECT count(*) FROM workers WHERE last_heartbeat < ?1) AS workers_silent,"
	    " (SELECT total(real_time_seconds) FROM model_list) AS seconds FROM"
	    " (SELECT"
	    "   count(*) FILTER (WHERE type = 'build' AND state = 'waiting') AS builds_waiting,"
	    "   count(*) FILTER (WHERE type = 'run' AND state = 'waiting') AS runs_waiting,"
	    "   count(*) FILTER (WHERE type = 'build' AND state != 'waiting') AS builds_running,"
	    "   count(*) FILTER (WHERE type = 'run' AND state != 'waiting') AS runs_running"
	    "  FROM job_list WHERE queued = 1)",
	    WITH(integer_value(wall_ms() - SILENT_MS)));
	if (rows_next(rows))
		*ret = (struct overview){.commits = row_integer(rows, "commits"),
		                         .models = row_integer(rows, "models"),
		                         .builds_waiting = row_integer(rows, "builds_waiting"),
		                         .runs_waiting = row_integer(rows, "runs_waiting"),
		                         .builds_running = row_integer(rows, "builds_running"),
		                         .runs_running = row_integer(rows, "runs_running"),
		                         .models_failing = row_integer(rows, "models_failing"),
		                         .workers = row_integer(rows, "workers"),
		                         .workers_idle = row_integer(rows, "workers_idle"),
		                         .workers_silent = row_integer(rows, "workers_silent"),
		                         .seconds = row_real(rows, "seconds")};
	return rows_end(rows, why);
}
