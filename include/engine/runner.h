/* The runner: one job in this process, straight through; its last act is outcome.json in the job's
 * directory. */
#ifndef ENGINE_RUNNER_H
#define ENGINE_RUNNER_H

#include "engine/program.h"

struct runner_options {
	const void *config;    /* validated */
	const char *directory; /* the job's; NULL: by hand, a fresh one under TMPDIR, which stays
	                          and whose place is printed */
	int progress_fd;       /* JSON lines to the manager, or -1 */
};

/* Reads the job from standard input and does it. Exit status: 0 success, 1 failure, 64 if it is no
 * job, 75 if it could not begin. */
int runner_main(const struct worker_program *program, const struct runner_options *options);

#endif
