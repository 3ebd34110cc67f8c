/* A build, from the first step to the last. */
#ifndef BUILD_WORKER_BUILD_JOB_H
#define BUILD_WORKER_BUILD_JOB_H

#include "engine/program.h"

/* For struct worker_program. */
bool build_job(struct runner *runner);

#endif
