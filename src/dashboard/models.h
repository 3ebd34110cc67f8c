/* The models that runs solve. */
#ifndef DASHBOARD_MODELS_H
#define DASHBOARD_MODELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "database.h"

/* A model's archive as it lies in the store. */
struct model_archive {
	const char *key;
	const char *sha256;
	int64_t bytes;
	const char *filename; /* as uploaded */
};

/* 1 to 255 bytes without control characters; FAILURE_REJECTED. */
bool must_check models_check_path(const char *path, struct failure *why);
/* A new model without an archive. A path that is taken is FAILURE_CONFLICT. */
bool must_check models_add(struct database *db, const char *path, int64_t *ret_id,
                           struct failure *why);
bool must_check models_exist(struct database *db, int64_t id, bool *ret, struct failure *why);
/* Runs that are requested from now on use this archive. FAILURE_NOT_FOUND. */
bool must_check models_set_archive(struct database *db, int64_t id,
                                   const struct model_archive *archive, struct failure *why);
/* Is it run after each good build? FAILURE_NOT_FOUND. */
bool must_check models_set_ci(struct database *db, int64_t id, bool enabled, struct failure *why);

#endif
