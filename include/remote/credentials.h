/*
 * Keys for AWS and for what speaks like it: S3, SQS. The first of these sources that is there
 *counts:
 *
 *	settings     aws.access-key-file and aws.secret-key-file
 *	environment  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *	file         aws.credentials-file, AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, in it
 *the profile aws.profile, AWS_PROFILE or "default" systemd      the credential "aws-credentials",
 *in the same form (LoadCredential=) container    AWS_CONTAINER_CREDENTIALS_FULL_URI or
 *_RELATIVE_URI instance     the EC2 instance's role, IMDSv2 (AWS_EC2_METADATA_DISABLED=true: not
 *asked)
 *
 * (AWS SDKs and Tools Reference Guide, "Standardized credential providers".) A source that is there
 * and broken is a failure, never a reason to look further. Temporary keys are renewed before they
 * run out.
 */
#ifndef REMOTE_CREDENTIALS_H
#define REMOTE_CREDENTIALS_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/settings.h"
#include "base/tick.h"
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

struct credentials;

/* Nothing is read or asked yet. settings and client (on the loop or by hand) are borrowed. */
struct credentials *credentials_new(const struct aws_settings *settings,
                                    struct http_client *client);
/* Who still waits is not called any more. */
void credentials_free(struct credentials **credentials);

/* keys, valid during the call; or NULL and why: FAILURE_CREDENTIALS, or what the endpoint's request
 * failed by. */
typedef void credentials_done(void *data, const struct aws_keys *keys, const struct failure *why);
/* done is called once: from inside if the keys are at hand, else when they are. Several may wait.
 */
void credentials_want(struct credentials *credentials, credentials_done *done, void *data);
/* The same, blocking, with a client driven by hand. *ret_keys: valid until the next call. */
bool must_check credentials_get(struct credentials *credentials, const struct tick *tick,
                                const struct aws_keys **ret_keys, struct failure *why);
/* A server says that they ran out or are unknown: the next one who wants them gets new ones. */
void credentials_forget(struct credentials *credentials);

/* Which source counts, for show-config: "environment"; "none". Reads files and environment, asks no
 * server; malloc'd. */
char *credentials_describe(const struct aws_settings *settings);

/* The keys as a signature over requests; borrows all. */
struct http_signature aws_signature(const struct aws_keys *keys, const char *service,
                                    const char *region);

#endif
