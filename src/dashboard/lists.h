/*
 * What pages and /api show, read as rows (database.h) of these columns. Times are ms since 1970,
 * NULL where it has not happened. Nothing here gives secrets or receipts.
 *
 * A job: id type(build, run) commit_id sha comment model_id model_path algorithm test_type queue
 * jar_key jar_sha256 model_key requested_at attempt handbacks leased_by visible_at started_at
 * worker finished_at finished_attempt return_code result_s3_key result_sha256 correct
 * real_time_seconds cpu_time_seconds max_rss_bytes measured_by failure step error_message
 * timings(JSON), and two that are worked out:
 *
 *	state	waiting   on the queue, also after a hand-back or a lost lease
 *		claimed   given out, the worker did not say that it started
 *		running
 *		finished
 *		dropped   a worker took the message away and never reported
 *	good	NULL until finished; 1: return code 0, and of a run correct solutions
 *
 * A model: id path ci_enabled key sha256 bytes filename uploaded_at created_at, its latest run
 * (run_id run_state run_good), and the run that its times are taken from, the latest correct
 * performance run, else the latest correct run (timed_id real_time_seconds cpu_time_seconds).
 *
 * A commit: id sha time comment added_at, its latest build (build_id build_state build_good), the
 * jar of its latest good build (jar_key jar_sha256), and runs runs_good runs_finished, counted.
 *
 * A worker: id hostname kind version registered_at last_heartbeat last_state_change job_id job_type
 * model_path sha attempt step progress_done progress_total progress_unit.
 */
#ifndef DASHBOARD_LISTS_H
#define DASHBOARD_LISTS_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "database.h"

/* A piece of a list that is sorted from the newest to the oldest. */
struct page {
	int64_t before; /* ids below this; INT64_MAX: from the newest */
	int64_t limit;
};

/* Which jobs; a field that is 0 or NULL does not matter. */
struct job_filter {
	const char *type; /* build, run */
	int64_t id, commit_id, model_id;
};
struct rows *list_jobs(struct database *db, const struct job_filter *filter, struct page page);
/* The end of a failed job's output: error_details, one row or none. */
struct rows *list_job_details(struct database *db, int64_t id);

struct rows *list_commits(struct database *db, struct page page);
struct rows *list_commit(struct database *db, int64_t id);             /* one row or none */
struct rows *list_commit_of_sha(struct database *db, const char *sha); /* the same */

struct rows *list_models(struct database *db); /* by path */
struct rows *list_model(struct database *db, int64_t id);

struct rows *list_workers(struct database *db); /* by name */

struct overview {
	int64_t commits, models;
	int64_t builds_waiting, runs_waiting; /* claimed and running ones not counted */
	int64_t builds_running, runs_running; /* claimed or running */
	int64_t models_failing;               /* whose latest finished run is not good */
	int64_t workers, workers_idle;        /* that spoke within the last ten minutes */
	int64_t workers_silent;               /* that did not */
	double seconds; /* sum of the models' times: what moolloy needs for all of them */
};
bool must_check list_overview(struct database *db, struct overview *ret, struct failure *why);

#endif
