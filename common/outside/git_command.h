/* The git protocol through a program, as a subtransport for git_transport_smart(). */
#ifndef OUTSIDE_GIT_COMMAND_H
#define OUTSIDE_GIT_COMMAND_H

#include <git2.h>
#include <git2/sys/transport.h>

#include "base/failure.h"
#include "base/text.h"

struct git_command {
	const char *name;    /* for messages */
	const char *program; /* absolute path */
	/* Appends what it is started with to reach the address; its environment is all of it. */
	bool (*prepare)(const char *url, struct strings *arguments, struct strings *environment,
	                struct failure *why);
	/* It ended too early, and these were its last words: what went wrong? */
	enum failure_code (*judge)(const char *words);
};

/* param: the struct git_command. Notes failures in git_state.why and returns -1. */
int git_command_subtransport(git_smart_subtransport **out, git_transport *owner, void *param);

#endif
