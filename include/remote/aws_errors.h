/*
 * What AWS's error codes mean: the <Code> of S3's error documents, the __type of SQS's (Amazon S3
 * API Reference, "Error responses"; Amazon SQS API Reference, "Common errors").
 */
#ifndef REMOTE_AWS_ERRORS_H
#define REMOTE_AWS_ERRORS_H

#include "base/failure.h"
#include "outside/http.h"

/* "NoSuchBucket" is FAILURE_NO_BUCKET. A code of no row: what the status means (outside/http.h). */
enum failure_code aws_failure_code(const char *code, int status);
/* Does the code say that the keys ran out, so that new ones may help? */
bool aws_keys_expired(const char *code);
/* How far this host's clock is ahead of the server that gave the answer, ms; 0 without a Date. */
int64_t aws_clock_offset(const struct http_answer *answer);

#endif
