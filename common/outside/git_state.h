/* What the files about git share: the call under way, its failures, and the ends of libgit2's
 * objects. */
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
	const struct tick *tick;    /* of the call under way */
	git_repository *repository; /* that is fetched into */
	git_remote *remote;         /* that is fetched from */
	struct failure why; /* what a transport saw, better than libgit2's text; NONE if nothing */
};
extern struct git_state git_state;

/* A call begins. */
void git_begin(const struct tick *tick);
/* false, with what a transport saw or else what libgit2 says of its result. `otherwise`: the code
 * of an error that says nothing more. */
bool git_fail(int result, enum failure_code otherwise, struct failure *why, const char *fmt, ...)
    printf_like(4, 5);
/* Of a call that only reads a mirror: is what went wrong that something is damaged or missing? Then
 * FAILURE_DAMAGED, else `otherwise`. */
enum failure_code git_code_of_reading(int result, enum failure_code otherwise);

/* Hands a failure that a transport saw to libgit2. Always -1. */
int git_transport_failed(void);

/* For scoped(). */
void git_drop_repository(git_repository **repository);
void git_drop_commit(git_commit **commit);
void git_drop_index(git_index **index);

#endif
