/* moolloy-dashboard: the command line, and the parts put together. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "address.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "config.h"
#include "database.h"
#include "outside/child.h"
#include "outside/loop.h"
#include "remote/credentials.h"
#include "routes.h"
#include "schema.h"
#include "site.h"
#include "work/config.h"

#define GRACE_MS 5000 /* for answers under way when we are told to stop */

/* ---- command line ---- */

struct options {
	struct dashboard_arguments arguments;
	const char *verb;
	bool done; /* --help or --version was all */
};

static void
print_help(void)
{
	puts("Usage: moolloy-dashboard [OPTION...] [VERB]\n"
	     "The dashboard of moolloy-workers: takes pushes, queues jobs, keeps results.\n\n"
	     "Verbs:\n"
	     "  serve         serve until told to stop (default)\n"
	     "  check-config  read the configuration, say what is wrong with it\n"
	     "  show-config   print every setting with its value, help and limits\n\n"
	     "Options:\n"
	     "  --config FILE       read FILE instead of " CONFIG_DIRECTORY "/dashboard.yaml\n"
	     "  --data DIR          directory of the database and the store\n"
	     "  --listen ADDR:PORT  address to listen on; port 0: any free one\n"
	     "  --version           print the version\n"
	     "  --help              print this help\n\n"
	     "Exit status: 0 stopped as told, 64 wrong usage, 70 internal error, 75 temporary\n"
	     "failure, 78 wrong configuration. See also moolloy-dashboard(8).");
}

static bool
take_option(struct options *options, int option, struct failure *why)
{
	switch (option) {
	case 'c':
		options->arguments.file = optarg;
		return true;
	case 'd':
		options->arguments.data = optarg;
		return true;
	case 'l':
		options->arguments.listen = optarg;
		return true;
	case 'v':
		puts("moolloy-dashboard " MOOLLOY_VERSION);
		options->done = true;
		return true;
	case 'h':
		print_help();
		options->done = true;
		return true;
	default:
		return fail(why, FAILURE_USAGE, "see moolloy-dashboard --help");
	}
}

