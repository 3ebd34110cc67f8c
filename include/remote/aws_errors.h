/*
 * What AWS's error codes mean: the <Code> of S3's error documents, the __type of SQS's (Amazon S3
 * API Reference, "Error responses"; Amazon SQS API Reference, "Common errors"). Written as they
 * come: what stands around a name ("com.amazonaws.sqs#NAME", "AWS.SimpleQueueService.NAME",
 * "NAMEException") is cut off here.
 *
 *	access-denied  they know our keys and refuse this; also a bare 403, as a HEAD gets
 *	unauthorized   the key is unknown to them, or the secret does not fit it
 *	credentials    temporary keys that ran out
 *	wrong-region   also a bare 301 or 307
 *	clock          what we signed was too old or too new for them
 *	exists         a condition (If-Match, If-None-Match) did not hold
 *	network        the bytes did not arrive whole
 *	server         they are busy or broken: worth another try
 *	lease-lost     the message is not ours any more
 *
 * A code of no row means what its status means (outside/http.h); an error in an answer of 200 is
 * "server".
 */
#ifndef REMOTE_AWS_ERRORS_H
#define REMOTE_AWS_ERRORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "outside/http.h"

/* As the answer's body tells it; NULL where it tells nothing. */
struct aws_error {
	const char *code;    /* "NoSuchBucket" */
	const char *message; /* "The specified bucket does not exist" */
};

enum failure_code aws_failure_code(const struct aws_error *error, int status);
/* Does it say that the keys ran out or are not known, so that reading or asking for them anew
 * (credentials_forget()) may help? */
bool aws_keys_expired(const struct aws_error *error);
/* How far this host's clock is ahead of the server that gave the answer, ms; 0 without a Date. */
int64_t aws_clock_offset(const struct http_answer *answer);
/*
 * The failure that an error's answer means, on one line: "what: 403 RequestTimeTooSkewed: the
 * first line of the message; this host's clock is 17m00s ahead of the server's". Of a wrong region
 * it says which is right where the answer does. Always false.
 */
bool aws_fail(const struct aws_error *error, const struct http_answer *answer, const char *what,
              struct failure *why);

#endif
