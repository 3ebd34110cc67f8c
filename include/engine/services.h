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
	struct loop *loop;
	struct http_client *http;
	struct credentials *credentials; /* for SQS */
	struct dashboard_access dashboard;
	struct queue *queue;
	struct outbox *outbox;
};

#endif
