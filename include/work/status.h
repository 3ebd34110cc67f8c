/* The status file: what a worker is doing, for tools that do not ask it. <runtime>/<worker>.json,
 * replaced whole. */
#ifndef WORK_STATUS_H
#define WORK_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "work/job.h"

struct status {
	const char *worker;    /* "build-worker": names the file */
	const char *name;      /* as registered */
	const char *state;     /* idle starting running stopping draining stopped */
	const char *waiting;   /* why no job is claimed; NULL if one may be */
	const char *worker_id; /* the dashboard's; NULL while not registered */
	const char *unheard;   /* why the dashboard does not hear of us though we are; or NULL */
	const struct job *job; /* NULL: none */
	const char *step;
	int64_t done, total; /* of the step, in units; both 0: nothing told */
	const char *unit;
	const char *trouble; /* what the step waits for to pass; or NULL */
	int64_t since;       /* wall ms: when the job began */
	int64_t outbox, parked;
	int64_t ambiguous; /* finishes that the dashboard may have got twice, since the start */
	int64_t healed;    /* mirrors, templates and jars that were damaged and made anew, since the
	                      start */
	int64_t succeeded, failed, handed_back, lost; /* jobs since the start */
};

/* As JSON, without the time it was written; malloc'd. */
char *status_text(const struct status *status);
/* Writes text, stamped with the time, into <runtime>/<worker>.json. */
bool must_check status_publish(const char *runtime_directory, const char *worker, const char *text,
                               struct failure *why);

#endif
