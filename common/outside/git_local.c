/* A local repository is served by git itself, as one from anywhere else: libgit2 would pack it
 * anew, slowly, and could not be stopped meanwhile. */
#include "git_local.h"

#include <string.h>

#include "base/text.h"

/* Neither the host's configuration nor who owns the repository has a say. */
static bool
prepare(const char *url, struct strings *arguments, struct strings *environment,
        struct failure *why)
{
	static const char *const settings[] = {
	    "PATH=/usr/bin:/bin", "HOME=/nonexistent",    "GIT_CONFIG_NOSYSTEM=1",
	    "GIT_CONFIG_COUNT=1", "GIT_CONFIG_VALUE_0=*", "GIT_CONFIG_KEY_0=safe.directory"};
	(void)why;
	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		strings_add(environment, settings[i]);
	strings_add(arguments, "git-upload-pack");
	strings_add(arguments, url + strlen("file://"));
	return true;
}

static enum failure_code
judge(const char *words)
{
	return strstr(words, "does not appear to be a git repository") ? FAILURE_NO_REPOSITORY
	                                                               : FAILURE_REPOSITORY;
}

const struct git_command git_local = {.name = "git-upload-pack",
                                      .program = "/usr/bin/git-upload-pack",
                                      .prepare = prepare,
                                      .judge = judge};
