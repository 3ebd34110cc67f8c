/* The queue of our own dashboard: JSON over HTTP, one request for all queue names. */
#include <string.h>

#include "outside/digest.h"
#include "outside/json.h"
#include "remote/queue_body.h"

/* extend, acknowledge or release under way. */
struct errand {
	struct dashboard_queue *queue;
	struct errand *next, **link; /* in the queue's list */
	struct http_call *call;
	queue_done *done;
	void *data;
};

struct dashboard_queue {
	struct queue queue;
	struct queue_access access;
	struct http_call *receiving; /* under way, or NULL */
	char *poll;                  /* names that wait, to end it */
	queue_received *received;
	void *data;
	struct errand *errands;
};

static struct queue *
open_queue(const struct queue_access *access)
{
	struct dashboard_queue *queue = allocate(sizeof *queue);
	queue->access = *access;
	return &queue->queue;
}

/* ---- errands ---- */

static void
free_errand(struct errand *errand)
{
	*errand->link = errand->next;
	if (errand->next)
		errand->next->link = errand->link;
	free(errand);
}

static void
errand_ended(void *data, const struct http_answer *answer, const struct failure *why)
{
	(void)answer;
	struct errand *errand = data;
	scoped(failure_done) struct failure lost = FAILURE_INIT;
	queue_done *done = errand->done;
	void *done_data = errand->data;
	if (why && why->code == FAILURE_CONFLICT) {
		fail(&lost, FAILURE_LEASE_LOST, "%s", why->message);
		why = &lost;
	}
	free_errand(errand);
	if (done)
		done(done_data, why);
}

/* Takes the body over. */
static void
run_errand(struct dashboard_queue *queue, const char *path, struct json_t *body, queue_done *done,
           void *data)
{
	scoped(js_drop) struct json_t *owned = body;
	scoped_free char *text = js_text(body);
	struct errand *errand = allocate(sizeof *errand);
	*errand = (struct errand){.queue = queue,
	                          .next = queue->errands,
	                          .link = &queue->errands,
	                          .done = done,
	                          .data = data};
	if (errand->next)
		errand->next->link = &errand->next;
	queue->errands = errand;
	errand->call = dashboard_post(queue->access.client, queue->access.dashboard, path, text,
	                              errand_ended, errand);
}

static struct json_t *
about_receipt(const char *receipt)
{
	struct json_t *body = js_object();
	js_set_string(body, "receipt", receipt);
	return body;
}

static void
extend(struct queue *queue, const char *receipt, queue_done *done, void *data)
{
	struct json_t *body = about_receipt(receipt);
	js_set_integer(body, "lease_seconds", queue->lease_ms / 1000);
	run_errand((struct dashboard_queue *)queue, "/queue/extend", body, done, data);
}

static void
acknowledge(struct queue *queue, const char *receipt, queue_done *done, void *data)
{
	run_errand((struct dashboard_queue *)queue, "/queue/acknowledge", about_receipt(receipt),
	           done, data);
}

static void
release(struct queue *queue, const char *receipt, int64_t delay_ms, bool handback, queue_done *done,
        void *data)
{
	struct json_t *body = about_receipt(receipt);
	js_set_real(body, "delay_seconds", (double)delay_ms / 1000);
	js_set_bool(body, "handback", handback);
	run_errand((struct dashboard_queue *)queue, "/queue/release", body, done, data);
}

/* ---- receiving ---- */

static bool
read_message(const struct http_answer *answer, struct queue_message *ret, struct failure *why)
{
	scoped(js_drop) struct json_t *object = NULL;
	int64_t attempt = 0, handbacks = 0;
	if (!js_parse(text_string(&answer->body), answer->body.length, &object, why))
		return fail_within(why, "queue's answer");
	const char *body = js_string(object, "body"), *id = js_string(object, "message_id");
	const char *receipt = js_string(object, "receipt"), *queue = js_string(object, "queue");
	if (!body || !id || !receipt || !js_integer(object, "attempt", &attempt) || attempt < 1
	    || attempt > INT32_MAX)
		return fail(why, FAILURE_BAD_ANSWER, "the queue's answer lacks a field");
	/* All but this one may have been given back, no more. */
	js_integer(object, "handbacks", &handbacks);
	if (handbacks < 0 || handbacks >= attempt)
		handbacks = handbacks < 0 ? 0 : attempt - 1;
	*ret = (struct queue_message){.body = copy_string(body),
	                              .id = copy_string(id),
	                              .receipt = copy_string(receipt),
	                              .queue = copy_string(queue ? queue : "?"),
	                              .attempt = (int)attempt,
	                              .handbacks = (int)handbacks};
	return true;
}

static void
receive_ended(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct dashboard_queue *queue = data;
	scoped(queue_message_done) struct queue_message message = QUEUE_MESSAGE_INIT;
	scoped(failure_done) struct failure bad = FAILURE_INIT;
	queue->receiving = NULL;
	bool empty = answer && answer->status == 204;
	if (!why && !empty && !read_message(answer, &message, &bad))
		why = &bad;
	queue->received(queue->data, message.body ? &message : NULL, why);
}

static char *
receive_body(const struct dashboard_queue *queue, int64_t wait_ms)
{
	scoped(js_drop) struct json_t *body = js_object();
	struct json_t *names = js_array();
	for (size_t i = 0; i < queue->access.names->count; i++)
		js_append_string(names, queue->access.names->items[i]);
	js_set(body, "queues", names);
	js_set_string(body, "worker", queue->access.worker);
	js_set_string(body, "poll", queue->poll);
	js_set_integer(body, "wait_seconds", wait_ms / 1000);
	js_set_integer(body, "lease_seconds", queue->queue.lease_ms / 1000);
	return js_text(body);
}

static void
receive(struct queue *base, int64_t wait_ms, queue_received *done, void *data)
{
	struct dashboard_queue *queue = (struct dashboard_queue *)base;
	free(queue->poll);
	queue->poll = random_hex(8);
	queue->received = done;
	queue->data = data;
	scoped_free char *body = receive_body(queue, wait_ms);
	queue->receiving = dashboard_poll(queue->access.client, queue->access.dashboard,
	                                  "/queue/receive", body, wait_ms, receive_ended, queue);
}

static void
stop_receiving(struct queue *base)
{
	struct dashboard_queue *queue = (struct dashboard_queue *)base;
	if (!queue->receiving)
		return;
	struct json_t *body = js_object();
	js_set_string(body, "poll", queue->poll);
	run_errand(queue, "/queue/cancel", body, NULL, NULL);
}

static void
close_queue(struct queue *base)
{
	struct dashboard_queue *queue = (struct dashboard_queue *)base;
	http_cancel(&queue->receiving);
	while (queue->errands) {
		http_cancel(&queue->errands->call);
		free_errand(queue->errands);
	}
	free(queue->poll);
	free(queue);
}

const struct queue_body queue_dashboard = {
    .type = "dashboard",
    .lease_ms = 120000,
    .open = open_queue,
    .close = close_queue,
    .receive = receive,
    .stop_receiving = stop_receiving,
    .extend = extend,
    .acknowledge = acknowledge,
    .release = release,
};
