/*
 * Repositories (libgit2): clone, check out a commit, its submodules.
 *
 *	repository_start(&access, why) && repository_clone(url, path, &tick, why)
 *	    && repository_checkout(path, commit, &tick, why) && repository_submodules(path, &tick,
 *why)
 *
 * Works on hostile repositories: nothing is written outside the destination and nothing of the
 *repository is run (no hooks, no filters). http and https go over libcurl (outside/http.h), ssh
 *over /usr/bin/ssh, registered as libgit2 transports: so timeouts, proxies, CA files, cancelling
 *and key types are those of curl and OpenSSH.
 *
 * One repository at a time: the transports know the call under way by a variable of the process.
 */
#ifndef OUTSIDE_GIT_H
#define OUTSIDE_GIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "base/tick.h"
#include "outside/git_access.h"
#include "outside/git_address.h"

/* Once, before the others. */
bool must_check repository_start(const struct repository_access *access, struct failure *why);

/*
 * Clones url into path (absent or an empty directory) with all branches, without checking anything
 * out. tick: objects of objects. FAILURE_NO_REPOSITORY; FAILURE_REPOSITORY, FAILURE_NETWORK,
 * FAILURE_STALLED, FAILURE_TLS (retryable); FAILURE_UNAUTHORIZED; FAILURE_BAD_REPOSITORY (protocol
 * not allowed); FAILURE_CANCELLED.
 */
bool must_check repository_clone(const char *url, const char *path, const struct tick *tick,
                                 struct failure *why);
/*
 * Makes HEAD (detached), index and tree of the clone those of the commit. One that is on no branch
 * is asked for by its hash. FAILURE_NO_COMMIT, FAILURE_BAD_REPOSITORY. tick: files of files.
 */
bool must_check repository_checkout(const char *path, const char *commit, const struct tick *tick,
                                    struct failure *why);
/*
 * Clones and checks out every submodule of the checked out commit, and theirs; relative addresses
 * are relative to their parent's. A missing one is FAILURE_SUBMODULE, whose message names path,
 * address and commit; more than 8 levels, or one that contains itself, FAILURE_BAD_REPOSITORY.
 * tick: as of repository_clone().
 */
bool must_check repository_submodules(const char *path, const struct tick *tick,
                                      struct failure *why);

#endif
