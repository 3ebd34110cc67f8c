/*
 * Where the keys for S3 and SQS come from. The first of these sources that is there counts:
 *
 *	settings     aws.access-key-file, aws.secret-key-file, aws.session-token-file
 *	environment  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *	file         aws.credentials-file, AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials; in it
 *	             the profile aws.profile, AWS_PROFILE or "default"
 *	systemd      the credential "aws-credentials", in the same form (LoadCredential=)
 *	container    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI
 *	instance     the EC2 instance's role, IMDSv2 (AWS_EC2_METADATA_DISABLED=true: not asked)
 *
 * (AWS SDKs and Tools Reference Guide, "Standardized credential providers".) A source that is there
 * and broken is a failure, never a reason to look further. A file at its usual place that lacks the
 * default profile is not there.
 *
 * Temporary keys of container and instance are renewed when less than five minutes, or a tenth of
 * their life, is left; while that fails the old ones are used as long as they hold, and the next
 * try waits (base/backoff.h). What else changes is seen after credentials_forget().
 */
#ifndef REMOTE_CREDENTIALS_H
#define REMOTE_CREDENTIALS_H

#include "base/attributes.h"
#include "base/failure.h"
#include "base/tick.h"
#include "outside/http.h"
#include "remote/aws_keys.h"

struct credentials;

/* Nothing is read or asked yet. settings and client (on the loop or by hand) are borrowed. */
struct credentials *credentials_new(const struct aws_settings *settings,
                                    struct http_client *client);
/* Who still waits is not called any more. Not from within a done. */
void credentials_free(struct credentials **credentials);

/* keys, valid during the call; or NULL and why: FAILURE_CREDENTIALS. */
typedef void credentials_done(void *data, const struct aws_keys *keys, const struct failure *why);
/* done is called once: from inside if the keys are at hand, else when they are. Several may wait.
 */
void credentials_want(struct credentials *credentials, credentials_done *done, void *data);
/* The same, blocking, with a client driven by hand, whose other requests go on meanwhile.
 * *ret_keys: valid until the next call of this function. */
bool must_check credentials_get(struct credentials *credentials, const struct tick *tick,
                                const struct aws_keys **ret_keys, struct failure *why);
/* A server says that they ran out or are unknown, or the settings changed: the next one who wants
 * keys gets those that are there then. */
void credentials_forget(struct credentials *credentials);

/* Which source counts, for show-config: "environment"; "none: why". Reads files and environment,
 * asks no server; malloc'd. */
char *credentials_describe(const struct aws_settings *settings);

#endif
