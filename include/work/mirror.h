/*
 * Mirrors of repositories, shared by all jobs and workers of a host:
 *
 *	<cache-directory>/git/<sha256 of the address>/lock    who writes holds it (flock)
 *	                                             /3       the mirror: the highest number
 *	                                             /new     one in the making
 *
 * Who uses a mirror holds its directory locked shared, and nothing is ever taken out of a mirror in
 * use: one that is damaged, or holds too many packs, is followed by another of the next number, and
 * goes away when nobody uses it any more. The kernel releases the locks of those who die.
 *
 * Blocking; for runners. Logs.
 */
#ifndef WORK_MIRROR_H
#define WORK_MIRROR_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "base/tick.h"
#include "outside/git.h"
#include "work/steps.h"

/* Which commit of which repository. All borrowed. */
struct mirror_wish {
	const char *cache_directory, *url, *commit;
	const struct tick *tick;   /* objects of objects; false stops it, also while it waits */
	struct transfer *transfer; /* added to */
	const struct steps *steps; /* the log's subject, and what is counted */
};

/* One in use, or none. */
struct mirror {
	char *path; /* of the bare repository; NULL: none */
	int used;   /* fd of it, locked shared */
};
#define MIRROR_INIT                                                                                \
	{                                                                                          \
		.used = -1                                                                         \
	}

/*
 * A mirror that holds the commit. One that has it already costs no connection; else what is new is
 * fetched; one that proves to be damaged is followed by a new one, once. Fails as mirror_fetch().
 */
bool must_check mirror_hold(const struct mirror_wish *wish, struct mirror *ret,
                            struct failure *why);
/* The mirror in *mirror proved to be damaged: in its stead one that was cloned anew. */
bool must_check mirror_replace(const struct mirror_wish *wish, struct mirror *mirror,
                               struct failure *why);
/* No longer used. */
void mirror_done(struct mirror *mirror);

struct mirror_limits {
	int64_t age;   /* ms since the last use */
	int64_t bytes; /* of all of them together */
};
/* Removes mirrors beyond the limits, the least recently used first, but none that is in use;
 * appends to *removed what their addresses were. */
bool must_check mirrors_sweep(const char *cache_directory, const struct mirror_limits *limits,
                              struct strings *removed, struct failure *why);

#endif
