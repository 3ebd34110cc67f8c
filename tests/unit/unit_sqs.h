/* A queue of a scripted SQS, and what came of asking it. */
#ifndef UNIT_SQS_H
#define UNIT_SQS_H

#include <stdio.h>

#include "outside/json.h"
#include "remote/credentials.h"
#include "remote/queue.h"
#include "scripted.h"

#define URL     "http://sqs.local/0/ci"
#define HIGH    "http://sqs.local/0/performance"
#define RECEIPT URL " handle=="
#define BODY    "---\\n:version: 2\\n"
#define MESSAGE(HANDLE, MORE)                                                                      \
	"{\"Messages\":[{\"MessageId\":\"m-1\",\"ReceiptHandle\":\"" HANDLE "\",\"Body\":\"" BODY  \
	"\"" MORE "}]}"
#define COUNTED ",\"Attributes\":{\"ApproximateReceiveCount\":\"3\"}"

struct site {
	struct desk desk;
	struct server server;
	struct aws_settings settings;
	struct credentials *credentials;
	struct strings names;
	struct queue *queue;
	struct loop_source *timer;
	int called;
	struct queue_message message;
	bool none; /* told that no message came */
	struct failure why;
};

/* names: of the queues, the second may be NULL. */
static inline void
site_open(struct site *site, const char *first, const char *second, const struct scripted *script,
          size_t count)
{
	*site = (struct site){0};
	server_start(&site->server, script, count);
	desk_open(&site->desk);
	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	site->credentials = credentials_new(&site->settings, site->desk.client);
	strings_add(&site->names, first);
	if (second)
		strings_add(&site->names, second);
	struct queue_access access = {.loop = site->desk.loop,
	                              .client = site->desk.client,
	                              .names = &site->names,
	                              .credentials = site->credentials,
	                              .endpoint = site->server.url,
	                              .region = "eu-west-1"};
	assert_true(queue_open("sqs", &access, &site->queue, NULL));
}

/* Its requests can be looked at afterwards. */
static inline void
site_close(struct site *site)
{
	queue_close(&site->queue);
	credentials_free(&site->credentials);
	loop_source_drop(&site->timer);
	desk_close(&site->desk);
	server_stop(&site->server);
}

static inline void
site_done(struct site *site)
{
	server_done(&site->server);
	strings_done(&site->names);
	queue_message_done(&site->message);
	failure_done(&site->why);
}

static inline void
keep_message(struct site *site, struct queue_message *message, const struct failure *why)
{
	site->called++;
	site->none = !message && !why;
	if (message) {
		site->message = *message;
		*message = (struct queue_message)QUEUE_MESSAGE_INIT;
	}
	if (why)
		failure_copy(&site->why, why);
}

static inline void
note_message(void *data, struct queue_message *message, const struct failure *why)
{
	struct site *site = data;
	keep_message(site, message, why);
	desk_stop(&site->desk);
}

static inline void
note_done(void *data, const struct failure *why)
{
	struct site *site = data;
	site->called++;
	if (why)
		failure_copy(&site->why, why);
	desk_stop(&site->desk);
}

/* An answer with that body, JSON. */
static inline char *
answer_of(const char *status, const char *body)
{
	return format("HTTP/1.1 %s\r\nContent-Type: application/x-amz-json-1.0\r\n"
	              "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
	              status, strlen(body), body);
}

static inline void
check_request(const struct site *site, size_t which, const char *action, const char *body)
{
	scoped_free char *target = format("\r\nX-Amz-Target: AmazonSQS.%s\r\n", action);
	assert_true(starts_with(text_string(&site->server.requests[which]), "POST / HTTP/1.1\r\n"));
	assert_true(request_has(&site->server, which, target));
	assert_true(
	    request_has(&site->server, which, "\r\nContent-Type: application/x-amz-json-1.0\r\n"));
	assert_true(request_has(&site->server, which, "Credential=AKID/"));
	assert_true(request_has(&site->server, which, "/eu-west-1/sqs/aws4_request"));
	assert_string_equal(body_of(&site->server, which), body);
}

#define RECEIVE(QUEUE, WAIT)                                                                       \
	"{\"QueueUrl\":\"" QUEUE "\",\"MaxNumberOfMessages\":1,\"WaitTimeSeconds\":" WAIT          \
	",\"VisibilityTimeout\":30,\"AttributeNames\":[\"ApproximateReceiveCount\"]}"

#define ABOUT "{\"QueueUrl\":\"" URL "\",\"ReceiptHandle\":\"handle==\""

#define ERROR(CODE, TEXT) "{\"__type\":\"com.amazonaws.sqs#" CODE "\",\"message\":\"" TEXT "\"}"

static inline void
receive_from(struct site *site, const char *first, const char *second,
             const struct scripted *script, size_t count)
{
	site_open(site, first, second, script, count);
	queue_receive(site->queue, 20000, note_message, site);
	desk_run(&site->desk);
	site_close(site);
	assert_int_equal(site->called, 1);
}

#endif
