/* The git protocol, as far as it passes through our hands (gitprotocol-pack(5)). */
#ifndef OUTSIDE_GIT_WIRE_H
#define OUTSIDE_GIT_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Does the server, in this piece of its list of references, offer not to tell of its progress? */
bool git_offers_silence(const char *bytes, size_t length);
/* Appends what the client says; where it begins to wish for objects, the wish for silence too: what
 * a server tells of its progress nobody reads, and it is more than a small pack. */
void git_add_request(struct text *text, const char *bytes, size_t length, bool silence);

#endif
