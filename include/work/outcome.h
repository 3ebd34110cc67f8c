/*
 * What became of a job: the runner's last word, outcome.json in the job's directory, and what the
 * report is made of.
 *
 * Two kinds must not be mixed: a *failure* (a step itself could not be done; success is false), and
 * a run's *verdict* (the jar ran; it may have exited 3 or found wrong solutions: success is true,
 * return_code and correct say so).
 */
#ifndef WORK_OUTCOME_H
#define WORK_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"

struct json_t;

#define OUTCOME_FILE     "outcome.json"
#define RETURN_CODE_NONE 255 /* no command ended */

struct outcome {
	bool success;       /* every step could be done */
	struct failure why; /* failure, or of a success the verdict (exit-status, wrong-solutions,
	                       timeout, no-output; NONE if all is well) */
	int return_code;    /* exit status; 128 + signal; RETURN_CODE_NONE */
	char *result_key; /* build: the jar's key; run: the tarball's; NULL if none was uploaded */
	char *jar_sha256; /* build: of the uploaded jar; run: of the jar that ran */
	char *result_sha256;   /* run: of the tarball */
	bool correct;          /* run */
	double wall_seconds;   /* run: of moolloy */
	double cpu_seconds;    /* run: of its whole process tree */
	int64_t max_rss_bytes; /* run */
	char *measured_by;     /* run: "cgroup" or "proc" */
	char *populated; /* run: name of the populated model's tarball in the job's directory, to be
	                    uploaded; or NULL */
	struct json_t *timings; /* {"clone":1.25,...}: seconds a step, in order */
};
#define OUTCOME_INIT                                                                               \
	{                                                                                          \
		.return_code = RETURN_CODE_NONE                                                    \
	}

/* Durably to OUTCOME_FILE in the directory. */
bool must_check outcome_write(const struct outcome *outcome, int directory, struct failure *why);
/* FAILURE_NOT_FOUND if there is none. */
bool must_check outcome_read(int directory, struct outcome *ret_outcome, struct failure *why);
void outcome_done(struct outcome *outcome);

#endif
