/* A message as SQS's ReceiveMessage brings it. */
#ifndef REMOTE_SQS_MESSAGE_H
#define REMOTE_SQS_MESSAGE_H

#include "base/attributes.h"
#include "base/failure.h"
#include "remote/queue.h"

struct json_t;

/* The queue it came from. */
struct sqs_sender {
	const char *name; /* as configured */
	const char *url;
};

/* The receipt names the queue too: "URL HANDLE". FAILURE_BAD_ANSWER: it lacks a field, or its body
 * is not what was sent. */
bool must_check sqs_message_read(const struct json_t *message, const struct sqs_sender *sender,
                                 struct queue_message *ret, struct failure *why);

#endif
