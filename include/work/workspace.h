/* Job directories: <state>/jobs/<id>-<attempt>. */
#ifndef WORK_WORKSPACE_H
#define WORK_WORKSPACE_H

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "work/job.h"

/* "12-1"; malloc'd. Also the name of the job's claim. */
char *workspace_name(const char *job_id, int attempt);
/* <state>/jobs/<name>; malloc'd. */
char *workspace_path(const char *state_directory, const char *name);
/* An empty directory under the job's name; what an earlier life left there is removed. *ret_path is
 * malloc'd. */
bool must_check workspace_make(const char *state_directory, const struct job *job, char **ret_path,
                               struct failure *why);

struct workspace_policy {
	int64_t count, bytes, age; /* how many, bytes together, ms since they were last written */
};
/*
 * Removes job directories beyond the policy, oldest first, and appends their names to *removed.
 * `current` (a name, or NULL) is not looked at. Blocks while it deletes: for runners, not for the
 * manager.
 */
bool must_check workspace_sweep(const char *state_directory, const struct workspace_policy *policy,
                                const char *current, struct strings *removed, struct failure *why);

#endif
