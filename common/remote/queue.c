#include "remote/queue.h"

#include "remote/queue_body.h"

static const struct queue_body *const bodies[] = {&queue_dashboard, &queue_sqs};
#define BODIES (sizeof bodies / sizeof *bodies)

void
queue_message_done(struct queue_message *message)
{
	free_pointer(&message->body);
	free_pointer(&message->id);
	free_pointer(&message->receipt);
	free_pointer(&message->queue);
	*message = (struct queue_message)QUEUE_MESSAGE_INIT;
}

static struct queue *
open_body(const struct queue_body *body, const struct queue_access *access)
{
	struct queue *queue = body->open(access);
	queue->body = body;
	queue->lease_ms = access->lease_ms ? access->lease_ms : body->lease_ms;
	queue->hide_limit_ms = body->hide_limit_ms && access->hide_limit_ms ? access->hide_limit_ms
	                                                                    : body->hide_limit_ms;
	return queue;
}

bool
queue_open(const char *type, const struct queue_access *access, struct queue **ret,
           struct failure *why)
{
	for (size_t i = 0; i < BODIES; i++)
		if (strings_equal(bodies[i]->type, type)) {
			*ret = open_body(bodies[i], access);
			return true;
		}
	return fail(why, FAILURE_CONFIGURATION, "queue.type: unknown type '%s'", type);
}

void
queue_close(struct queue **queue)
{
	if (*queue) {
		free_pointer(&(*queue)->server);
		(*queue)->body->close(*queue);
	}
	*queue = NULL;
}

const char *
queue_server(const struct queue *queue)
{
	return queue->server;
}

int64_t
queue_lease_ms(const struct queue *queue)
{
	return queue->lease_ms;
}

int64_t
queue_unclaimed_ms(const struct queue *queue)
{
	int64_t brief = queue->body->unclaimed_ms;
	return brief && brief < queue->lease_ms ? brief : queue->lease_ms;
}

int64_t
queue_hide_limit_ms(const struct queue *queue)
{
	return queue->hide_limit_ms;
}

void
queue_receive(struct queue *queue, int64_t wait_ms, queue_received *done, void *data)
{
	queue->body->receive(queue, wait_ms, done, data);
}

void
queue_stop_receiving(struct queue *queue)
{
	queue->body->stop_receiving(queue);
}

void
queue_extend(struct queue *queue, const char *receipt, queue_done *done, void *data)
{
	queue->body->extend(queue, receipt, done, data);
}

void
queue_acknowledge(struct queue *queue, const char *receipt, queue_done *done, void *data)
{
	queue->body->acknowledge(queue, receipt, done, data);
}

void
queue_release(struct queue *queue, const char *receipt, int64_t delay_ms, bool handback,
              queue_done *done, void *data)
{
	queue->body->release(queue, receipt, delay_ms, handback, done, data);
}
