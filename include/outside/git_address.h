/* Addresses of repositories, as texts: nothing is asked of anybody. */
#ifndef OUTSIDE_GIT_ADDRESS_H
#define OUTSIDE_GIT_ADDRESS_H

#include <stdbool.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"

/*
 * The address's protocol: "https", "ssh" (also for user@host:path), "file" (also for an absolute
 * path), "http", "git"; NULL for what is no address, such as one with a leading '-' or a remote
 * helper (ext::...).
 */
const char *repository_protocol(const char *url);
/* The address as messages may show it, without user and password; malloc'd. */
char *repository_shown_url(const char *url);
/* What the repository is called: the last part of that; malloc'd. */
char *repository_name(const char *url);
/* Do both lead to the same host, by the same protocol and port? Who asks, the user, does not count.
 */
bool repository_same_host(const char *url, const char *other);
/*
 * Where a submodule's address leads that stands in the repository at `base`: one that begins with
 * ./ or ../ is relative to that. Without slashes at its end; malloc'd. NULL: it leads above the
 * host.
 */
char *repository_resolve_url(const char *base, const char *url);
/* url, with its beginning replaced where it is the FROM of one of the rules "FROM TO", the longest
 * of them; malloc'd. */
char *repository_rewrite_url(const struct strings *rules, const char *url);

struct ssh_address {
	char *user; /* or NULL */
	char *host;
	char *port; /* or NULL */
	char *path; /* as the other side is to get it */
};
/*
 * ssh://[user@]host[:port]/path, percent-decoded, or [user@]host:path; the host may be an IPv6
 * address in brackets, and a path that begins with ~ is a home directory there.
 * FAILURE_BAD_REPOSITORY. *ret is to be done with in any case.
 */
bool must_check ssh_address_parse(const char *url, struct ssh_address *ret, struct failure *why);
void ssh_address_done(struct ssh_address *address);

#endif
