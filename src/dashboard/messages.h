/*
 * The queue: jobs as messages that are given out under a lease. A message that is given out is
 * hidden until its lease ends, is finished with when it is acknowledged or its job is finished, and
 * visible again when it is released or its lease has run out. Its receipt stays good for as long as
 * no later attempt began, also after the lease: extending it then takes it up again.
 */
#ifndef DASHBOARD_MESSAGES_H
#define DASHBOARD_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "database.h"

struct message {
	int64_t job_id;
	char *secret; /* the message's id, which the job's finish must bring */
	char *receipt;
	char *queue;
	char *body; /* YAML, as of the existing dashboard */
	int64_t attempt, handbacks;
};
#define MESSAGE_INIT                                                                               \
	{                                                                                          \
	}
void message_done(struct message *message);

struct message_wish {
	const struct strings *queues; /* in order of priority */
	const char *worker;           /* or NULL */
	int64_t lease_ms;
};

bool messages_is_queue(const char *name);
/* Gives out the oldest visible message of the first queue that has one. *ret_found false: none
 * has. */
bool must_check messages_receive(struct database *db, const struct message_wish *wish,
                                 struct message *ret, bool *ret_found, struct failure *why);
/* FAILURE_CONFLICT: the lease is gone. */
bool must_check messages_extend(struct database *db, const char *receipt, int64_t lease_ms,
                                struct failure *why);
/* A receipt that is good no more changes nothing; neither here nor in release. */
bool must_check messages_acknowledge(struct database *db, const char *receipt, struct failure *why);
struct message_release {
	const char *receipt;
	int64_t delay_ms; /* until it is visible again */
	bool handback;    /* it was not tried */
};
bool must_check messages_release(struct database *db, const struct message_release *release,
                                 struct failure *why);
/* Moves the times at which messages become visible by so many ms. */
bool must_check messages_move(struct database *db, int64_t ms, struct failure *why);
/* Is any message visible, and when will the next one be (ms since 1970; INT64_MAX: not known of
 * any)? */
bool must_check messages_outlook(struct database *db, bool *ret_any, int64_t *ret_next,
                                 struct failure *why);

#endif
