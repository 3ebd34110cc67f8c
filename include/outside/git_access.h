/* How repositories are reached: which protocols, with which keys. */
#ifndef OUTSIDE_GIT_ACCESS_H
#define OUTSIDE_GIT_ACCESS_H

#include <stdint.h>

#include "base/text.h"

/* How to reach repositories: one way for all of them, submodules included. Borrowed for the life of
 * the process. */
struct repository_access {
	const struct strings
	    *protocols;              /* allowed: https ssh http file (plain paths and file://) */
	const char *ssh_key;         /* path of a private key; NULL: ssh's own choice */
	const char *ssh_known_hosts; /* path; NULL: ssh's own. Unknown hosts are always refused */
	const char *username,
	    *token;            /* for http and https, and the host of token_url only; or NULL */
	const char *token_url; /* address of the main repository */
	const char *ca_file;   /* PEM; NULL: the system's */
	int64_t stall_timeout; /* ms without a byte */
};

#endif
