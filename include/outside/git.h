/*
 * Repositories (libgit2): clone, check out a commit, its submodules.
 *
 * Works on hostile repositories: nothing is written outside the destination, nothing of the
 * repository is run (no hooks, no filters). http and https go over libcurl (outside/http.h), ssh
 * over /usr/bin/ssh, both registered as libgit2 transports: so timeouts, proxies, CA files,
 * cancelling and key types are those of curl and OpenSSH.
 */
#ifndef OUTSIDE_GIT_H
#define OUTSIDE_GIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "base/tick.h"

/* How to reach repositories; one for all of them, submodules included. */
struct git_access {
	const struct strings *protocols; /* allowed: "https", "ssh", "http", "git", "file" (plain
	                                    paths and file://) */
	const char *ssh_key;             /* path of a private key; NULL: ssh's own choice */
	const char *ssh_known_hosts; /* path; NULL: ssh's own. Unknown hosts are refused always */
	const char *username,
	    *token; /* for https only; never sent to another host than the one of `token_host` */
	const char *token_host; /* host[:port] of the main repository, which the token is for */
	const char *ca_file;    /* PEM; NULL: the system's */
	int64_t stall_timeout;  /* ms without a byte */
};

/* 40 or 64 lower- or upper-case hex digits? */
bool git_is_commit(const char *text);

/* The address's protocol: "https", "ssh" (also for user@host:path), "file" (also for a path), ...;
 * "" for nonsense (a leading '-', ext::...). */
const char *git_protocol(const char *url);

/* Call once before the others; closes with the process. */
bool must_check git_start(const struct git_access *access, struct failure *why);

/*
 * Clones url into path (absent or empty), without checking anything out. tick: bytes received, of
 * 0; then objects indexed of objects. FAILURE_NO_REPOSITORY, FAILURE_REPOSITORY (network;
 * retryable), FAILURE_REJECTED (protocol not allowed), FAILURE_CANCELLED, FAILURE_STALLED.
 */
bool must_check git_clone(const char *url, const char *path, const struct tick *tick,
                          struct failure *why);
/* Makes HEAD (detached), index and tree those of the commit. FAILURE_NO_COMMIT,
 * FAILURE_BAD_REPOSITORY. tick: files of files. */
bool must_check git_checkout(const char *path, const char *commit, const struct tick *tick,
                             struct failure *why);
/*
 * Initialises, clones and checks out every submodule, and theirs. Relative addresses are relative
 * to their parent's. More than 8 levels or a submodule that contains itself is
 * FAILURE_BAD_REPOSITORY; a missing one FAILURE_SUBMODULE, whose message names path, URL and
 * commit.
 */
bool must_check git_submodules(const char *path, const struct tick *tick, struct failure *why);

#endif
