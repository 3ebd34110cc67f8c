/* Keys for AWS and for what speaks like it (S3, SQS), and the settings that name some. */
#ifndef REMOTE_AWS_KEYS_H
#define REMOTE_AWS_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/settings.h"
#include "outside/http.h"

/* The settings "aws.*", part of struct store_settings. */
struct aws_settings {
	struct secret access_key, secret_key, session_token;
	char *profile;
	char *credentials_file;
};

struct aws_keys {
	char *id, *secret;
	char *token;     /* of temporary keys, else NULL */
	int64_t expires; /* wall_ms(); 0: never */
};
#define AWS_KEYS_INIT                                                                              \
	{                                                                                          \
	}

/* Wipes and frees. */
void aws_keys_done(struct aws_keys *keys);
void aws_keys_copy(struct aws_keys *to, const struct aws_keys *from);
/* An id and its secret, and nothing in them that a header could not carry? FAILURE_CREDENTIALS:
 * "where: an access key's id without its secret". */
bool must_check aws_keys_check(const struct aws_keys *keys, const char *where, struct failure *why);
/* Do the settings name both halves of a key, or none? FAILURE_CONFIGURATION. */
bool must_check aws_settings_check(const struct aws_settings *settings, struct failure *why);
/* The keys as a signature over requests; borrows all. */
struct http_signature aws_signature(const struct aws_keys *keys, const char *service,
                                    const char *region);
/* AWS's own server of that service in that region, "https://sqs.eu-west-1.amazonaws.com"; malloc'd.
 */
char *aws_endpoint(const char *service, const char *region);

#endif
