#include "engine/worker.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "engine/manager.h"
#include "engine/runner.h"
#include "outside/child.h"
#include "outside/journal.h"
#include "remote/credentials.h"
#include "work/config.h"

#define SHORTEST_LEASE 2000

struct options {
	const struct worker_program *program;
	const char *verb;
	const char *instance;  /* --instance; NULL: the only worker of its kind here */
	char *worker;          /* "run-worker" or "run-worker@2" */
	struct strings files;  /* --config, in order */
	const char *directory; /* run-job: of the job */
	int sealed_fd;         /* run-job: configuration from the manager */
	int progress_fd;       /* run-job: to the manager */
	bool done;             /* --help or --version was all */
};

/* ---- command line ---- */

static void
print_help(const struct worker_program *program)
{
	printf("Usage: moolloy-%s [OPTION...] [VERB]\n%s\n\n", program->name, program->summary);
	printf(
	    "Verbs:\n"
	    "  serve         take jobs from the queue until told to stop (default)\n"
	    "  run-job       do the job on standard input (a saved job.json) in this process; its\n"
	    "                outcome goes to standard output, its directory stays\n"
	    "  check-config  read the configuration, say what is wrong with it\n"
	    "  show-config   print every setting with its value, help and limits\n\n");
	printf(
	    "Options:\n"
	    "  --config FILE     read FILE instead of " CONFIG_COMMON "\n"
	    "                    and " CONFIG_DIRECTORY "/%s.yaml; may be repeated, later wins\n"
	    "  --instance NAME   one of several workers of this kind on this host: its own name,\n"
	    "                    state and status, and " CONFIG_DIRECTORY
	    "/%s@NAME.yaml after the other\n"
	    "  --directory DIR   run-job: work in DIR, and treat it as the service does\n"
	    "  --version         print the version\n"
	    "  --help            print this help\n\n",
	    program->name, program->name);
	printf("Signals while serving:\n"
	       "  SIGTERM  stop; a running job gets drain-timeout, then goes back to the queue\n"
	       "           (a second SIGTERM: at once)\n"
	       "  SIGUSR1  stop when the running job is done, however long it takes\n"
	       "  SIGUSR2  cancel the running job\n"
	       "  SIGHUP   reload the configuration\n\n");
	printf("Exit status: 0 stopped as told, 64 wrong usage, 70 internal error, 75 temporary\n"
	       "failure, 78 wrong configuration. See also moolloy-%s(8), moolloy-workerctl(1).\n",
	       program->name);
}

static bool
is_verb(const char *text)
{
	return strings_equal(text, "serve") || strings_equal(text, "run-job")
	       || strings_equal(text, "check-config") || strings_equal(text, "show-config");
}

static bool
take_fd_option(const char *text, int *ret_fd, struct failure *why)
{
	int64_t number;
	if (!number_parse(text, &number, NULL) || number < 3 || number > 1024)
		return fail(why, FAILURE_USAGE, "'%s' is no file descriptor", text);
	*ret_fd = (int)number;
	return true;
}

