#include "workers.h"

#include "base/clock.h"

#define FORGET_MS ((int64_t)24 * 60 * 60 * 1000)

static bool
expect_worker(struct database *db, struct failure *why)
{
	return database_changed(db) > 0 || fail(why, FAILURE_REJECTED, "worker does not exist");
}

bool
workers_register(struct database *db, const struct worker_introduction *introduction,
                 int64_t *ret_id, struct failure *why)
{
	scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
	int64_t now = wall_ms();
	int64_t id;
	if (!transaction_begin(&change, db, why)
	    || !database_do(db, "DELETE FROM workers WHERE last_heartbeat < ?",
	                    WITH(integer_value(now - FORGET_MS)), why)
	    || !database_number(
		db,
		"INSERT INTO workers (hostname, kind, version, registered_at, last_heartbeat,"
		" last_state_change) VALUES (?1, ?2, ?3, ?4, ?4, ?4)"
		" ON CONFLICT (hostname, kind) WHERE kind IS NOT NULL DO UPDATE SET"
		" version = ?3, registered_at = ?4, last_heartbeat = ?4 RETURNING id",
		WITH(text_value(introduction->hostname), text_value(introduction->kind),
	             text_value(introduction->version), integer_value(now)),
		0, &id, why)
	    || !transaction_commit(&change, why))
		return false;
	*ret_id = id;
	return true;
}

bool
workers_heartbeat(struct database *db, const struct heartbeat *heartbeat, struct failure *why)
{
	int64_t jobs = 0;
	struct value job = heartbeat->job_id ? integer_value(heartbeat->job_id) : null_value();
	if (heartbeat->job_id
	    && !database_number(db, "SELECT count(*) FROM jobs WHERE id = ?", WITH(job), 0, &jobs,
	                        why))
		return false;
	if (heartbeat->job_id && jobs == 0)
		return fail(why, FAILURE_REJECTED, "job does not exist");
	return database_do(
		   db,
		   "UPDATE workers SET last_heartbeat = ?1,"
		   " last_state_change = iif(job_id IS ?2, last_state_change, ?1), job_id = ?2,"
		   " attempt = ?3, step = ?4, progress_done = ?5, progress_total = ?6,"
		   " progress_unit = ?7 WHERE id = ?8",
		   WITH(integer_value(wall_ms()), job,
	                heartbeat->attempt ? integer_value(heartbeat->attempt) : null_value(),
	                text_value(heartbeat->step),
	                heartbeat->unit ? integer_value(heartbeat->done) : null_value(),
	                heartbeat->unit ? integer_value(heartbeat->total) : null_value(),
	                text_value(heartbeat->unit), integer_value(heartbeat->worker_id)),
		   why)
	       && expect_worker(db, why);
}

bool
workers_unregister(struct database *db, int64_t id, struct failure *why)
{
	return database_do(db, "DELETE FROM workers WHERE id = ?", WITH(integer_value(id)), why)
	       && expect_worker(db, why);
}
