/* The workers that registered, and what they do as of their last heartbeat. */
#ifndef DASHBOARD_WORKERS_H
#define DASHBOARD_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "database.h"

struct worker_introduction {
	const char *hostname; /* its name */
	const char *kind;     /* build, run; NULL for an existing worker */
	const char *version;  /* or NULL */
};
/*
 * A worker that tells its kind has one row by name and kind, so that a register whose answer was
 * lost leaves no ghost behind; existing workers of one host all have the same name and get a row
 * each. Workers that were silent for a day are forgotten.
 */
bool must_check workers_register(struct database *db,
                                 const struct worker_introduction *introduction, int64_t *ret_id,
                                 struct failure *why);

struct heartbeat {
	int64_t worker_id;
	int64_t job_id;      /* 0: idle */
	int64_t attempt;     /* 0: not told */
	const char *step;    /* or NULL */
	int64_t done, total; /* progress within the step; total 0: not known */
	const char *unit;    /* of progress; NULL: there is none */
};
/* FAILURE_REJECTED: worker or job does not exist. */
bool must_check workers_heartbeat(struct database *db, const struct heartbeat *heartbeat,
                                  struct failure *why);
/* FAILURE_REJECTED: worker does not exist. */
bool must_check workers_unregister(struct database *db, int64_t id, struct failure *why);

#endif