/* It becomes part of file names. */
static bool
is_instance(const char *text)
{
	static const char harmless[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	return text[0] && strlen(text) <= 32 && text[strspn(text, harmless)] == '\0';
}

static bool
take_option(struct options *options, int option, struct failure *why)
{
	switch (option) {
	case 'c':
		strings_add(&options->files, optarg);
		return true;
	case 'i':
		options->instance = optarg;
		return is_instance(optarg)
		       || fail(why, FAILURE_USAGE,
		               "'%s' is no name of an instance: letters, digits, - and _", optarg);
	case 'd':
		options->directory = optarg;
		return true;
	case 's':
		return take_fd_option(optarg, &options->sealed_fd, why);
	case 'p':
		return take_fd_option(optarg, &options->progress_fd, why);
	case 'v':
		printf("moolloy-%s %s\n", options->program->name, MOOLLOY_VERSION);
		options->done = true;
		return true;
	case 'h':
		print_help(options->program);
		options->done = true;
		return true;
	default:
		return fail(why, FAILURE_USAGE, "see moolloy-%s --help", options->program->name);
	}
}

static bool
read_options(int argc, char **argv, struct options *options, struct failure *why)
{
	/* --sealed-config and --progress are between the manager and its runner. */
	static const struct option known[] = {{"config", required_argument, NULL, 'c'},
	                                      {"instance", required_argument, NULL, 'i'},
	                                      {"directory", required_argument, NULL, 'd'},
	                                      {"sealed-config", required_argument, NULL, 's'},
	                                      {"progress", required_argument, NULL, 'p'},
	                                      {"version", no_argument, NULL, 'v'},
	                                      {"help", no_argument, NULL, 'h'},
	                                      {NULL, 0, NULL, 0}};
	int option;
	while (!options->done && (option = getopt_long(argc, argv, "", known, NULL)) != -1)
		if (!take_option(options, option, why))
			return false;
	if (options->done)
		return true;
	options->worker = options->instance
	                      ? format("%s@%s", options->program->name, options->instance)
	                      : copy_string(options->program->name);
	options->verb = optind < argc ? argv[optind] : "serve";
	if (!is_verb(options->verb))
		return fail(why, FAILURE_USAGE, "unknown verb '%s'; see moolloy-%s --help",
		            options->verb, options->program->name);
	if (optind + 1 < argc)
		return fail(why, FAILURE_USAGE, "'%s' is one argument too many", argv[optind + 1]);
	return true;
}

/* ---- configuration ---- */

/* To show the settings, what is missing or does not fit together yet does not matter. */
static bool
is_just_looking(const struct options *options)
{
	return strings_equal(options->verb, "show-config");
}

/* The files that were named, or the system's: the shared one if it is there, the worker's own. */
static bool
read_files(const struct options *options, void *config, struct failure *why)
{
	const struct worker_program *program = options->program;
	scoped_free char *own = format("%s/%s.yaml", CONFIG_DIRECTORY, program->name);
	for (size_t i = 0; i < options->files.count; i++)
		if (!config_read_file(program->settings, config, options->files.items[i], why))
			return false;
	if (options->files.count > 0)
		return true;
	if (file_exists(AT_FDCWD, CONFIG_COMMON)
	    && !config_read_file(&worker_settings_table, config, CONFIG_COMMON, why))
		return false;
	if (file_exists(AT_FDCWD, own))
		return config_read_file(program->settings, config, own, why);
	return is_just_looking(options)
	       || fail(why, FAILURE_CONFIGURATION,
	               "%s does not exist; write it, or name a file with --config", own);
}

/* An instance has a name and a state directory of its own, whatever the others' are; a file of its
 * own, where there is one, has the last word. */
static bool
read_instance(const struct options *options, struct worker_config *config, struct failure *why)
{
	const struct settings *table = options->program->settings;
	config->worker = options->worker;
	if (!options->instance)
		return true;
	scoped_free char *host = worker_name(config);
	scoped_free char *name = format("%s/%s", host, options->instance);
	scoped_free char *state = format("%s@%s", config->state_directory, options->instance);
	scoped_free char *own = format("%s/%s.yaml", CONFIG_DIRECTORY, options->worker);
	return setting_assign(settings_find(table, "name"), config, name, why)
	       && setting_assign(settings_find(table, "state-directory"), config, state, why)
	       && (options->files.count > 0 || !file_exists(AT_FDCWD, own)
	           || config_read_file(table, config, own, why));
}

static bool
is_address(const char *url)
{
	return url && (starts_with(url, "http://") || starts_with(url, "https://"))
	       && !ends_with(url, "/");
}

/* Each job would be taken off the queue as soon as it came. */
static bool
fail_lease(const struct worker_config *config, struct failure *why)
{
	scoped_free char *lease = duration_format(config->queue_lease);
	return fail(why, FAILURE_CONFIGURATION,
	            "queue.lease: %s is not shorter than queue.hide-limit", lease);
}

static bool
check_queue(const struct worker_config *config, struct failure *why)
{
	if (config->queue_lease > 0 && config->queue_lease < SHORTEST_LEASE)
		return fail(why, FAILURE_CONFIGURATION,
		            "queue.lease: less than 2s is lost before it can be extended");
	if (!strings_equal(config->queue_type, "sqs"))
		return true;
	if (config->queue_lease >= config->queue_hide_limit)
		return fail_lease(config, why);
	if (config->queue_endpoint && !is_address(config->queue_endpoint))
		return fail(why, FAILURE_CONFIGURATION,
		            "queue.endpoint: '%s' is no http:// or https:// address without a "
		            "slash at the end",
		            config->queue_endpoint);
	return worker_queue_region(config)
	       || fail(why, FAILURE_CONFIGURATION,
	               "queue.region is not set: name the region of the queues, such as eu-west-1");
}

/* What the table cannot say of the settings that both workers share. */
static bool
check_shared(const struct worker_config *config, struct failure *why)
{
	const char *url = config->dashboard_url;
	if (!is_address(url))
		return fail(
		    why, FAILURE_CONFIGURATION,
		    "dashboard.url: '%s' is no http:// or https:// address without a slash at "
		    "the end",
		    url ? url : "");
	if (config->dashboard_password.value && !config->dashboard_username)
		return fail(why, FAILURE_CONFIGURATION,
		            "dashboard.username is not set: without it dashboard.password-file is "
		            "not sent");
	return check_queue(config, why) && store_check(&config->store, why);
}

static bool
load(void *data, void *config, struct failure *why)
{
	const struct options *options = data;
	const struct worker_program *program = options->program;
	config_init(program->settings, config);
	if (read_files(options, config, why) && read_instance(options, config, why)
	    && config_read_secrets(program->settings, config, why)
	    && (is_just_looking(options)
	        || (check_shared(config, why) && program->check(config, false, why))))
		return true;
	/* Whatever is wrong with a configuration, it is the configuration that is wrong. */
	if (why->code != FAILURE_CONFIGURATION) {
		scoped_free char *message = copy_string(why->message);
		fail(why, FAILURE_CONFIGURATION, "%s", message);
	}
	return false;
}

static bool
get_config(struct options *options, void *config, struct failure *why)
{
	if (options->sealed_fd >= 0)
		return config_unseal(options->program->settings, config, options->sealed_fd, why);
	return load(options, config, why);
}

/* ---- verbs ---- */

/* Where the keys come from is found out anew by whoever needs them: here as this process sees it.
 */
static char *
keys_source(const struct worker_config *config)
{
	return worker_needs_keys(config) ? credentials_describe(&config->store.aws) : NULL;
}

static void
show_config(const struct worker_program *program, const void *config)
{
	scoped_free char *shown = config_show(program->settings, config);
	scoped_free char *keys = keys_source(config);
	fputs(shown, stdout);
	if (keys)
		printf("# access keys: %s\n", keys);
}

static bool
serve(struct options *options, void *config, struct failure *why)
{
	scoped_free char *keys = keys_source(config);
	if (keys)
		log_info(NULL, "access keys: %s", keys);
	return manager_serve(options->program, config, load, options, why);
}

static int
act(struct options *options, void *config, struct failure *why)
{
	const struct worker_program *program = options->program;
	if (strings_equal(options->verb, "run-job")) {
		const struct runner_options run = {.config = config,
		                                   .directory = options->directory,
		                                   .progress_fd = options->progress_fd};
		return runner_main(program, &run);
	}
	if (strings_equal(options->verb, "check-config")) {
		printf("the configuration is good\n");
	} else if (strings_equal(options->verb, "show-config")) {
		show_config(program, config);
	} else if (!serve(options, config, why)) {
		return failure_exit_status(why);
	}
	return EXIT_SUCCESS;
}

static int
configure_and_act(struct options *options, struct failure *why)
{
	const struct worker_program *program = options->program;
	scoped_free void *config = allocate(program->config_size);
	const struct worker_config *shared = config;
	int status;
	if (get_config(options, config, why)) {
		log_set_level(log_level_from_name(shared->log_level));
		status = act(options, config, why);
	} else {
		status = failure_exit_status(why);
	}
	settings_done(program->settings, config);
	return status;
}

int
worker_main(int argc, char **argv, const struct worker_program *program)
{
	child_hide_memory();
	journal_use_if_there();
	struct options options = {.program = program, .sealed_fd = -1, .progress_fd = -1};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	int status;
	if (!read_options(argc, argv, &options, &why))
		status = failure_exit_status(&why);
	else if (options.done)
		status = EXIT_SUCCESS;
	else
		status = configure_and_act(&options, &why);
	if (why.code != FAILURE_NONE)
		log_failure(LEVEL_ERROR, NULL, &why, "moolloy-%s", program->name);
	strings_done(&options.files);
	free(options.worker);
	return status;
}
