/*
 * What handlers want of the store. It may be far away and slow, and the loop must not wait: the
 * request waits, while a thread of its own does the work with a store of its own. A few go on at a
 * time, the others wait for their turn.
 */
#ifndef DASHBOARD_ERRANDS_H
#define DASHBOARD_ERRANDS_H

#include <stdbool.h>

#include "base/failure.h"
#include "base/tick.h"
#include "outside/loop.h"
#include "remote/store.h"
#include "server.h"

struct errands;
struct errands *errands_new(struct loop *loop, const struct store_settings *store);
/* Those under way are stopped; their requests are answered as failed. */
void errands_free(struct errands **errands);

struct errand {
	/* On the thread, with data and request->file only; ends soon once the tick says so. */
	bool (*work)(struct store *store, void *data, const struct tick *tick, struct failure *why);
	/* On the loop: answers the request. Not called if the work failed: the failure is answered.
	 */
	void (*done)(struct request *request, void *data);
	void (*drop)(void *data); /* frees it, whatever became of it */
	void *data;
};
/* In a handler, instead of answering. errand is copied. */
void errands_run(struct errands *errands, struct request *request, const struct errand *errand);

#endif
