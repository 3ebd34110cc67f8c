/* What handlers often answer. */
#ifndef DASHBOARD_ANSWERS_H
#define DASHBOARD_ANSWERS_H

#include <stdbool.h>

#include "base/failure.h"
#include "server.h"

/* 200 "OK" if it is good, else request_answer_failure(). */
void request_answer_result(struct request *request, bool good, const struct failure *why);
/* 303 to the path on this host (302 for a client of HTTP/1.0). */
void request_answer_see(struct request *request, const char *path);

#endif
