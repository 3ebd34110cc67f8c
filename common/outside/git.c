#include "outside/git.h"

#include "git_http.h"
#include "git_local.h"
#include "git_ssh.h"
#include "git_state.h"

static int
make_http(git_transport **out, git_remote *owner, void *param)
{
	git_smart_subtransport_definition definition = {
	    .callback = git_http_subtransport, .rpc = 1, .param = param};
	return git_transport_smart(out, owner, &definition);
}

static int
make_command(git_transport **out, git_remote *owner, void *command)
{
	git_smart_subtransport_definition definition = {
	    .callback = git_command_subtransport, .rpc = 0, .param = command};
	return git_transport_smart(out, owner, &definition);
}

static int
register_transports(void)
{
	/* libgit2 hands them back as they are. */
	static struct git_command ssh, local;
	ssh = git_ssh;
	local = git_local;
	int result = git_transport_register("http", make_http, NULL);
	if (result == 0)
		result = git_transport_register("https", make_http, NULL);
	if (result == 0)
		result = git_transport_register("ssh", make_command, &ssh);
	if (result == 0)
		result = git_transport_register("file", make_command, &local);
	return result;
}

#define OBJECT_LIMIT (1 << 30)

/* The host's own git configuration (url.insteadOf, filters, ...) has no say here. */
static int
ignore_host_configuration(void)
{
	static const git_config_level_t levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA,
	                                            GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
	                                            GIT_CONFIG_LEVEL_GLOBAL};
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof levels / sizeof *levels; i++)
		result = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	return result;
}

bool
repository_start(const struct repository_access *access, struct failure *why)
{
	git_state.access = access;
	int result = git_libgit2_init();
	if (result > 0)
		result = ignore_host_configuration();
	/* A local repository of another user is read like one from anywhere else. */
	if (result == 0)
		result = git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	/* One object is held in memory whole. */
	if (result == 0)
		result = git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECT_SIZE, (size_t)OBJECT_LIMIT);
	if (result == 0)
		result = register_transports();
	return result == 0 || git_fail(result, FAILURE_INTERNAL, why, "libgit2 does not start");
}
