/* What every handler may use: the dashboard's parts, made in main.c. */
#ifndef DASHBOARD_SITE_H
#define DASHBOARD_SITE_H

#include "answers.h"
#include "config.h"
#include "database.h"
#include "errands.h"
#include "server.h"
#include "waits.h"

struct site {
	const struct dashboard_config *config;
	struct database *db;
	struct errands *errands; /* to the store: jars, models, results */
	struct waits *waits;
};

/*
 * A handler answers the request, once, with request_answer() or one of its friends. It is called
 * when the whole body is there; the route has checked the password where one is needed.
 */
typedef void handler(struct request *request, struct site *site);

#endif
