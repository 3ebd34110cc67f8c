/* What the files about git share: the call under way, and its failures. */
#ifndef OUTSIDE_GIT_STATE_H
#define OUTSIDE_GIT_STATE_H

#include <git2.h>
#include <git2/sys/transport.h>

#include "base/failure.h"
#include "base/tick.h"
#include "outside/git_access.h"

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
/* Hands a failure that a transport saw to libgit2. Always -1. */
int git_transport_failed(void);

#endif
