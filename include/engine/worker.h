/*
 * A worker program: all that build-worker and run-worker have in common.
 *
 *	int
 *	main(int argc, char **argv)
 *	{
 *		return worker_main(argc, argv, &build_worker);
 *	}
 *
 * Verbs: serve (default) is the manager; run-job is the runner, one job from standard input in the
 * current process; check-config; show-config.
 */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include "engine/program.h"

/* Exit status: 0, 64 usage, 70 internal, 75 temporary, 78 configuration; run-job: 0 success, 1
 * failure. */
int worker_main(int argc, char **argv, const struct worker_program *program);

#endif
