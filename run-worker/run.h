/* A run in the making: what the steps find, one after the other. */
#ifndef RUN_WORKER_RUN_H
#define RUN_WORKER_RUN_H

#include "compare.h"
#include "config.h"
#include "engine/program.h"
#include "outside/command.h"
#include "remote/store.h"

#define UNPOPULATED_MARK "solutions_not_populated.txt"

/* The fields stand in the order of the work. */
struct run_job {
	const struct run_config *config;
	const struct job *job; /* given by the queue */
	const char *directory; /* the job's own, absolute; and as an fd: */
	int directory_fd;
	struct steps *steps;
	struct outcome *outcome;
	struct store *store; /* fetch-jar opens it */

	struct failure why; /* of the step that could not be done */

	char wanted[SHA256_TEXT];     /* fetch-jar: what the jar must hash to; "" if nothing says */
	struct store_object jar;      /* fetch-jar: run/moolloy.jar */
	bool cached;                  /* fetch-jar: it came out of the cache */
	struct store_object model;    /* fetch-model: model.archive */
	bool unpopulated;             /* extract: the model came without solutions */
	struct strings command;       /* execute: what was run */
	struct command_result result; /* execute: how it ended */
	bool populate;                /* execute: its solutions are to become the model's */
	struct comparison comparison; /* compare */
};

#endif
