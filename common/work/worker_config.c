#include "work/worker_config.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#define DAY (24LL * 3600 * 1000)

#define AT(field) offsetof(struct worker_config, field)

static const struct setting rows[] = {
    {.name = "name",
     .type = SETTING_STRING,
     .offset = AT(name),
     .fixed = true,
     .help = "What this worker is called on the dashboard; empty: the host's name. Give each of "
             "several workers on one host its own, such as host/2."},
    {.name = "log-level",
     .type = SETTING_CHOICE,
     .offset = AT(log_level),
     .standard = "info",
     .choices = "error warning notice info debug",
     .help = "Log lines less urgent than this are dropped."},
    {.name = "dashboard.url",
     .type = SETTING_STRING,
     .offset = AT(dashboard_url),
     .standard = "http://127.0.0.1:8080",
     .fixed = true,
     .help = "Address of the dashboard, http or https, without a slash at the end."},
    {.name = "dashboard.username",
     .type = SETTING_STRING,
     .offset = AT(dashboard_username),
     .help = "User name for the dashboard; empty: none is sent."},
    {.name = "dashboard.password-file",
     .type = SETTING_SECRET,
     .offset = AT(dashboard_password),
     .help =
         "File whose first line is the password; a name without a slash is a systemd credential."},
    {.name = "dashboard.ca-file",
     .type = SETTING_PATH,
     .offset = AT(dashboard_ca_file),
     .help = "PEM file of the authorities to trust for the dashboard; empty: the system's."},
    {.name = "heartbeat-period",
     .type = SETTING_DURATION,
     .offset = AT(heartbeat_period),
     .standard = "60s",
     .min = 1000,
     .max = 3600000,
     .help = "How often the dashboard hears that this worker lives."},
    {.name = "queue.type",
     .type = SETTING_CHOICE,
     .offset = AT(queue_type),
     .standard = "dashboard",
     .choices = "dashboard sqs",
     .fixed = true,
     .help = "Where jobs come from: dashboard is the queue of moolloy-dashboard, sqs is Amazon SQS "
             "or what speaks like it; the setting queues names its queues, by name or URL, and the "
             "settings aws.* its keys."},
    {.name = "queue.endpoint",
     .type = SETTING_STRING,
     .offset = AT(queue_endpoint),
     .fixed = true,
     .help = "sqs: its address, http or https, without a slash at the end; empty: that of AWS for "
             "queue.region."},
    {.name = "queue.region",
     .type = SETTING_STRING,
     .offset = AT(queue_region),
     .fixed = true,
     .help = "sqs: the region of the queues, such as eu-west-1; empty: store.region."},
    {.name = "queue.ca-file",
     .type = SETTING_PATH,
     .offset = AT(queue_ca_file),
     .fixed = true,
     .help = "sqs: PEM file of the authorities to trust for it; empty: the system's."},
    {.name = "queue.lease",
     .type = SETTING_DURATION,
     .offset = AT(queue_lease),
     .standard = "0s",
     .max = 12 * 3600 * 1000,
     .fixed = true,
     .help = "How long a job stays hidden from other workers without a word from its own, which is "
             "how long it waits when a host is lost; extended every third of it. At least 2s; 0s: "
             "2m, with sqs 1h."},
    {.name = "queue.hide-limit",
     .type = SETTING_DURATION,
     .offset = AT(queue_hide_limit),
     .standard = "690m",
     .min = 2000,
     .max = 710 * 60 * 1000,
     .fixed = true,
     .help = "sqs: a job that would be hidden from other workers for longer than this (SQS allows "
             "12h) is taken off the queue: from then on its claim on this host is the only copy, "
             "and to lose the host is to lose the job."},
    {.name = "runtime-directory",
     .type = SETTING_PATH,
     .offset = AT(runtime_directory),
     .standard = "/run/moolloy-workers",
     .fixed = true,
     .help = "Where the status file and the control socket lie."},
    {.name = "cache-directory",
     .type = SETTING_PATH,
     .offset = AT(cache_directory),
     .standard = "/var/cache/moolloy-workers",
     .fixed = true,
     .help = "What may be lost and is shared by the workers of a host."},
    {.name = "drain-timeout",
     .type = SETTING_DURATION,
     .offset = AT(drain_timeout),
     .standard = "90s",
     .max = 7 * DAY,
     .help = "How long a job may go on after SIGTERM before it is stopped and handed back to the "
             "queue."},
    {.name = "max-attempts",
     .type = SETTING_NUMBER,
     .offset = AT(max_attempts),
     .standard = "5",
     .min = 1,
     .max = 100,
     .help = "After so many tries that failed for the world's fault a job is reported as failed."},
    {.name = "retry-delay",
     .type = SETTING_DURATION,
     .offset = AT(retry_delay),
     .standard = "30s",
     .max = 12 * 3600 * 1000,
     .help = "How long a job that failed for the world's fault stays hidden before the next try. A "
             "worker on which store, keys, network or box failed a job rests as long before it "
             "takes another, each time twice as long, up to 10m."},
    {.name = "report-max-age",
     .type = SETTING_DURATION,
     .offset = AT(report_max_age),
     .standard = "24h",
     .min = 1000,
     .max = 30 * DAY,
     .help = "A report that the dashboard answered with nothing but 5xx for so long, while it "
             "takes others, is parked."},
    {.name = "outbox-limit",
     .type = SETTING_NUMBER,
     .offset = AT(outbox_limit),
     .standard = "1000",
     .min = 10,
     .max = 100000,
     .help = "With so many reports waiting for the dashboard no further job is claimed."},
    {.name = "keep-failed.count",
     .type = SETTING_NUMBER,
     .offset = AT(keep_failed_count),
     .standard = "20",
     .max = 10000,
     .help = "How many directories of failed jobs are kept for debugging; the oldest go first."},
    {.name = "keep-failed.bytes",
     .type = SETTING_SIZE,
     .offset = AT(keep_failed_bytes),
     .standard = "10GiB",
     .help = "How much room they may take together."},
    {.name = "keep-failed.age",
     .type = SETTING_DURATION,
     .offset = AT(keep_failed_age),
     .standard = "14d",
     .help = "How old they may get."},
    {.name = "disk.free-bytes",
     .type = SETTING_SIZE,
     .offset = AT(free_bytes),
     .standard = "2GiB",
     .help = "With less room than this in the state or the cache directory no job is claimed."},
    {.name = "disk.free-inodes",
     .type = SETTING_NUMBER,
     .offset = AT(free_inodes),
     .standard = "10000",
     .max = 1000000000000,
     .help = "With fewer free inodes than this in the state or the cache directory no job is "
             "claimed."},
    {.name = "disk.stop-bytes",
     .type = SETTING_SIZE,
     .offset = AT(stop_bytes),
     .standard = "512MiB",
     .help = "With less room than this in one of them, and than disk.free-bytes, the running job "
             "is stopped and handed back."},
    {.name = "disk.job-bytes",
     .type = SETTING_SIZE,
     .offset = AT(job_bytes),
     .standard = "0",
     .help = "A job whose directory holds more is stopped and handed back; 0: it may fill the disk "
             "up to disk.stop-bytes."},
};

