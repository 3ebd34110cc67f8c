/*
 * The solutions of a run against those the model came with: as multisets of the SHA-256 of each
 * file without its first line, which holds the date of the build. Names and numbers do not matter.
 */
#ifndef RUN_WORKER_COMPARE_H
#define RUN_WORKER_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "base/tick.h"
#include "outside/digest.h"

struct solution {
	char *name;
	char sha256[SHA256_TEXT]; /* of all but the first line; "": too large to be one */
	const char *counterpart;  /* name of its pair on the other side; NULL: none */
};

struct solutions {
	struct solution *items;
	size_t count;
};

/* alloy_solutions_*.xml? */
bool solution_is_name(const char *name);
/* The regular files of such names in the directory, sorted by name; links and special files
 * are no solutions. comparison_done() frees them. */
bool must_check solutions_read(int directory, const struct tick *tick, struct solutions *ret,
                               struct failure *why);

struct comparison {
	struct solutions run, model;
	bool equal; /* every one has its counterpart */
};
void comparison_done(struct comparison *comparison);
/* Pairs run and model, which were read. */
void comparison_make(struct comparison *comparison);
/* comparison.json:
 * {"correct":...,"matched":[{"run":..,"model":..,"sha256":..}],"missing":[..],"unexpected":[..]}.
 */
void comparison_write(const struct comparison *comparison, bool correct, struct text *json);

#endif