static bool
read_options(int argc, char **argv, struct options *options, struct failure *why)
{
	static const struct option known[] = {
	    {"config", required_argument, NULL, 'c'}, {"data", required_argument, NULL, 'd'},
	    {"listen", required_argument, NULL, 'l'}, {"version", no_argument, NULL, 'v'},
	    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
	int option;
	while (!options->done && (option = getopt_long(argc, argv, "", known, NULL)) != -1)
		if (!take_option(options, option, why))
			return false;
	options->verb = optind < argc ? argv[optind] : "serve";
	if (!options->done && optind + 1 < argc)
		return fail(why, FAILURE_USAGE, "'%s' is one argument too many", argv[optind + 1]);
	return true;
}

/* ---- serving ---- */

struct daemon {
	struct loop *loop;
	int data;     /* directory; locked, so that there is one dashboard of it */
	int listener; /* until the server has it */
	struct database *db;
	struct site site;
	struct server_site callbacks;
	struct server *server;
	struct loop_source *terminate, *interrupt;
	struct loop_source *grace; /* stopping: the end of our patience */
	struct loop_source *idle;  /* stopping: are all answers sent? */
};

static void
daemon_done(struct daemon *daemon)
{
	loop_source_drop(&daemon->terminate);
	loop_source_drop(&daemon->interrupt);
	loop_source_drop(&daemon->grace);
	loop_source_drop(&daemon->idle);
	if (daemon->site.waits)
		waits_end(daemon->site.waits);
	errands_free(&daemon->site.errands);
	server_free(&daemon->server);
	waits_free(&daemon->site.waits);
	database_close(&daemon->db);
	loop_free(&daemon->loop);
	close_fd(&daemon->listener);
	close_fd(&daemon->data);
}

static bool
open_data(struct daemon *daemon, const struct dashboard_config *config, struct failure *why)
{
	if (!directory_make(config->data, 0700, why)
	    || !directory_open(AT_FDCWD, config->data, &daemon->data, why))
		return false;
	if (flock(daemon->data, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return fail(why, FAILURE_SYSTEM, "%s: another moolloy-dashboard uses it",
		            config->data);
	scoped_free char *path = format("%s/dashboard.db", config->data);
	return database_open(path, &daemon->db, why) && schema_update(daemon->db, why);
}

/* Every waiting worker is an open connection. */
static void
allow_many_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Whether it opens: each errand opens it anew. */
static bool
check_store(const struct store_settings *settings, struct failure *why)
{
	scoped(store_close) struct store *store = NULL;
	return store_open(settings, &store, why);
}

static bool
start(struct daemon *daemon, const struct dashboard_config *config, struct failure *why)
{
	struct address address;
	allow_many_files();
	if (!loop_new(&daemon->loop, why) || !open_data(daemon, config, why)
	    || !check_store(&config->store, why) || !address_parse(config->listen, &address, why)
	    || !address_listen(&address, &daemon->listener, why))
		return false;
	scoped_free char *where = address_of_socket(daemon->listener);
	daemon->site.config = config;
	daemon->site.db = daemon->db;
	daemon->site.errands = errands_new(daemon->loop, &config->store);
	daemon->site.waits = waits_new(daemon->loop, daemon->db);
	daemon->callbacks = (struct server_site){routes_arrived, routes_complete, &daemon->site};
	const struct server_options options = {
	    .listener = daemon->listener, .temporary = daemon->data, .site = &daemon->callbacks};
	if (!server_start(daemon->loop, &options, &daemon->server, why))
		return false;
	take_fd(&daemon->listener);
	log_info(NULL, "moolloy-dashboard %s serves %s", MOOLLOY_VERSION, config->data);
	printf("listening on http://%s\n", where);
	fflush(stdout);
	service_notify("READY=1\nSTATUS=listening on http://%s", where);
	return true;
}

/* ---- stopping ---- */

static void
on_idle(void *data)
{
	struct daemon *daemon = data;
	if (server_requests(daemon->server) == 0)
		loop_stop(daemon->loop);
}

static void
on_grace(void *data)
{
	struct daemon *daemon = data;
	loop_stop(daemon->loop);
}

static void
on_stop(int signal, void *data)
{
	struct daemon *daemon = data;
	(void)signal;
	if (daemon->grace) {
		loop_stop(daemon->loop);
		return;
	}
	log_info(NULL, "stopping");
	service_notify("STOPPING=1\nSTATUS=stopping");
	server_stop_listening(daemon->server);
	waits_end(daemon->site.waits);
	daemon->grace = loop_timer(daemon->loop, on_grace, daemon);
	loop_timer_at(daemon->grace, clock_ms() + GRACE_MS);
	daemon->idle = loop_post(daemon->loop, on_idle, daemon);
	on_idle(daemon);
}

static bool
serve(const struct dashboard_config *config, struct failure *why)
{
	scoped(daemon_done) struct daemon daemon = {.data = -1, .listener = -1};
	loop_block_signals();
	if (!start(&daemon, config, why))
		return false;
	daemon.terminate = loop_signal(daemon.loop, SIGTERM, on_stop, &daemon);
	daemon.interrupt = loop_signal(daemon.loop, SIGINT, on_stop, &daemon);
	return loop_run(daemon.loop, why);
}

/* ---- verbs ---- */

static void
show_config(const struct dashboard_config *config)
{
	scoped_free char *shown = config_show(&dashboard_settings_table, config);
	fputs(shown, stdout);
	if (strings_equal(config->store.type, "directory"))
		return;
	scoped_free char *keys = credentials_describe(&config->store.aws);
	printf("# access keys: %s\n", keys);
}

static bool
act(const struct options *options, const struct dashboard_config *config, struct failure *why)
{
	if (strings_equal(options->verb, "check-config")) {
		puts("the configuration is good");
	} else if (strings_equal(options->verb, "show-config")) {
		show_config(config);
	} else if (strings_equal(options->verb, "serve")) {
		return serve(config, why);
	} else {
		return fail(why, FAILURE_USAGE, "unknown verb '%s'; see moolloy-dashboard --help",
		            options->verb);
	}
	return true;
}

static bool
configure_and_act(const struct options *options, struct failure *why)
{
	struct dashboard_config config = {};
	bool good = dashboard_config_load(&options->arguments, &config, why);
	if (good) {
		log_set_level(log_level_from_name(config.log_level));
		good = act(options, &config, why);
	}
	settings_done(&dashboard_settings_table, &config);
	return good;
}

int
main(int argc, char **argv)
{
	child_hide_memory();
	struct options options = {};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool good = read_options(argc, argv, &options, &why)
	            && (options.done || configure_and_act(&options, &why));
	if (!good)
		log_failure(LEVEL_ERROR, NULL, &why, "moolloy-dashboard");
	return failure_exit_status(&why);
}
