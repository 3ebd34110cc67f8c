#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "outside/archive.h"
#include "outside/box.h"

#define HOUR      (3600LL * 1000)
#define AT(field) offsetof(struct run_config, field)

static const struct setting rows[] = {
    WORKER_OWN_ROWS(run_config, "run-worker", "performance\ncorrectness\nci"),
    {.name = "run.java",
     .type = SETTING_PATH,
     .offset = AT(java),
     .standard = "/usr/bin/java",
     .help = "The program that runs the jar. It must lie below /usr, which the box shows."},
    {.name = "run.jvm-options",
     .type = SETTING_LIST,
     .offset = AT(jvm_options),
     .standard = "-Xss4m\n-Xms512m\n-Xmx8192m",
     .help = "Options of the Java machine, before -jar. The heap (-Xmx) should fit into the "
             "machine's memory."},
    {.name = "run.environment",
     .type = SETTING_LIST,
     .offset = AT(environment),
     .help = "More environment for the jar: NAME=VALUE, or NAME to pass on the worker's own value. "
             "It gets nothing else but PATH, HOME, TMPDIR and LANG."},
    {.name = "run.network",
     .type = SETTING_BOOL,
     .offset = AT(network),
     .standard = "no",
     .help = "Whether the jar may use the network. Moolloy needs none."},
    {.name = "run.timeout",
     .type = SETTING_DURATION,
     .offset = AT(timeout),
     .standard = "48h",
     .min = 1000,
     .max = 30 * 24 * HOUR,
     .help = "A run that takes longer is ended; its result says so."},
    {.name = "run.no-output-timeout",
     .type = SETTING_DURATION,
     .offset = AT(no_output_timeout),
     .standard = "0s",
     .max = 30 * 24 * HOUR,
     .help = "A run that prints nothing for so long is ended; 0s: no such limit. Moolloy prints "
             "little while it searches."},
    {.name = "run.log-limit",
     .type = SETTING_SIZE,
     .offset = AT(log_limit),
     .standard = "64MiB",
     .min = 1024,
     .max = 1LL << 40,
     .help = "How much of standard output, and of standard error, is kept."},
    {.name = "model.max-bytes",
     .type = SETTING_SIZE,
     .offset = AT(model_max_bytes),
     .standard = "1GiB",
     .min = 1024,
     .max = 1LL << 40,
     .help = "A model's archive that unpacks to more is refused."},
    {.name = "model.max-entries",
     .type = SETTING_NUMBER,
     .offset = AT(model_max_entries),
     .standard = "10000",
     .min = 1,
     .max = 10000000,
     .help = "A model's archive with more files and directories is refused."},
    {.name = "results.compression",
     .type = SETTING_CHOICE,
     .offset = AT(compression),
     .standard = "zstd",
     .choices = ARCHIVE_COMPRESSIONS,
     .help = "How the tarball of the results is compressed."},
    {.name = "results.include-jar",
     .type = SETTING_BOOL,
     .offset = AT(include_jar),
     .standard = "no",
     .help =
         "Whether the results hold the jar once more; its key and hash stand in manifest.json."},
    {.name = "jar-hash",
     .type = SETTING_CHOICE,
     .offset = AT(jar_hash),
     .standard = "required",
     .choices = "required if-known",
     .help = "What to do with a jar of which neither job nor store know the hash: required (it is "
             "not run) or if-known (it is run all the same). The existing build worker stored its "
             "jars without a hash."},
    {.name = "cache-size",
     .type = SETTING_SIZE,
     .offset = AT(cache_size),
     .standard = "2GiB",
     .help = "How much room jars may take in cache-directory, so that a second run of a commit "
             "downloads none; the least recently used go first. 0: none is kept. A store on this "
             "machine needs no cache."},
};

const struct settings run_settings = {
    .rows = rows, .count = sizeof rows / sizeof *rows, .more = &worker_settings_table};

/* Links may lead there from anywhere, as those of /etc/alternatives do. */
static bool
check_java(const char *java, struct failure *why)
{
	scoped_free char *place = realpath(java, NULL);
	if (!place || access(place, X_OK) < 0)
		return fail_errno(why, "run.java: %s", java);
	return starts_with(place, "/usr/")
	       || fail(why, FAILURE_CONFIGURATION,
	               "run.java: %s lies outside of /usr, where the box does not show it", place);
}

bool
run_config_check(const void *config, bool probe, struct failure *why)
{
	const struct run_config *run = config;
	if (!run->java)
		return fail(why, FAILURE_CONFIGURATION, "run.java is empty");
	if (run->worker.queues.count == 0)
		return fail(why, FAILURE_CONFIGURATION, "queues is empty: no jobs would come");
	if (!worker_check_environment("run.environment", &run->environment, why))
		return false;
	if (!probe)
		return true;
	return check_java(run->java, why) && box_check(run->worker.state_directory, why);
}
