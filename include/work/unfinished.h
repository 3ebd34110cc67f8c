/*
 * Uploads that a store far away keeps unfinished when a runner is killed, until somebody ends them.
 * A runner notes in its job's directory what it is about to store; the worker's next one ends what
 * is left of it, whatever became of the job.
 *
 * Blocking; for runners.
 */
#ifndef WORK_UNFINISHED_H
#define WORK_UNFINISHED_H

#include "base/attributes.h"
#include "base/failure.h"
#include "remote/store.h"

/* Before the upload begins. The note goes with the directory. */
bool must_check unfinished_note(int directory, const struct store *store, const char *key,
                                struct failure *why);
/* Of all jobs but `current`, the name of a job's directory. A note that could not be followed stays
 * for the next time. The keys are appended to *ended. */
bool must_check unfinished_end(const char *state_directory, const struct store_settings *settings,
                               const char *current, struct strings *ended, struct failure *why);

#endif
