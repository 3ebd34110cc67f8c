/*
 * Amazon SQS, or what speaks like it.
 *
 * A round is one queue_receive(): a quick look through all queues in the order of their priority,
 * then long polls on all of them in parallel, so that their waits do not add up. A queue that does
 * not answer in time holds up neither. Answers only note what came; act(), once a turn, does what
 * follows.
 *
 * SQS cannot be told to end a wait. A poll that is under way when a round ends goes on, is part of
 * the next round, and what comes of it while nobody waits is given back at once. When the worker
 * stops, polls get a moment for answers that are on their way and are then dropped, since to await
 * them would take up to 20 s. A message whose answer was lost comes back by itself, and soon: it is
 * received with a short visibility, made the whole lease only when it was claimed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "outside/json.h"
#include "remote/queue_body.h"
#include "remote/sqs.h"
#include "sqs_message.h"

#define HOUR         (3600 * 1000)
#define UNCLAIMED    30000       /* how long a message is hidden before it was claimed */
#define LONGEST_WAIT 20000       /* that SQS knows */
#define LONGEST_HIDE (12 * HOUR) /* from its receipt on: SQS's limit */
#define BRIEF        1000        /* no wait is shorter */
#define PATIENCE     2000        /* beyond the wait, before the others go on without an answer */
#define MOMENT       300         /* for answers that are on their way when we stop */

struct sqs_queue;

/* One of the queues. */
struct source {
	struct sqs_queue *queue;
	char *name;                   /* as configured: name or URL */
	char *url;                    /* NULL: not known yet */
	struct sqs_call *call;        /* under way, or NULL */
	bool looked;                  /* a quick look found nothing, or is not needed */
	int64_t due;                  /* clock_ms(): when it may be asked next */
	int64_t asked, wait;          /* of the call: clock_ms() when it began, ms of its wait */
	struct failure why;           /* by which it ended in this round; NONE: it did not fail */
	struct backoff backoff;       /* of failures */
	struct queue_message message; /* that came; body NULL: none */
};

struct sqs_queue {
	struct queue queue;
	struct sqs *sqs;
	struct source *sources; /* in order of priority */
	size_t count;
	struct loop_source *turn; /* calls act() */
	queue_received *received; /* who waits; NULL: nobody */
	void *data;
	int64_t until;   /* clock_ms(): end of the round */
	int64_t stop_at; /* clock_ms(): end of the moment; 0: not told to stop */
	bool calm;       /* the last round found nothing anywhere */
};

static void act(void *data);

static void
act_soon(struct sqs_queue *queue)
{
	loop_timer_at(queue->turn, clock_ms());
}

/* ---- opening and closing ---- */

static struct queue *
open_queue(const struct queue_access *access)
{
	struct sqs_queue *queue = allocate(sizeof *queue);
	scoped_free char *usual = aws_endpoint("sqs", access->region);
	const struct sqs_access way = {.client = access->client,
	                               .credentials = access->credentials,
	                               .endpoint = access->endpoint ? access->endpoint : usual,
	                               .region = access->region,
	                               .ca_file = access->ca_file};
	queue->sqs = sqs_open(&way);
	queue->queue.server = copy_string(way.endpoint);
	queue->turn = loop_timer(access->loop, act, queue);
	queue->count = access->names->count;
	/* A wait each, two errands, and the dashboard's. */
	http_client_keep(access->client, queue->count + 3);
	queue->sources = allocate(queue->count * sizeof *queue->sources);
	for (size_t i = 0; i < queue->count; i++) {
		const char *name = access->names->items[i];
		queue->sources[i] = (struct source){
		    .queue = queue, .name = copy_string(name), .backoff = BACKOFF_INIT};
		if (strstr(name, "://"))
			queue->sources[i].url = copy_string(name);
	}
	return &queue->queue;
}

static void
close_queue(struct queue *base)
{
	struct sqs_queue *queue = (struct sqs_queue *)base;
	sqs_close(&queue->sqs);
	loop_source_drop(&queue->turn);
	for (size_t i = 0; i < queue->count; i++) {
		queue_message_done(&queue->sources[i].message);
		failure_done(&queue->sources[i].why);
		free(queue->sources[i].name);
		free(queue->sources[i].url);
	}
	free(queue->sources);
	free(queue);
}

/* ---- errands about a message ---- */

