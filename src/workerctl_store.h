/* workerctl's verb "store": objects in and out of the store that a configuration names. */
#ifndef WORKERCTL_STORE_H
#define WORKERCTL_STORE_H

#include "base/attributes.h"
#include "base/failure.h"

struct store_call {
	const char *config; /* file; NULL: CONFIG_COMMON if it is there */
	bool replace;
	const char *verb, *key, *file; /* as given; NULL: not */
};

/* SIGINT and SIGTERM end it, what it began included: FAILURE_CANCELLED. */
bool must_check store_call(const struct store_call *call, struct failure *why);

#endif
