/*
 * Jobs: requested by a hook or a person, given out by the queue (messages.h), started and finished
 * by workers. A job and its message are one row, so that neither exists without the other.
 *
 * Attempts are fenced: what a worker tells of an attempt counts only while no later attempt began
 * and no other attempt finished the job.
 */
#ifndef DASHBOARD_JOBS_H
#define DASHBOARD_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "database.h"

/* ---- requesting; within the caller's transaction ---- */
bool must_check jobs_request_build(struct database *db, int64_t commit_id, int64_t *ret_id,
                                   struct failure *why);

struct run_request {
	int64_t commit_id, model_id;
	const char *algorithm; /* GIA IGIA CGIA PGIA OGIA, or NULL */
	const char *test_type; /* performance, correctness, ci: also the queue */
};
/*
 * With the jar of the commit's latest good build and the model's archive of now. FAILURE_NOT_FOUND:
 * no such commit or model; FAILURE_REJECTED: no good build, no archive, an unknown algorithm or
 * type.
 */
bool must_check jobs_request_run(struct database *db, const struct run_request *request,
                                 int64_t *ret_id, struct failure *why);

/* ---- what workers tell; each in a transaction of its own ---- */
#define ATTEMPT_NOT_TOLD (-1) /* existing workers do not know attempts: it is the latest one's */

struct job_start {
	int64_t id, attempt;
	const char *worker; /* or NULL */
};
/* The same again changes nothing. FAILURE_NOT_FOUND; FAILURE_CONFLICT: the attempt is over. */
bool must_check jobs_start(struct database *db, const struct job_start *start, struct failure *why);

/* A finish, its texts checked and of reasonable length; NULL: not told. */
struct job_finish {
	int64_t id, attempt;
	const char *secret;
	char report_sha256[65]; /* of the body */
	int64_t return_code;
	const char *result_key;
	const char *jar_sha256, *result_sha256;
	bool has_verdict; /* the next three were told */
	bool correct;
	struct value real_time_seconds, cpu_time_seconds; /* real, or null */
	struct value max_rss_bytes;                       /* integer, or null */
	const char *measured_by;
	const char *failure, *step, *error_message, *error_details;
	const char *timings; /* JSON */
	const char *worker;
};
/*
 * Ends the job and its message. A build of return code 0 with a jar queues a run of each model
 * whose CI is on, and gives runs that wait for the commit its jar, all in the same transaction. The
 * same report again changes nothing and is success. FAILURE_NOT_FOUND; FAILURE_FORBIDDEN: the
 * secret is wrong; FAILURE_CONFLICT: the attempt is over. *ret_attempt: which attempt ended now, 0
 * if none.
 */
bool must_check jobs_finish(struct database *db, const struct job_finish *finish,
                            int64_t *ret_attempt, struct failure *why);

#endif
