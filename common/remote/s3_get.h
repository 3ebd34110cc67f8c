/* Reading an object of an S3 bucket. */
#ifndef REMOTE_S3_GET_H
#define REMOTE_S3_GET_H

#include "s3_object.h"

/*
 * Writes the object to fd from its position on, hashing it. Into a file (that may be read, too)
 * what is beyond the first 32 MiB comes in ranges of 8 MiB, store.concurrency connections at a
 * time: they are faster together, and each goes on where it broke.
 *
 * A broken connection is taken up again where it broke, if the object is still the same; if not, or
 * if the bytes do not hash to the object's metadata, all of it is read once more, for which fd must
 * be a file (or /dev/null). head is that of the object whose bytes these are.
 */
bool must_check s3_get_object(struct s3_store *store, const char *key, int fd,
                              const struct tick *tick, struct s3_head *head,
                              struct store_object *ret_object, struct failure *why);

#endif
