/* Between git.c, git_submodules.c and the two transports. */
#ifndef OUTSIDE_GIT_PRIVATE_H
#define OUTSIDE_GIT_PRIVATE_H

#include <git2.h>
#include <git2/sys/transport.h>

#include "outside/git.h"

/* libgit2's callbacks carry no room for these: what the call under way works with. */
struct git_state {
	const struct repository_access *access;
	const struct tick *tick; /* of the call under way */
	struct failure why; /* what a transport saw, better than libgit2's text; NONE if nothing */
};
extern struct git_state git_state;

/* false, with what a transport saw or else what libgit2 says of its result. `otherwise`: the code
 * of an error that says nothing more. */
bool git_fail(int result, enum failure_code otherwise, struct failure *why, const char *fmt, ...)
    printf_like(4, 5);
/* Is the protocol of url allowed? */
bool must_check git_check_url(const char *url, struct failure *why);
/* The address as messages may show it, without user and password; malloc'd. */
char *git_shown_url(const char *url);

/* Subtransports for git_transport_smart(): they note failures in git_state.why and return -1. */
int git_http_subtransport(git_smart_subtransport **out, git_transport *owner, void *param);
int git_ssh_subtransport(git_smart_subtransport **out, git_transport *owner, void *param);
/* Hands a failure that a transport saw to libgit2. Always -1. */
int git_transport_failed(void);

#endif
