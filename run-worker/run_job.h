/* A run, from the first step to the last. */
#ifndef RUN_WORKER_RUN_JOB_H
#define RUN_WORKER_RUN_JOB_H

#include "engine/program.h"

/* For struct worker_program. */
bool run_job(struct runner *runner);

#endif
