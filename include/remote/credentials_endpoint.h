/*
 * The sources of keys that must be asked: the container's endpoint (AWS_CONTAINER_CREDENTIALS_*),
 * else the EC2 instance's metadata service, IMDSv2 only (Amazon EC2 User Guide, "Use IMDSv2").
 *
 * A container's endpoint is https, or at an address that is this host or the link: keys and
 * authorization token go nowhere else. Connecting may take 1 s, a request 3 s, and each gets a
 * second try.
 */
#ifndef REMOTE_CREDENTIALS_ENDPOINT_H
#define REMOTE_CREDENTIALS_ENDPOINT_H

#include "base/attributes.h"
#include "base/failure.h"
#include "outside/http.h"
#include "remote/aws_keys.h"

/* "container http://169.254.170.2/x", "instance http://169.254.169.254"; NULL: there is none to
 * ask. malloc'd. */
char *credentials_endpoint_describe(void);

struct credentials_asking;
/* The keys, the callee's to take; or NULL and why, FAILURE_CREDENTIALS. The asking is over. */
typedef void credentials_asked(void *data, struct aws_keys *keys, const struct failure *why);
/* done is called once, never from inside. FAILURE_CREDENTIALS: there is none to ask, or its address
 * is none. */
bool must_check credentials_ask(struct http_client *client, credentials_asked *done, void *data,
                                struct credentials_asking **ret, struct failure *why);
/* done is not called any more. NULL is fine. */
void credentials_ask_no_more(struct credentials_asking **asking);

#endif
