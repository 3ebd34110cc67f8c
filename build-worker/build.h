/* A build in the making: what the steps find, one after the other. */
#ifndef BUILD_WORKER_BUILD_H
#define BUILD_WORKER_BUILD_H

#include "config.h"
#include "engine/program.h"
#include "remote/store.h"
#include "work/source.h"

/* The fields stand in the order of the work. */
struct build_job {
	const struct build_config *config;
	const struct job *job; /* given by the queue */
	const char *directory; /* the job's own, absolute; and as an fd: */
	int directory_fd;
	struct steps *steps;
	struct outcome *outcome;
	struct failure why; /* of the step that failed */

	struct store *store;
	char *key;                       /* lookup: builds/<commit>.jar */
	struct store_object stored;      /* lookup, upload: the jar in the store */
	bool built;                      /* lookup: somebody built this commit already */
	bool replace;                    /* lookup: what is stored is damaged */
	char replaced[STORE_VERSION];    /* lookup: the version of that */
	struct repository_access access; /* clone */
	char *token, *token_url;         /* clone: where it may be sent */
	struct source_how how;           /* clone */
	struct source source;            /* clone: in use until the job ends */
	char *tree;                      /* checkout: absolute path of the repository */
};

#endif
