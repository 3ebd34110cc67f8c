/* What a kind of queue must bring; for the bodies only. A body's struct begins with struct queue.
 */
#ifndef REMOTE_QUEUE_BODY_H
#define REMOTE_QUEUE_BODY_H

#include "remote/queue.h"

struct queue_body {
	const char *type;      /* value of queue.type */
	int64_t lease_ms;      /* where the setting says nothing */
	int64_t unclaimed_ms;  /* of a message that was only received; 0: the lease */
	int64_t hide_limit_ms; /* where the setting says nothing; 0: there is none */
	struct queue *(*open)(const struct queue_access *access);
	void (*close)(struct queue *queue);
	void (*receive)(struct queue *queue, int64_t wait_ms, queue_received *done, void *data);
	void (*stop_receiving)(struct queue *queue);
	void (*extend)(struct queue *queue, const char *receipt, queue_done *done, void *data);
	void (*acknowledge)(struct queue *queue, const char *receipt, queue_done *done, void *data);
	void (*release)(struct queue *queue, const char *receipt, int64_t delay_ms, bool handback,
	                queue_done *done, void *data);
};

struct queue {
	const struct queue_body *body;
	int64_t lease_ms, hide_limit_ms; /* set by queue_open() */
	char *server; /* whose clock counts, "https://..."; set by the body, freed by queue_close();
	                 NULL: the dashboard */
};

extern const struct queue_body queue_dashboard, queue_sqs;

#endif
