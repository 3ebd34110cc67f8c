/*
 * The box in which untrusted programs run: bubblewrap (bwrap(1)).
 *
 * Inside: /usr, /bin, /sbin, /lib* read-only; of /etc a short list (ld.so.cache, alternatives,
 * java, ssl certificates, passwd, group, nsswitch, and with the network hosts and resolv.conf); a
 * private /tmp (at most 1 GiB), /dev and a read-only /proc; one writable directory, at its own
 * path. Own PID, IPC, UTS and mount namespaces, no network unless asked, no capabilities. All that
 * was started in the box is dead when its command ends or this process dies.
 */
#ifndef OUTSIDE_BOX_H
#define OUTSIDE_BOX_H

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"

struct box {
	const char *writable; /* absolute path of the job's directory */
	const struct strings
	    *readonly; /* further paths to show read-only (existing ones), or NULL */
	bool network;  /* share the host's network */
};

#define BOX_PROGRAM "/usr/bin/bwrap"

/* The arguments of bwrap, its own name first, up to and with "--"; the command's follow. */
void box_arguments(const struct box *box, struct strings *arguments);
/* Runs /usr/bin/true in a box of that kind: FAILURE_SANDBOX says what bwrap said. */
bool must_check box_check(const char *writable, struct failure *why);

#endif
