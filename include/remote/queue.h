/*
 * The queue jobs come from, on the loop. One interface, a body for each kind
 * (remote/queue_dashboard.c: our dashboard's own queue; remote/queue_sqs.c: Amazon SQS). A message
 * is ours from receive to acknowledge or release as long as its lease is extended in time.
 */
#ifndef REMOTE_QUEUE_H
#define REMOTE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/text.h"
#include "outside/http.h"
#include "remote/dashboard.h"

struct credentials;

struct queue_message {
	char *body;    /* YAML or JSON, as put on the queue */
	char *id;      /* message id: the job's secret towards the dashboard */
	char *receipt; /* what extend, acknowledge and release are told */
	char *queue;   /* the queue it came from */
	int attempt;   /* how often it was received, this time included; from 1 */
	int handbacks; /* how many of those were given back untried (drained workers) */
};
#define QUEUE_MESSAGE_INIT                                                                         \
	{                                                                                          \
	}
void queue_message_done(struct queue_message *message);

/* What a kind has no use for may be missing. */
struct queue_access {
	struct loop *loop;
	struct http_client *client;
	const struct dashboard_access *dashboard;
	const struct strings *names; /* queues in the order of their priority */
	const char *worker;          /* name of this worker, for the queue's records */
	int64_t lease_ms;            /* of each claim; 0: what suits the kind */

	/* sqs: */
	struct credentials *credentials;
	const char *endpoint;  /* NULL: that of AWS for the region */
	const char *region;    /* "us-east-1" */
	const char *ca_file;   /* NULL: the system's */
	int64_t hide_limit_ms; /* how long a message may be hidden in all; 0: what suits the kind */
};

struct queue;

/* type: the setting queue.type. access is copied; loop, client, dashboard, names, credentials
 * are borrowed for the queue's life. */
bool must_check queue_open(const char *type, const struct queue_access *access, struct queue **ret,
                           struct failure *why);
void queue_close(struct queue **queue);
/* Address of the server that looks at our clock; NULL: the dashboard. */
const char *queue_server(const struct queue *queue);
/* How long a lease of this queue is made, ms. */
int64_t queue_lease_ms(const struct queue *queue);
/* How long a message is ours from its receipt, before it was extended: no longer than the lease. */
int64_t queue_unclaimed_ms(const struct queue *queue);
/* How long from its receipt a message can be kept ours by extending, ms; 0: without end. */
int64_t queue_hide_limit_ms(const struct queue *queue);

/*
 * Waits up to wait_ms for a message of the first queue that has one. done: message NULL and why
 * NULL: none came. The message is done's (moved: it takes what it needs with queue_message_done for
 * the rest).
 */
typedef void queue_received(void *data, struct queue_message *message, const struct failure *why);
/* done may be called from inside. */
void queue_receive(struct queue *queue, int64_t wait_ms, queue_received *done, void *data);
/*
 * Asks the queue to end the wait now: done is called as ever, soon, with none or with the message
 * that came at the last moment (which whoever stops gives back with queue_release). Without a
 * receive under way nothing happens.
 */
void queue_stop_receiving(struct queue *queue);

/* FAILURE_LEASE_LOST: the queue says that the message is another's now. May be called from inside.
 */
typedef void queue_done(void *data, const struct failure *why);
void queue_extend(struct queue *queue, const char *receipt, queue_done *done, void *data);
/* The message is dealt with and goes away. That it is gone already is success. */
void queue_acknowledge(struct queue *queue, const char *receipt, queue_done *done, void *data);
/* The message goes back, visible again after delay_ms. handback: it was not tried, the attempt does
 * not count. A lost lease is success. */
void queue_release(struct queue *queue, const char *receipt, int64_t delay_ms, bool handback,
                   queue_done *done, void *data);

#endif
