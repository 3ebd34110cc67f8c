/* What a request asks for by its address: a piece of a list, one commit. */
#ifndef DASHBOARD_QUERY_H
#define DASHBOARD_QUERY_H

#include "lists.h"
#include "server.h"

/* ?limit= (1 to 1000, else 100) and ?before=. */
struct page query_page(struct request *request);
/* The commit of the path's id, or of its SHA: one row or none. */
struct rows *query_commit(struct request *request, struct database *db);

#endif
