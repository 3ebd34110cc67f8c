/* The settings both workers share; first in each worker's configuration struct. */
#ifndef WORK_WORKER_CONFIG_H
#define WORK_WORKER_CONFIG_H

#include <stdint.h>

#include "base/settings.h"
#include "remote/store.h"

struct worker_config {
	struct store_settings store; /* must stay first: its table's offsets count from here */

	char *name; /* what registers with the dashboard; default: host name */
	char *log_level;

	char *dashboard_url;
	char *dashboard_username;
	struct secret dashboard_password;
	char *dashboard_ca_file;
	int64_t heartbeat_period;

	char *queue_type;
	struct strings queues; /* in order of priority */

	char *state_directory; /* default: /var/lib/moolloy-workers/<worker> */
	char *cache_directory;
	char *runtime_directory; /* status file and control socket */

	int64_t drain_timeout;
	int64_t max_attempts;
	int64_t retry_delay; /* a job handed back for an infrastructure failure is seen again after
	                        it */
	int64_t report_max_age; /* a report that meets nothing but 5xx this long is parked */
	int64_t outbox_limit;   /* reports waiting; at it no job is claimed */
	int64_t keep_failed_count, keep_failed_bytes,
	    keep_failed_age;             /* directories of failed jobs */
	int64_t free_bytes, free_inodes; /* reserve below which no job is claimed */
};

extern const struct settings worker_settings_table;

#endif