struct errand {
	const char *action;
	const char *receipt; /* names the queue too: "URL HANDLE" */
	int64_t hidden;      /* seconds from now; -1: not a matter of that */
	sqs_done *ended;
	queue_done *done; /* or NULL */
	void *data;
};

static bool
run_errand(struct sqs_queue *queue, const struct errand *errand, struct failure *why)
{
	const char *space = strchr(errand->receipt, ' ');
	if (!space)
		return fail(why, FAILURE_REJECTED, "'%.100s' is no receipt of SQS",
		            errand->receipt);
	scoped_free char *url = format("%.*s", (int)(space - errand->receipt), errand->receipt);
	struct json_t *body = js_object();
	js_set_string(body, "QueueUrl", url);
	js_set_string(body, "ReceiptHandle", space + 1);
	if (errand->hidden >= 0)
		js_set_integer(body, "VisibilityTimeout", errand->hidden);
	const struct sqs_task task = {.action = errand->action,
	                              .about = url,
	                              .body = body,
	                              .done = errand->ended,
	                              .then = errand->done,
	                              .then_data = errand->data};
	sqs_start(queue->sqs, &task);
	return true;
}

static void
run_or_tell(struct queue *queue, const struct errand *errand)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (!run_errand((struct sqs_queue *)queue, errand, &why))
		errand->done(errand->data, &why);
}

static void
extended(const struct sqs_task *task, const struct json_t *body, const struct failure *why)
{
	(void)body;
	task->then(task->then_data, why);
}

/* That the message is not ours any more is as good. */
static void
parted(const struct sqs_task *task, const struct json_t *body, const struct failure *why)
{
	bool lost = why && why->code == FAILURE_LEASE_LOST;
	extended(task, body, lost ? NULL : why);
}

static void
extend(struct queue *queue, const char *receipt, queue_done *done, void *data)
{
	run_or_tell(queue, &(struct errand){.action = "ChangeMessageVisibility",
	                                    .receipt = receipt,
	                                    .hidden = queue->lease_ms / 1000,
	                                    .ended = extended,
	                                    .done = done,
	                                    .data = data});
}

static void
acknowledge(struct queue *queue, const char *receipt, queue_done *done, void *data)
{
	run_or_tell(queue, &(struct errand){.action = "DeleteMessage",
	                                    .receipt = receipt,
	                                    .hidden = -1,
	                                    .ended = parted,
	                                    .done = done,
	                                    .data = data});
}

/* SQS does not count what was given back. A delay that would pass its limit would be refused. */
static void
release(struct queue *queue, const char *receipt, int64_t delay_ms, bool handback, queue_done *done,
        void *data)
{
	(void)handback;
	int64_t most = LONGEST_HIDE - queue->hide_limit_ms;
	int64_t delay = delay_ms < most ? delay_ms : most;
	run_or_tell(queue, &(struct errand){.action = "ChangeMessageVisibility",
	                                    .receipt = receipt,
	                                    .hidden = (delay + 999) / 1000,
	                                    .ended = parted,
	                                    .done = done,
	                                    .data = data});
}

static void
ignore(const struct sqs_task *task, const struct json_t *body, const struct failure *why)
{
	(void)task;
	(void)body;
	(void)why; /* it comes back by itself, only later */
}

/* What came though nobody waited, or something better came too. */
static void
give_back(struct sqs_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++) {
		struct queue_message *message = &queue->sources[i].message;
		const struct errand errand = {.action = "ChangeMessageVisibility",
		                              .receipt = message->receipt,
		                              .ended = ignore};
		if (message->body && !run_errand(queue, &errand, NULL))
			abort();
		queue_message_done(message);
	}
}

/* ---- answers note what came ---- */

/* Others may do better: this one is asked again, more and more rarely. */
static void
failed(struct source *source, const struct failure *why)
{
	failure_copy(&source->why, why);
	source->looked = true;
	source->due = clock_ms() + backoff_next(&source->backoff);
	/* A queue that was made anew may have another address. */
	if (why->code == FAILURE_NOT_FOUND && !strstr(source->name, "://"))
		free_pointer(&source->url);
}

static void
worked(struct source *source)
{
	failure_clear(&source->why);
	backoff_reset(&source->backoff);
}

