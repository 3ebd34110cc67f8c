/* The settings of moolloy-run-worker. */
#ifndef RUN_WORKER_CONFIG_H
#define RUN_WORKER_CONFIG_H

#include "work/worker_config.h"

struct run_config {
	struct worker_config worker; /* must stay first: its tables' offsets count from here */

	char *java;
	struct strings jvm_options;
	struct strings environment; /* NAME=VALUE, or NAME to pass the daemon's */
	bool network;
	int64_t timeout, no_output_timeout; /* ms; 0: none */
	int64_t log_limit;                  /* bytes, of stdout and of stderr each */

	int64_t model_max_bytes, model_max_entries;

	char *compression;
	bool include_jar;
	char *jar_hash;     /* "required", "if-known" */
	int64_t cache_size; /* bytes of jars; 0: none is kept */
};

extern const struct settings run_settings;

/* What the table cannot say; with probe also whether java and the box are there. */
bool run_config_check(const void *config, bool probe, struct failure *why);

#endif
