/* What a worker program brings: its settings, and what it does with a job. The rest is the
 * engine's. */
#ifndef ENGINE_PROGRAM_H
#define ENGINE_PROGRAM_H

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

#endif