static void
url_came(const struct sqs_task *task, const struct json_t *body, const struct failure *why)
{
	struct source *source = task->data;
	scoped(failure_done) struct failure bad = FAILURE_INIT;
	const char *url = js_string(body, "QueueUrl");
	source->call = NULL;
	if (!why && (!url || strchr(url, ' '))) {
		fail(&bad, FAILURE_BAD_ANSWER, "queue %s: the answer holds no address",
		     source->name);
		why = &bad;
	}
	if (why)
		failed(source, why);
	else
		source->url = copy_string(url);
	act_soon(source->queue);
}

/* A long poll is repeated until the round ends, unless it did not wait. */
static void
nothing_came(struct source *source)
{
	int64_t now = clock_ms();
	bool waited = now - source->asked >= source->wait / 2;
	if (source->looked)
		source->due = waited ? now : source->queue->until;
	source->looked = true;
}

static void
message_came(const struct sqs_task *task, const struct json_t *body, const struct failure *why)
{
	struct source *source = task->data;
	scoped(failure_done) struct failure bad = FAILURE_INIT;
	const struct json_t *message = js_item(js_member(body, "Messages"), 0);
	source->call = NULL;
	const struct sqs_sender sender = {.name = source->name, .url = source->url};
	if (!why && message && !sqs_message_read(message, &sender, &source->message, &bad))
		why = &bad;
	if (why)
		failed(source, why);
	else
		worked(source);
	if (!why && !message)
		nothing_came(source);
	act_soon(source->queue);
}

/* ---- asking ---- */

static void
ask_for_url(struct source *source)
{
	struct json_t *body = js_object();
	js_set_string(body, "QueueName", source->name);
	source->call = sqs_start(source->queue->sqs, &(struct sqs_task){.action = "GetQueueUrl",
	                                                                .about = source->name,
	                                                                .body = body,
	                                                                .done = url_came,
	                                                                .data = source});
}

static void
ask_for_message(struct source *source, int64_t wait)
{
	struct json_t *attributes = js_array();
	struct json_t *body = js_object();
	js_append_string(attributes, "ApproximateReceiveCount");
	js_set_string(body, "QueueUrl", source->url);
	js_set_integer(body, "MaxNumberOfMessages", 1);
	js_set_integer(body, "WaitTimeSeconds", wait / 1000);
	js_set_integer(body, "VisibilityTimeout", queue_unclaimed_ms(&source->queue->queue) / 1000);
	js_set(body, "AttributeNames", attributes);
	source->call = sqs_start(source->queue->sqs, &(struct sqs_task){.action = "ReceiveMessage",
	                                                                .about = source->name,
	                                                                .body = body,
	                                                                .wait_ms = wait,
	                                                                .done = message_came,
	                                                                .data = source});
}

static void
ask(struct source *source, int64_t wait)
{
	source->asked = clock_ms();
	source->wait = source->url ? wait : 0;
	if (source->url)
		ask_for_message(source, wait);
	else
		ask_for_url(source);
}

/* When a call that is under way is late: it is left to itself then. */
static int64_t
late_at(const struct source *source)
{
	return source->asked + source->wait + PATIENCE;
}

static bool
is_late(const struct source *source)
{
	return source->call && clock_ms() >= late_at(source);
}

/* The first queue that nobody has looked into, if the round is still at that. */
static struct source *
to_look_into(struct sqs_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		if (!queue->sources[i].looked && !is_late(&queue->sources[i]))
			return &queue->sources[i];
	return NULL;
}

/* Is it too late in the round to ask this one again? A call that is late does not hold the round.
 */
static bool
is_over(const struct source *source)
{
	if (source->call)
		return is_late(source) && clock_ms() >= source->queue->until;
	return source->due + BRIEF > source->queue->until;
}

/* The rest of the round, in whole seconds. */
static int64_t
wait_of(const struct source *source, int64_t now)
{
	int64_t rest = (source->queue->until - now + BRIEF / 2) / BRIEF * BRIEF;
	if (rest < 0)
		return 0;
	return rest < LONGEST_WAIT ? rest : LONGEST_WAIT;
}

static void
ask_on(struct sqs_queue *queue)
{
	struct source *look = to_look_into(queue);
	int64_t now = clock_ms();
	if (look && !look->call)
		ask(look, 0);
	for (size_t i = 0; i < queue->count && !look; i++) {
		struct source *source = &queue->sources[i];
		if (!source->call && !is_over(source) && now >= source->due)
			ask(source, wait_of(source, now));
	}
}

/* ---- rounds ---- */

static bool
is_asking(const struct sqs_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		if (queue->sources[i].call)
			return true;
	return false;
}

