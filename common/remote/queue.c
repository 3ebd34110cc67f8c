#include "remote/queue.h"

#include "remote/queue_body.h"

static const struct queue_body *const bodies[] = {&queue_dashboard};
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

bool
queue_open(const char *type, const struct queue_access *access, struct queue **ret,
           struct failure *why)
{
	for (size_t i = 0; i < BODIES; i++)
		if (strings_equal(bodies[i]->type, type)) {
			*ret = bodies[i]->open(access);
			(*ret)->lease_ms = access->lease_ms ? access->lease_ms
			                                    : bodies[i]->lease_ms;
			return true;
		}
	return fail(why, FAILURE_CONFIGURATION, "queue.type: unknown type '%s'", type);
}

void
queue_close(struct queue **queue)
{
	if (*queue)
		(*queue)->body->close(*queue);
	*queue = NULL;
}

int64_t
queue_lease_ms(const struct queue *queue)
{
	return queue->lease_ms;
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
