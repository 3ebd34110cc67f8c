/* Reading JSON bodies: each function fails with FAILURE_REJECTED, which is a 400 that names the
 * member. */
#ifndef DASHBOARD_BODY_H
#define DASHBOARD_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "server.h"

struct json_t;

/* The body is one JSON object, whatever Content-Type says (existing workers say form). */
bool must_check body_json(struct request *request, struct json_t **ret, struct failure *why);

struct range {
	int64_t min, max;
};
/* A whole number, also as "12" or 12.0; absent or null leaves *ret as it is. */
bool must_check body_integer(const struct json_t *body, const char *name, struct range range,
                             int64_t *ret, struct failure *why);
/* A text of at most `limit` bytes; absent or null leaves *ret as it is. Borrowed from body. */
bool must_check body_text(const struct json_t *body, const char *name, size_t limit,
                          const char **ret, struct failure *why);
/* The same for a SHA-256 in lower-case hex. */
bool must_check body_sha256(const struct json_t *body, const char *name, const char **ret,
                            struct failure *why);

#endif