const struct settings worker_settings_table = {
    .rows = rows, .count = sizeof rows / sizeof *rows, .more = &store_settings_table};

bool
worker_check_environment(const char *setting, const struct strings *environment,
                         struct failure *why)
{
	for (size_t i = 0; i < environment->count; i++) {
		const char *item = environment->items[i];
		if (strcspn(item, "=") == 0)
			return fail(why, FAILURE_CONFIGURATION,
			            "%s: '%s' does not begin with a name", setting, item);
		if (strchr(item, '='))
			continue;
		if (starts_with(item, "AWS_") || strings_equal(item, "CREDENTIALS_DIRECTORY"))
			return fail(why, FAILURE_CONFIGURATION,
			            "%s: %s leads to the worker's own keys, which no job gets",
			            setting, item);
	}
	return true;
}

bool
worker_needs_keys(const struct worker_config *config)
{
	return strings_equal(config->store.type, "s3") || strings_equal(config->queue_type, "sqs");
}

const char *
worker_queue_region(const struct worker_config *config)
{
	return config->queue_region ? config->queue_region : config->store.region;
}

char *
worker_name(const struct worker_config *config)
{
	char host[HOST_NAME_MAX + 1] = "";
	if (config->name)
		return copy_string(config->name);
	if (gethostname(host, sizeof host) < 0 || !host[0])
		return copy_string("localhost");
	return copy_string(host);
}
