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
 *current process; check-config; show-config.
 */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include <stdbool.h>

#include "base/failure.h"
#include "base/settings.h"
#include "work/job.h"
#include "work/outcome.h"
#include "work/steps.h"
#include "work/worker_config.h"

/* One job as the runner sees it. */
struct runner {
	const void *config;    /* the program's configuration, secrets read */
	const struct job *job; /* as the queue gave it */
	const char
	    *directory; /* the job's own, absolute, exists; the only place the job may write */
	int directory_fd;
	struct steps steps;
	struct outcome *outcome; /* to be filled in; written by the engine */
};

struct worker_program {
	const char
	    *name; /* "build-worker": names files and directories; the program is moolloy-NAME */
	const char *kind;                /* as registered: "build" */
	enum job_type type;              /* of the jobs it takes */
	const char *summary;             /* one line for --help */
	const struct settings *settings; /* chain that ends in worker_settings_table */
	size_t config_size;              /* of the struct; begins with struct worker_config */
	/* What the table cannot say of single values; and at run time, with `probe`, whether the
	 * tools the jobs need are there (admission). */
	bool (*check)(const void *config, bool probe, struct failure *why);
	/* Does the job and fills in the outcome. Returns outcome->success. */
	bool (*run)(struct runner *runner);
};

/* Exit status: 0, 64 usage, 70 internal, 75 temporary, 78 configuration; run-job: 0 success, 1
 * failure. */
int worker_main(int argc, char **argv, const struct worker_program *program);

#endif
