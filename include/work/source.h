/*
 * The source of a build: the tree of a commit, its submodules and theirs, each from a mirror
 * (work/mirror.h) by way of a template (work/template.h).
 *
 *	scoped(source_done) struct source source = SOURCE_INIT(&how);
 *	source_fetch(&source, commit, why)           the mirror holds the commit
 *	    && source_check_out(&source, place, why) its tree
 *	    && source_submodules(&source, why)       those of its submodules
 *
 * The trees borrow the mirrors' objects: source_mirrors() tells which those are, to be shown to
 * whoever works in the trees; until source_done() they stay.
 */
#ifndef WORK_SOURCE_H
#define WORK_SOURCE_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "work/steps.h"

/* All borrowed. */
struct source_how {
	const char *url;
	const char *cache_directory, *state_directory;
	const struct strings *rewrite; /* rules for repository_rewrite_url() */
	int64_t timeout;               /* ms that each repository may take */
	struct steps *steps;           /* progress, cancelling, log */
};

struct source_repository;

struct source {
	const struct source_how *how;
	struct source_repository *repositories; /* [0]: the main one */
	size_t count;
};
#define SOURCE_INIT(HOW)                                                                           \
	{                                                                                          \
		.how = (HOW)                                                                       \
	}

/* Fails as mirror_hold() does, or with FAILURE_TIMEOUT. */
bool must_check source_fetch(struct source *source, const char *commit, struct failure *why);
/* Into place, absolute and absent. Fails as template_instantiate(); a mirror that is damaged is
 * cloned anew, once. */
bool must_check source_check_out(struct source *source, const char *place, struct failure *why);
/*
 * Of a submodule that is missing the failure, FAILURE_SUBMODULE, names path, address and commit.
 * More than 8 levels, more than 256 of them, or one that contains itself: FAILURE_BAD_REPOSITORY.
 */
bool must_check source_submodules(struct source *source, struct failure *why);
/* Appends the paths of the mirrors in use. */
void source_mirrors(const struct source *source, struct strings *paths);
void source_done(struct source *source);

#endif
