/* The settings of moolloy-dashboard. */
#ifndef DASHBOARD_CONFIG_H
#define DASHBOARD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/settings.h"
#include "remote/store.h"

struct dashboard_config {
	struct store_settings store; /* must stay first: its table's offsets count from here */

	char *listen;
	char *data;
	char *username;
	struct secret password;
	struct secret github_secret; /* of X-Hub-Signature-256 */
	struct secret hook_secret;   /* the last part of the hook's path */
	int64_t model_max_bytes;
	char *log_level;
};

extern const struct settings dashboard_settings_table;

/* What the command line says; NULL where it says nothing. */
struct dashboard_arguments {
	const char *file; /* instead of /etc/moolloy-workers/dashboard.yaml */
	const char *data, *listen;
};

/*
 * config must be zeroed, and is the caller's to settings_done() in every case. Reads the file and
 * the secrets, lets the command line win, and checks that it all fits. Every failure is
 * FAILURE_CONFIGURATION.
 */
bool must_check dashboard_config_load(const struct dashboard_arguments *arguments,
                                      struct dashboard_config *config, struct failure *why);

#endif
