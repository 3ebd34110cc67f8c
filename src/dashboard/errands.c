#include "errands.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/text.h"
#include "outside/background.h"

struct errands {
	struct loop *loop;
	const struct store_settings *store;
	atomic_bool ending;
	struct running *running;
};

/* An errand under way. */
struct running {
	struct errands *errands;
	struct running *next, **link;
	struct request *request;
	struct errand errand;
	struct background *background;
	struct failure why; /* of the work */
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
end(void *data)
{
	struct running *running = data;
	background_drop(&running->background);
	*running->link = running->next;
	if (running->next)
		running->next->link = running->link;
	answer(running);
	running->errand.drop(running->errand.data);
	failure_done(&running->why);
	free(running);
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
	while ((*errands)->running)
		end((*errands)->running);
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
	running->background = background_start(errands->loop, work, end, running);
}
