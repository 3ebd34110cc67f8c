/*
 * Which handler serves which path, and under which conditions. To add a route: write a handler
 * (site.h) in a file of its own idea, and give it a row in routes.c.
 */
#ifndef DASHBOARD_ROUTES_H
#define DASHBOARD_ROUTES_H

#include "server.h"
#include "site.h"

/* The server's site: routes_arrived and routes_complete, with data = site. */
void routes_arrived(struct request *request, void *site);
void routes_complete(struct request *request, void *site);

#endif
