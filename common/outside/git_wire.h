/* The git protocol, as far as it passes through our hands (gitprotocol-pack(5)). */
#ifndef OUTSIDE_GIT_WIRE_H
#define OUTSIDE_GIT_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Does the server, in this piece of its list of references, offer not to tell of its progress? */
bool git_offers_silence(const char *bytes, size_t length);
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
