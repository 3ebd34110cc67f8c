#include "errands.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/text.h"
#include "outside/background.h"

/* Each takes a thread, connections, memory for the parts of what it stores, and room in /var/tmp
 * for what it fetches; and anybody may ask. */
#define AT_ONCE 8

struct errands {
	struct loop *loop;
	const struct store_settings *store;
	atomic_bool ending;
	struct running *running; /* and waiting, the last that came first */
	int under_way;
};

/* An errand. */
struct running {
	struct errands *errands;
	struct running *next, **link;
	struct request *request;
	struct errand errand;
	struct background *background; /* NULL: it waits for its turn */
	struct failure why;            /* of the work */
};

static bool
go_on(void *data, int64_t done, int64_t total)
{
	struct errands *errands = data;
	(void)done;
	(void)total;
	return !atomic_load(&errands->ending);
}

static void
work(void *data)
{
	struct running *running = data;
	struct store *store = NULL;
	const struct tick tick = {.tell = go_on, .data = running->errands};
	if (store_open(running->errands->store, &store, &running->why)
	    && !running->errand.work(store, running->errand.data, &tick, &running->why)
	    && running->why.code == FAILURE_NONE)
		fail(&running->why, FAILURE_INTERNAL, "the store failed without a word");
	store_close(&store);
}

static void
answer(struct running *running)
{
	if (running->why.code == FAILURE_NONE)
		running->errand.done(running->request, running->errand.data);
	else
		request_answer_failure(running->request, &running->why);
}

static void
free_running(struct running *running)
{
	*running->link = running->next;
	if (running->next)
		running->next->link = running->link;
	answer(running);
	running->errand.drop(running->errand.data);
	failure_done(&running->why);
	free(running);
}

static void begin_next(struct errands *errands);

static void
end(void *data)
{
	struct running *running = data;
	struct errands *errands = running->errands;
	background_drop(&running->background);
	errands->under_way--;
	free_running(running);
	begin_next(errands);
}

static struct running *
longest_waiting(const struct errands *errands)
{
	struct running *found = NULL;
	for (struct running *at = errands->running; at; at = at->next)
		if (!at->background)
			found = at;
	return found;
}

static void
begin_next(struct errands *errands)
{
	struct running *next = longest_waiting(errands);
	if (!next || errands->under_way == AT_ONCE || atomic_load(&errands->ending))
		return;
	errands->under_way++;
	next->background = background_start(errands->loop, work, end, next);
}

struct errands *
errands_new(struct loop *loop, const struct store_settings *store)
{
	struct errands *errands = allocate(sizeof *errands);
	errands->loop = loop;
	errands->store = store;
	return errands;
}

void
errands_free(struct errands **errands)
{
	if (!*errands)
		return;
	atomic_store(&(*errands)->ending, true);
	for (struct running *running; (running = (*errands)->running);) {
		if (running->background) {
			end(running);
			continue;
		}
		fail(&running->why, FAILURE_SERVER, "the dashboard stops");
		free_running(running);
	}
	free_pointer(errands);
}

void
errands_run(struct errands *errands, struct request *request, const struct errand *errand)
{
	struct running *running = allocate(sizeof *running);
	*running = (struct running){.errands = errands,
	                            .next = errands->running,
	                            .link = &errands->running,
	                            .request = request,
	                            .errand = *errand};
	if (running->next)
		running->next->link = &running->next;
	errands->running = running;
	request_wait(request);
	begin_next(errands);
}
