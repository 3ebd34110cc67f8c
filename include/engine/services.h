/* What all duties of a manager work with; made once at the start, borrowed by each. */
#ifndef ENGINE_SERVICES_H
#define ENGINE_SERVICES_H

#include "engine/program.h"
#include "outside/http.h"
#include "outside/loop.h"
#include "remote/credentials.h"
#include "remote/dashboard.h"
#include "remote/queue.h"
#include "work/outbox.h"
#include "work/worker_config.h"

struct services {
	const struct worker_program *program;
	const struct worker_config *config; /* current; begins the program's whole configuration */
	const char *name;                   /* as registered */
	int state;                          /* fd: the state directory is ours (engine/state.h) */
	struct loop *loop;
	struct http_client *http;
	struct credentials *credentials; /* for SQS */
	struct dashboard_access dashboard;
	struct queue *queue;
	struct outbox *outbox;
};

/* program, config and name are set, and borrowed; state is -1. FAILURE_EXISTS: another worker has
 * the state directory. On failure the caller closes what there is. */
bool must_check services_open(struct services *services, struct failure *why);
/* The configuration has other values now: log level, dashboard, keys. */
void services_apply(struct services *services);
/* First queue, keys and HTTP, so that no answer comes any more; then, once nobody needs them, the
 * outbox and the loop. */
void services_hang_up(struct services *services);
void services_close(struct services *services);

#endif
