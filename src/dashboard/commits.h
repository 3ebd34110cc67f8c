/* The commits that the hook told of. */
#ifndef DASHBOARD_COMMITS_H
#define DASHBOARD_COMMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "database.h"

struct commit {
	const char *sha;     /* commits_is_sha() */
	int64_t time;        /* ms since 1970 */
	const char *comment; /* any text */
};

/* 40 or 64 lower-case hex digits? */
bool commits_is_sha(const char *text);
/* Within the caller's transaction. *ret_id is 0 if the commit was known already. */
bool must_check commits_add(struct database *db, const struct commit *commit, int64_t *ret_id,
                            struct failure *why);

#endif
