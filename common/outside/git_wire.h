/* The git protocol, as far as it passes through our hands (gitprotocol-pack(5)). */
#ifndef OUTSIDE_GIT_WIRE_H
#define OUTSIDE_GIT_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"
#include "base/text.h"

/* The server's list of references, as it comes. */
struct git_list {
	size_t length;
	bool offers_silence; /* the server need not tell of its progress */
};
/* The next piece of it. FAILURE_REPOSITORY: it does not end. */
bool git_list_look(struct git_list *list, const char *bytes, size_t length, struct failure *why);

/* What is known of the repository that is fetched into: hashes, added to a list. */
struct git_known {
	void (*add_parents)(const char *hash,
	                    struct strings *list); /* of a commit, if it is there */
	void (*add_moved)(struct strings *list); /* what branches led to that lead elsewhere now */
};
/*
 * Appends what the client says, changed so that less comes back. Where it begins to wish for
 * objects, the wish for silence is added: what a server tells of its progress nobody reads, and it
 * is more than a small pack. What branches led to is offered first. Then most commits need not be
 * offered whose children are; each would be answered by a line.
 */
void git_add_request(struct text *text, const char *bytes, size_t length, bool silence,
                     const struct git_known *known);

#endif
