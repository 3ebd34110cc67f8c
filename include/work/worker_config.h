/* The settings both workers share; first in each worker's configuration struct. */
#ifndef WORK_WORKER_CONFIG_H
#define WORK_WORKER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/settings.h"
#include "remote/store.h"

struct worker_config {
	struct store_settings store; /* must stay first: its table's offsets count from here */

	const char
	    *worker; /* no setting: "run-worker", or "run-worker@2" for an instance; names files */

	char *name; /* what registers with the dashboard; NULL: the host's name */
	char *log_level;

	char *dashboard_url;
	char *dashboard_username;
	struct secret dashboard_password;
	char *dashboard_ca_file;
	int64_t heartbeat_period;

	char *queue_type;
	int64_t queue_lease;      /* 0: what suits the type */
	char *queue_endpoint;     /* sqs; NULL: that of AWS for the region */
	char *queue_region;       /* sqs; see worker_queue_region() */
	char *queue_ca_file;      /* sqs */
	int64_t queue_hide_limit; /* sqs */
	struct strings queues;    /* in order of priority */

	char *state_directory;
	char *runtime_directory; /* status file and control socket */
	char *cache_directory;

	int64_t drain_timeout;
	int64_t max_attempts;
	int64_t retry_delay;    /* until a job that failed for the world's fault is seen again */
	int64_t report_max_age; /* a report that met nothing but 5xx this long is parked */
	int64_t outbox_limit;   /* entries waiting; at it no job is claimed */
	int64_t keep_failed_count, keep_failed_bytes, keep_failed_age;
	int64_t free_bytes, free_inodes; /* reserve below which no job is claimed */
	int64_t stop_bytes;              /* and below which the running one is stopped */
	int64_t job_bytes;               /* a job's directory may hold; 0: whatever fits */
};

extern const struct settings worker_settings_table;

/*
 * Rows that every worker has, with defaults of its own: for its table, over struct TYPE whose first
 * member is `struct worker_config worker`. QUEUES: names separated by \n.
 */
#define WORKER_OWN_ROWS(TYPE, WORKER, QUEUES)                                                      \
	{.name = "queues",                                                                         \
	 .type = SETTING_LIST,                                                                     \
	 .offset = offsetof(struct TYPE, worker.queues),                                           \
	 .standard = (QUEUES),                                                                     \
	 .fixed = true,                                                                            \
	 .help = "The queues jobs are taken from, in order of priority."},                         \
	{                                                                                          \
		.name = "state-directory", .type = SETTING_PATH,                                   \
		.offset = offsetof(struct TYPE, worker.state_directory),                           \
		.standard = "/var/lib/moolloy-workers/" WORKER, .fixed = true,                     \
		.help = "Where claims, reports and job directories lie. One worker each."          \
	}

/* Items are "NAME=VALUE" or "NAME", which passes on the worker's own value: not one by which the
 * worker comes to its keys. setting: its name, for the message. */
bool must_check worker_check_environment(const char *setting, const struct strings *environment,
                                         struct failure *why);
/* Do store or queue need keys for AWS (remote/credentials.h)? */
bool worker_needs_keys(const struct worker_config *config);
/* The worker's name: the setting, or the host's name. malloc'd. */
char *worker_name(const struct worker_config *config);
/* That of SQS; NULL: neither queue.region nor store.region is set. */
const char *worker_queue_region(const struct worker_config *config);

#endif
