#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outside/box.h"

#define HOUR      (3600LL * 1000)
#define AT(field) offsetof(struct build_config, field)

static const struct setting rows[] = {
    WORKER_OWN_ROWS(build_config, "build-worker", "build"),
    {.name = "repository.url",
     .type = SETTING_STRING,
     .offset = AT(repository),
     .help = "Address of the repository to build: https://..., ssh://..., user@host:path, or a "
             "path where git.protocols allows file."},
    {.name = "git.protocols",
     .type = SETTING_LIST,
     .offset = AT(protocols),
     .standard = "https\nssh",
     .help = "Protocols that may be used for the repository and its submodules, of https ssh http "
             "file. git:// is not spoken: it authenticates nobody."},
    {.name = "git.ssh-key",
     .type = SETTING_PATH,
     .offset = AT(ssh_key),
     .help = "Private key for ssh; empty: ssh's own choice."},
    {.name = "git.known-hosts",
     .type = SETTING_PATH,
     .offset = AT(known_hosts),
     .help =
         "File of known hosts for ssh, and no other; empty: ssh's own. A host that is not in it "
         "is refused."},
    {.name = "git.username",
     .type = SETTING_STRING,
     .offset = AT(username),
     .help = "User name for https; empty: git."},
    {.name = "git.token-file",
     .type = SETTING_SECRET,
     .offset = AT(token),
     .help = "File whose first line is the password or token for https. It is sent to the host of "
             "repository.url only."},
    {.name = "git.ca-file",
     .type = SETTING_PATH,
     .offset = AT(ca_file),
     .help = "PEM file of the authorities to trust for https; empty: the system's."},
    {.name = "git.stall-timeout",
     .type = SETTING_DURATION,
     .offset = AT(stall_timeout),
     .standard = "60s",
     .min = 1000,
     .max = HOUR,
     .help = "A server that sends nothing for so long is given up."},
    {.name = "git.timeout",
     .type = SETTING_DURATION,
     .offset = AT(git_timeout),
     .standard = "1h",
     .min = 1000,
     .max = 48 * HOUR,
     .help = "The repository, and each of its submodules, may take so long until its tree is "
             "there."},
    {.name = "git.rewrite",
     .type = SETTING_LIST,
     .offset = AT(rewrite),
     .help = "Addresses to use instead: FROM TO, parted by a space. An address that begins with "
             "FROM begins with TO instead; of several the longest FROM counts. Submodules too: "
             "git@host: https://host/."},
    {.name = "mirror-max-age",
     .type = SETTING_DURATION,
     .offset = AT(mirror_max_age),
     .standard = "30d",
     .min = 1000,
     .max = 3650 * 24 * HOUR,
     .help = "A mirror in cache-directory, or a template in state-directory, that no job needed "
             "for so long is removed."},
    {.name = "mirror-max-bytes",
     .type = SETTING_SIZE,
     .offset = AT(mirror_max_bytes),
     .standard = "50GiB",
     .help = "How much room all mirrors may take together; the least recently used go first, but "
             "none that a job uses."},
    {.name = "build.commands",
     .type = SETTING_LIST,
     .offset = AT(commands),
     .standard = "ant deps\nant configure\nant dist",
     .help = "The commands that build, run in order in the tree until one fails. They are split at "
             "spaces; there is no shell."},
    {.name = "build.artifact",
     .type = SETTING_STRING,
     .offset = AT(artifact),
     .standard = "dist/alloy-dev.jar",
     .help = "The jar they make, relative to the tree."},
    {.name = "build.environment",
     .type = SETTING_LIST,
     .offset = AT(environment),
     .help = "More environment for the commands: NAME=VALUE, or NAME to pass on the worker's own "
             "value. JAVA_HOME is that of /usr/bin/javac unless it stands here."},
    {.name = "build.network",
     .type = SETTING_BOOL,
     .offset = AT(network),
     .standard = "yes",
     .help = "Whether the commands may use the network, as ant deps does."},
    {.name = "build.timeout",
     .type = SETTING_DURATION,
     .offset = AT(timeout),
     .standard = "1h",
     .min = 1000,
     .max = 30 * 24 * HOUR,
     .help = "All commands together may take so long."},
    {.name = "build.no-output-timeout",
     .type = SETTING_DURATION,
     .offset = AT(no_output_timeout),
     .standard = "15m",
     .max = 30 * 24 * HOUR,
     .help = "A command that prints nothing for so long is ended; 0s: no such limit."},
    {.name = "build.log-limit",
     .type = SETTING_SIZE,
     .offset = AT(log_limit),
     .standard = "64MiB",
     .min = 1024,
     .max = 1LL << 40,
     .help = "How much of each command's output goes into build.log."},
};

