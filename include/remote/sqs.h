/*
 * Requests to Amazon SQS, or to what speaks like it, on the loop: the AWS JSON protocol (Amazon SQS
 * Developer Guide, "Making HTTP API requests by using the AWS JSON protocol"), signed. What the
 * actions mean is remote/queue_sqs.c's.
 */
#ifndef REMOTE_SQS_H
#define REMOTE_SQS_H

#include <stdint.h>

#include "base/failure.h"
#include "outside/http.h"
#include "remote/credentials.h"
#include "remote/queue.h"

struct json_t;

/* Where and as whom. */
struct sqs_access {
	struct http_client *client;
	struct credentials *credentials;
	const char *endpoint; /* "https://sqs.eu-west-1.amazonaws.com", no slash at the end */
	const char *region;
	const char *ca_file;
};

struct sqs;
/* client and credentials are borrowed, the rest is copied. */
struct sqs *sqs_open(const struct sqs_access *access);
/* Requests under way are dropped. The credentials must call nobody any more who still waits for
 * them: free them before the loop goes on. */
void sqs_close(struct sqs **sqs);

struct sqs_task;
/* body: of the answer, an object valid during the call, or NULL if it was empty or there is why:
 * what aws_fail() makes of an error, or FAILURE_CREDENTIALS, NETWORK, BAD_ANSWER... The task is a
 * copy of that which was started, but for its body. */
typedef void sqs_done(const struct sqs_task *task, const struct json_t *body,
                      const struct failure *why);

struct sqs_task {
	const char *action;  /* "ReceiveMessage", a constant */
	const char *about;   /* the queue, by name or URL, for messages; copied */
	struct json_t *body; /* parameters; taken over */
	int64_t wait_ms;     /* that the answer takes on purpose */
	sqs_done *done;
	void *data;       /* done's own affair, as are these: */
	queue_done *then; /* whom done tells in turn */
	void *then_data;
};

struct sqs_call;
/*
 * Keys that the server calls expired are renewed and the request is made again, once. Returns NULL
 * if the request ended within, done called: without keys. Otherwise the call is valid until done
 * was called or it was cancelled.
 */
struct sqs_call *sqs_start(struct sqs *sqs, const struct sqs_task *task);
/* done is not called any more. *call becomes NULL; NULL is fine. */
void sqs_cancel(struct sqs_call **call);

#endif
