/* /usr/bin/ssh knows keys, agents, known hosts and its own configuration. */
#include "git_ssh.h"

#include <string.h>

#include "git_state.h"
#include "outside/git_address.h"

extern char **environ;

/* For the shell on the other side. */
static char *
quoted(const char *path)
{
	struct text text = TEXT_INIT;
	text_add_string(&text, "git-upload-pack '");
	for (; *path; path++)
		text_add_string(&text, *path == '\'' ? "'\\''" : (const char[]){*path, '\0'});
	text_add_string(&text, "'");
	return text_take(&text);
}

/* A path as a value of ssh's configuration: there blanks part it, and % and ${ mean something. */
static bool
add_path(struct strings *arguments, const char *option, const char *path, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	if (strstr(path, "${"))
		return fail(why, FAILURE_CONFIGURATION, "ssh takes no path with ${: %s", path);
	for (; *path; path++) {
		if (*path == '"' || *path == '\\')
			text_add(&text, "\\", 1);
		text_add(&text, *path == '%' ? "%%" : path, *path == '%' ? 2 : 1);
	}
	strings_addf(arguments, "-o%s=\"%s\"", option, text_string(&text));
	return true;
}

/* Configured known hosts are the only ones that count. */
static bool
add_identity(struct strings *arguments, struct failure *why)
{
	const struct repository_access *access = git_state.access;
	if (access->ssh_key) {
		if (!add_path(arguments, "IdentityFile", access->ssh_key, why))
			return false;
		strings_add(arguments, "-oIdentitiesOnly=yes");
	}
	if (access->ssh_known_hosts) {
		if (!add_path(arguments, "UserKnownHostsFile", access->ssh_known_hosts, why))
			return false;
		strings_add(arguments, "-oGlobalKnownHostsFile=/dev/null");
		strings_add(arguments, "-oKnownHostsCommand=none");
	}
	return true;
}

static bool
ssh_arguments(const struct ssh_address *address, struct strings *arguments, struct failure *why)
{
	static const char *const fixed[] = {"ssh",
	                                    "-T",
	                                    "-oBatchMode=yes",
	                                    "-oStrictHostKeyChecking=yes",
	                                    "-oConnectTimeout=10",
	                                    "-oServerAliveInterval=15",
	                                    "-oServerAliveCountMax=4",
	                                    "-oForwardAgent=no",
	                                    "-oClearAllForwardings=yes"};
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		strings_add(arguments, fixed[i]);
	if (!add_identity(arguments, why))
		return false;
	if (address->port)
		strings_addf(arguments, "-p%s", address->port);
	if (address->user)
		strings_addf(arguments, "-l%s", address->user);
	strings_add(arguments, "--");
	strings_add(arguments, address->host);
	scoped_free char *remote = quoted(address->path);
	strings_add(arguments, remote);
	return true;
}

static bool
prepare(const char *url, struct strings *arguments, struct strings *environment,
        struct failure *why)
{
	scoped(ssh_address_done) struct ssh_address address = {0};
	for (char **variable = environ; *variable; variable++)
		strings_add(environment, *variable);
	return ssh_address_parse(url, &address, why) && ssh_arguments(&address, arguments, why);
}

static enum failure_code
judge(const char *words)
{
	if (strstr(words, "Permission denied") || strstr(words, "Host key verification failed"))
		return FAILURE_UNAUTHORIZED;
	if (strstr(words, "does not appear to be a git repository")
	    || strstr(words, "epository not found"))
		return FAILURE_NO_REPOSITORY;
	return FAILURE_NETWORK;
}

const struct git_command git_ssh = {
    .name = "ssh", .program = "/usr/bin/ssh", .prepare = prepare, .judge = judge};
