/*
 * Templates: of each repository the files as the worker's last job began with them, in
 * <state-directory>/template/<sha256 of the address>. The next job's tree is a copy of them after
 * what differs between the two commits was written.
 *
 * No box ever shows a template, nothing is built in one, and from time to time all of it is hashed;
 * one that is damaged is made again. One job at a time uses the templates of a worker.
 */
#ifndef WORK_TEMPLATE_H
#define WORK_TEMPLATE_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "base/tick.h"
#include "work/steps.h"

/* All borrowed. */
struct template_wish {
	const char *state_directory;
	const char *url, *commit;
	const char *mirror;        /* path of one that holds the commit */
	const char *place;         /* absolute: becomes the tree; what lies there is removed */
	const struct tick *tick;   /* files of files */
	const struct steps *steps; /* the log's subject, and what is counted */
};

/*
 * A repository at place, HEAD detached at the commit, with the commit's files. FAILURE_DAMAGED: the
 * mirror is; FAILURE_BAD_REPOSITORY: the tree must not be checked out; FAILURE_CANCELLED.
 */
bool must_check template_instantiate(const struct template_wish *wish, struct failure *why);

/* Removes those that were not used for max_age ms. */
bool must_check templates_sweep(const char *state_directory, int64_t max_age, struct failure *why);

#endif
