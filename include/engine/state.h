/* The state directory, which one daemon has at a time. */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include "base/attributes.h"
#include "base/failure.h"

/*
 * Makes it, and takes it: two daemons on one would take each other's claims. Ours as long as
 * *ret_fd is open. What is left of a daemon that was killed may hold it for a moment: waits up to 2
 * s. FAILURE_EXISTS: another worker has it.
 */
bool must_check state_take(const char *state_directory, int *ret_fd, struct failure *why);

/* Is what we took still what lies there? Who removed it must start us again. */
bool must_check state_is_held(const char *state_directory, int fd, struct failure *why);

#endif
