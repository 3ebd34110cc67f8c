/*
 * Repositories (libgit2): mirrors, fetched into, and trees checked out of them.
 *
 *	repository_start(&access, why)
 *	    && mirror_make(mirror, why) && mirror_fetch(&fetch, why)
 *	    && tree_make(tree, mirror, url, why) && tree_check_out(tree, commit, &tick, why)
 *
 * A mirror is a bare repository that holds the branches and tags its server last told, and all that
 * was ever fetched. A tree borrows its objects (alternates): the mirror must stay while it is used.
 * work/mirror.h keeps mirrors, work/source.h puts it all together.
 *
 * Works on hostile repositories: nothing is written outside the destination and nothing of the
 * repository is run (no hooks, no filters). http and https go over libcurl (outside/http.h), ssh
 * over /usr/bin/ssh, registered as libgit2 transports: so timeouts, proxies, CA files, cancelling
 * and key types are those of curl and OpenSSH.
 *
 * One repository at a time: the transports know the call under way by a variable of the process.
 *
 * FAILURE_DAMAGED means everywhere that what lies in a mirror cannot be read, or is incomplete.
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

/* ---- mirrors ---- */

/* What was transferred so far: a tick may look at it while it grows. */
struct transfer {
	int connections;
	int64_t objects, bytes;
};

struct mirror_fetch {
	const char *mirror, *url;
	const char *commit;      /* that must be there afterwards */
	const struct tick *tick; /* objects of objects */
	struct transfer *transfer;
};

/* An empty one; the path is absent, or an empty directory. */
bool must_check mirror_make(const char *path, struct failure *why);
/*
 * Fetches what is new of all branches and tags; a commit that is on none of them is then asked for
 * by its hash. What was there before stays. FAILURE_NO_REPOSITORY, FAILURE_NO_COMMIT;
 * FAILURE_REPOSITORY, which may be the mirror's fault as well; FAILURE_NETWORK, FAILURE_STALLED,
 * FAILURE_TLS (retryable); FAILURE_UNAUTHORIZED; FAILURE_BAD_REPOSITORY (protocol not allowed);
 * FAILURE_CANCELLED.
 */
bool must_check mirror_fetch(const struct mirror_fetch *fetch, struct failure *why);
/* Is the commit there? FAILURE_NO_COMMIT, FAILURE_DAMAGED. */
bool must_check mirror_holds(const char *mirror, const char *commit, struct failure *why);

bool must_check mirror_count_packs(const char *mirror, size_t *ret_count, struct failure *why);
/* `to`, just made and on the same file system, becomes the same as `from`, but in few packs; the
 * larger ones they share. tick: objects of objects. */
bool must_check mirror_repack(const char *from, const char *to, const struct tick *tick,
                              struct failure *why);

/* ---- trees ---- */

/*
 * A repository at path (absent or an empty directory) without any file yet, which borrows the
 * mirror's objects; the mirror's branches are those of its remote "origin". url: where that leads,
 * as others may see it.
 */
bool must_check tree_make(const char *path, const char *mirror, const char *url,
                          struct failure *why);
/* From now on it borrows the objects of that mirror. */
bool must_check tree_borrow(const char *path, const char *mirror, struct failure *why);
/*
 * Makes HEAD (detached), index and tree those of the commit, writing only what differs.
 * FAILURE_NO_COMMIT, FAILURE_DAMAGED, FAILURE_BAD_REPOSITORY. tick: files of files.
 */
bool must_check tree_check_out(const char *path, const char *commit, const struct tick *tick,
                               struct failure *why);
/*
 * What tree_check_out() made of `from` becomes HEAD, index and tree of `to`, just made: a copy of
 * each file in from's index, none of them linked. tick: files of files.
 */
bool must_check tree_copy(const char *from, const char *to, const char *commit,
                          const struct tick *tick, struct failure *why);
/* Does every file hash to what the index says? FAILURE_HASH_MISMATCH names the first that does not.
 * tick: files of files. */
bool must_check tree_verify(const char *path, const struct tick *tick, struct failure *why);

/* ---- submodules ---- */

/* A submodule as the checked out commit has it. */
struct submodule {
	char *path; /* in its parent's tree: a directory, reached without any link */
	char *url;  /* as .gitmodules says */
	char commit[41];
};

struct submodules {
	struct submodule *items;
	size_t count;
};

/*
 * Those of the checked out commit. FAILURE_SUBMODULE: .gitmodules holds no address for one;
 * FAILURE_BAD_REPOSITORY: one does not lie in the tree, or .gitmodules cannot be read. *ret is to
 * be done with in any case.
 */
bool must_check tree_submodules(const char *path, struct submodules *ret, struct failure *why);
void submodules_done(struct submodules *submodules);

#endif
