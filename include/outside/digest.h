/* SHA-256, HMAC-SHA-256 and MD5 (libcrypto). Hashes are 64 lower-case hex digits and a NUL. */
#ifndef OUTSIDE_DIGEST_H
#define OUTSIDE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/tick.h"

#define SHA256_TEXT 65
#define MD5_TEXT    33

/* A hash under way: new, update..., finish (which frees it). */
struct digest;
struct digest *digest_new(void);
void digest_update(struct digest *digest, const void *bytes, size_t length);
/* Of what was hashed so far; the other goes on. */
struct digest *digest_copy(const struct digest *digest);
void digest_finish(struct digest **digest, char ret_hex[SHA256_TEXT]);
/* For scoped(): given up unfinished. */
void digest_drop(struct digest **digest);

void digest_bytes(const void *bytes, size_t length, char ret_hex[SHA256_TEXT]);
/* From the fd's current position to its end. */
bool must_check digest_fd(int fd, const struct tick *tick, char ret_hex[SHA256_TEXT],
                          struct failure *why);
/* MD5 guards against damage on the way, not against malice. false: a system in FIPS mode has none.
 */
bool must_check digest_md5(const void *bytes, size_t length, char ret_hex[MD5_TEXT]);
void digest_hmac(const char *key, const void *bytes, size_t length, char ret_hex[SHA256_TEXT]);
/* Same length and bytes, in time that does not depend on where they differ. */
bool digest_equal(const char *a, const char *b);
/* 64 lower-case hex digits? */
bool digest_is_sha256(const char *text);
/* `bytes` random bytes (at most 64) from the kernel, as hex; malloc'd. */
char *random_hex(size_t bytes);
/* A random UUID, version 4 (RFC 9562); malloc'd. */
char *random_uuid(void);

#endif