/* Will nobody be asked any more? */
static bool
is_done(const struct sqs_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		if (!is_over(&queue->sources[i]))
			return false;
	return true;
}

/* The failure to tell of: where all failed, or one so that nothing but a person helps; or at the
 * end of the round of any. NULL: none. */
static const struct failure *
what_failed(const struct sqs_queue *queue)
{
	const struct failure *first = NULL;
	size_t failures = 0;
	for (size_t i = 0; i < queue->count; i++) {
		const struct failure *why = &queue->sources[i].why;
		if (why->code == FAILURE_NONE)
			continue;
		if (!why->retryable)
			return why;
		first = first ? first : why;
		failures++;
	}
	return failures == queue->count || is_done(queue) ? first : NULL;
}

/* Tells who waits what the round brought: a message, a failure, or nothing. */
static void
end_round(struct sqs_queue *queue, struct queue_message *message, const struct failure *bad)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	queue_received *received = queue->received;
	if (bad)
		failure_copy(&why, bad);
	queue->received = NULL;
	queue->stop_at = 0;
	queue->calm = !message && !bad;
	received(queue->data, message, bad ? &why : NULL);
}

/* Told to stop: once nothing is under way any more, or the moment is over. */
static void
stop_round(struct sqs_queue *queue)
{
	if (is_asking(queue) && clock_ms() < queue->stop_at) {
		loop_timer_at(queue->turn, queue->stop_at);
		return;
	}
	for (size_t i = 0; i < queue->count; i++)
		sqs_cancel(&queue->sources[i].call);
	end_round(queue, NULL, NULL);
}

/* When something changes though no answer came: whoever failed is asked again, what is late is
 * waited for no longer. */
static int64_t
next_of(const struct source *source)
{
	if (source->call)
		return is_late(source) ? source->queue->until : late_at(source);
	return source->due;
}

static void
wake_for_next(struct sqs_queue *queue)
{
	int64_t due = INT64_MAX, now = clock_ms();
	for (size_t i = 0; i < queue->count; i++) {
		const struct source *source = &queue->sources[i];
		int64_t next = next_of(source);
		if (!is_over(source) && next > now && next < due)
			due = next;
	}
	if (due < INT64_MAX)
		loop_timer_at(queue->turn, due);
}

static struct queue_message *
first_message(const struct sqs_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		if (queue->sources[i].message.body)
			return &queue->sources[i].message;
	return NULL;
}

static void
ask_and_wait(struct sqs_queue *queue)
{
	if (!what_failed(queue))
		ask_on(queue);
	const struct failure *why = what_failed(queue);
	if (why || is_done(queue))
		end_round(queue, NULL, why);
	else
		wake_for_next(queue);
}

static void
go_on(struct sqs_queue *queue)
{
	struct queue_message *message = first_message(queue);
	if (message)
		end_round(queue, message, NULL);
	else if (queue->stop_at)
		stop_round(queue);
	else
		ask_and_wait(queue);
}

static void
act(void *data)
{
	struct sqs_queue *queue = data;
	if (queue->received)
		go_on(queue);
	give_back(queue);
}

static void
receive(struct queue *base, int64_t wait_ms, queue_received *done, void *data)
{
	struct sqs_queue *queue = (struct sqs_queue *)base;
	queue->received = done;
	queue->data = data;
	queue->until = clock_ms() + wait_ms;
	/* Where nothing was, or somebody waits already, a look finds nothing; and with a single
	 * queue there is no order to keep. */
	for (size_t i = 0; i < queue->count; i++) {
		struct source *source = &queue->sources[i];
		source->looked = queue->calm || queue->count == 1 || source->call;
		source->due = 0;
		failure_clear(&source->why);
	}
	act_soon(queue);
}

static void
stop_receiving(struct queue *base)
{
	struct sqs_queue *queue = (struct sqs_queue *)base;
	if (!queue->received)
		return;
	queue->stop_at = clock_ms() + MOMENT;
	act_soon(queue);
}

const struct queue_body queue_sqs = {
    .type = "sqs",
    .lease_ms = HOUR,
    .unclaimed_ms = UNCLAIMED,
    .hide_limit_ms = 11 * HOUR + HOUR / 2,
    .open = open_queue,
    .close = close_queue,
    .receive = receive,
    .stop_receiving = stop_receiving,
    .extend = extend,
    .acknowledge = acknowledge,
    .release = release,
};
