/* The settings of moolloy-build-worker. */
#ifndef BUILD_WORKER_CONFIG_H
#define BUILD_WORKER_CONFIG_H

#include "outside/git.h"
#include "work/worker_config.h"

struct build_config {
	struct worker_config worker; /* must stay first: its tables' offsets count from here */

	char *repository;

	struct strings protocols;
	char *ssh_key, *known_hosts;
	char *username;
	struct secret token;
	char *ca_file;
	int64_t stall_timeout, git_timeout; /* ms */
	struct strings rewrite;             /* "FROM TO" each */
	int64_t mirror_max_age;             /* ms */
	int64_t mirror_max_bytes;

	struct strings commands; /* each split at spaces */
	char *artifact;          /* below the tree */
	struct strings environment;
	bool network;
	int64_t timeout, no_output_timeout; /* ms; 0: none */
	int64_t log_limit;                  /* bytes of build.log */
};

extern const struct settings build_settings;

/* What the table cannot say; with probe also whether the commands' programs and the box are there.
 */
bool build_config_check(const void *config, bool probe, struct failure *why);
/* How to reach repositories, as configured, but for the token; borrowed from the configuration. */
struct repository_access build_config_access(const struct build_config *config);
/* A command of the list as argv. */
void build_config_split(const char *command, struct strings *arguments);

#endif
