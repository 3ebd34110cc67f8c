/* Step build: the configured commands, boxed, one after the other. */
#ifndef BUILD_WORKER_COMMANDS_H
#define BUILD_WORKER_COMMANDS_H

#include "build.h"

/*
 * Runs them in the tree until one fails; only the tree is writable to them. What they print goes to
 * build.log in the job's directory; the end of it is the evidence of a failure: FAILURE_COMMAND,
 * FAILURE_TIMEOUT, FAILURE_NO_OUTPUT. The outcome gets the last exit status.
 */
bool must_check commands_run(struct build_job *job);

#endif
