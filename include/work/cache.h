/*
 * Jars on the worker's own disk, named by the SHA-256 of their bytes:
 * <cache-directory>/jars/<hash>. Shared by the workers of a host. What lies there may be gone or
 * damaged at any time: a taker gets a copy, hashed on the way. When they take too much room
 * together, the least recently used go.
 *
 * Blocking; for runners.
 */
#ifndef WORK_CACHE_H
#define WORK_CACHE_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/tick.h"
#include "remote/store.h"

enum cache_found {
	CACHE_ABSENT,
	CACHE_FOUND,
	CACHE_DAMAGED, /* it was there and hashed to something else: removed */
};

/* Writes the jar of that hash to fd, an empty file, which is empty again unless it was found, also
 * after a failure. */
bool must_check cache_take(const char *cache_directory, const char *sha256, int fd,
                           const struct tick *tick, enum cache_found *ret_found,
                           struct failure *why);
/* Keeps a copy of what fd holds, which hashes to object->sha256; jars go until all of them together
 * have at most `limit` bytes. One that is larger by itself is not kept. */
bool must_check cache_keep(const char *cache_directory, const struct store_object *object, int fd,
                           int64_t limit, struct failure *why);

#endif
