/* The jar of a commit: found in the store, or put there. Each commit is built once. */
#ifndef BUILD_WORKER_JAR_H
#define BUILD_WORKER_JAR_H

#include "build.h"

/*
 * Step lookup: is the commit's jar in the store already? Then it is read and hashed, job->built is
 * set and job->stored is it; one without metadata gets its metadata; one that does not hash to its
 * metadata is damaged: built again, and replaced.
 */
bool must_check jar_adopt(struct build_job *job);
/*
 * Step upload: what the commands left at build.artifact goes to the store. FAILURE_NO_ARTIFACT.
 * Whoever loses the race for the key adopts the winner's jar.
 */
bool must_check jar_upload(struct build_job *job);

#endif