const struct settings build_settings = {
    .rows = rows, .count = sizeof rows / sizeof *rows, .more = &worker_settings_table};

void
build_config_split(const char *command, struct strings *arguments)
{
	scoped_free char *copy = copy_string(command);
	char *rest = NULL;
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		strings_add(arguments, word);
}

struct repository_access
build_config_access(const struct build_config *config)
{
	return (struct repository_access){.protocols = &config->protocols,
	                                  .ssh_key = config->ssh_key,
	                                  .ssh_known_hosts = config->known_hosts,
	                                  .username = config->username,
	                                  .ca_file = config->ca_file,
	                                  .stall_timeout = config->stall_timeout};
}

/* ---- checks ---- */

/* git:// authenticates nobody, and no transport of ours speaks it. */
static bool
check_protocols(const struct build_config *config, struct failure *why)
{
	static const char *const spoken[] = {"https", "ssh", "http", "file"};
	for (size_t i = 0; i < config->protocols.count; i++) {
		const char *protocol = config->protocols.items[i];
		bool known = false;
		for (size_t j = 0; j < sizeof spoken / sizeof *spoken; j++)
			known = known || strings_equal(protocol, spoken[j]);
		if (!known)
			return fail(why, FAILURE_CONFIGURATION,
			            "git.protocols: '%s' is none of https ssh http file", protocol);
	}
	return true;
}

static bool
check_rewrite(const struct build_config *config, struct failure *why)
{
	for (size_t i = 0; i < config->rewrite.count; i++) {
		const char *rule = config->rewrite.items[i];
		size_t from = strcspn(rule, " ");
		const char *to = rule + from + strspn(rule + from, " ");
		if (from == 0 || !*to || strchr(to, ' '))
			return fail(why, FAILURE_CONFIGURATION,
			            "git.rewrite: '%s' is not FROM TO, parted by a space", rule);
	}
	return true;
}

static bool
check_repository(const struct build_config *config, struct failure *why)
{
	if (!config->repository)
		return fail(why, FAILURE_CONFIGURATION,
		            "repository.url is not set: which repository is to be built?");
	scoped_free char *url = repository_rewrite_url(&config->rewrite, config->repository);
	const char *protocol = repository_protocol(url);
	if (!protocol)
		return fail(why, FAILURE_CONFIGURATION,
		            "repository.url: '%s' is no address of a repository",
		            config->repository);
	return strings_contain(&config->protocols, protocol)
	       || fail(why, FAILURE_CONFIGURATION,
	               "repository.url: its protocol, %s, is not among git.protocols", protocol);
}

/* Below the tree, without "..": the path is opened so as well, but a typing error is better told
 * now. */
static bool
check_artifact(const struct build_config *config, struct failure *why)
{
	const char *path = config->artifact;
	if (path && path[0] != '/' && !strstr(path, ".."))
		return true;
	return fail(why, FAILURE_CONFIGURATION, "build.artifact: '%s' is no path below the tree",
	            path ? path : "");
}

static bool
check_commands(const struct build_config *config, struct failure *why)
{
	if (config->commands.count == 0)
		return fail(why, FAILURE_CONFIGURATION,
		            "build.commands is empty: nothing would be built");
	for (size_t i = 0; i < config->commands.count; i++)
		if (config->commands.items[i][strspn(config->commands.items[i], " ")] == '\0')
			return fail(why, FAILURE_CONFIGURATION, "build.commands: an empty command");
	return true;
}

/* A program by its name on the box's PATH; one with a slash may be made by the build itself. */
static bool
program_exists(const char *name)
{
	static const char *const places[] = {"/usr/bin", "/usr/sbin", "/bin", "/sbin"};
	if (strchr(name, '/'))
		return true;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		scoped_free char *path = format("%s/%s", places[i], name);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

static bool
check_programs(const struct build_config *config, struct failure *why)
{
	for (size_t i = 0; i < config->commands.count; i++) {
		scoped(strings_done) struct strings arguments = STRINGS_INIT;
		build_config_split(config->commands.items[i], &arguments);
		if (!program_exists(arguments.items[0]))
			return fail(why, FAILURE_NOT_FOUND,
			            "%s, of build.commands, is not installed", arguments.items[0]);
	}
	return true;
}

bool
build_config_check(const void *config, bool probe, struct failure *why)
{
	const struct build_config *build = config;
	if (build->worker.queues.count == 0)
		return fail(why, FAILURE_CONFIGURATION, "queues is empty: no jobs would come");
	if (!check_protocols(build, why) || !check_rewrite(build, why)
	    || !check_repository(build, why) || !check_artifact(build, why)
	    || !check_commands(build, why)
	    || !worker_check_environment("build.environment", &build->environment, why))
		return false;
	return !probe
	       || (check_programs(build, why) && box_check(build->worker.state_directory, why));
}
