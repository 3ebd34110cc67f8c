/* Steps populate and package: tarballs of a run. */
#ifndef RUN_WORKER_PACKAGE_H
#define RUN_WORKER_PACKAGE_H

#include "run.h"

#define POPULATED_MODEL "populated_model.tar.bz2"

/* The model with all its files, less the mark that it has no solutions, and the run's solutions, as
 * POPULATED_MODEL in the job's directory. */
bool must_check package_model(struct run_job *job);
/*
 * model/, run/, hostname, manifest.json and comparison.json, streamed into the store as
 * results/<job>-<attempt>.tar.<...>: no copy of the tarball is ever on disk. The outcome gets its
 * key and SHA-256. While the store cannot take it (a failure that is retryable) it is tried again,
 * for as long as the run took.
 */
bool must_check package_results(struct run_job *job);

#endif
