/*
 * A claim: a job's message, on disk before anything is done about it, until its report (or its
 * return) lies in the outbox. What a crash leaves behind, the next start finds:
 * <state>/claims/<id>-<attempt>.json.
 */
#ifndef WORK_CLAIM_H
#define WORK_CLAIM_H

#include "base/attributes.h"
#include "base/failure.h"
#include "remote/queue.h"
#include "work/job.h"

struct claim {
	struct job job;
	struct queue_message message;
	bool kept; /* the queue has the message no more: this is the only copy */
};
#define CLAIM_INIT                                                                                 \
	{                                                                                          \
		.job = JOB_INIT, .message = QUEUE_MESSAGE_INIT                                     \
	}

void claim_done(struct claim *claim);
/* Durably. */
bool must_check claim_write(const char *state_directory, const struct claim *claim,
                            struct failure *why);
bool must_check claim_remove(const char *state_directory, const struct claim *claim,
                             struct failure *why);
/* Names of the claims there, appended; what a crash left half written is removed. */
bool must_check claim_list(const char *state_directory, struct strings *names, struct failure *why);
bool must_check claim_read(const char *state_directory, const char *name, struct claim *ret_claim,
                           struct failure *why);
/* A kept claim goes on as that of the next attempt; untried: this one does not count. *claim is as
 * it was. */
bool must_check claim_renew(const char *state_directory, const struct claim *claim, bool untried,
                            struct failure *why);
/* Is the next attempt's claim there? Then this one was renewed, and not yet removed. */
bool claim_was_renewed(const char *state_directory, const struct claim *claim);
/* A claim that cannot be read goes to <state>/parked, so that it is seen and stops nothing. */
bool must_check claim_park(const char *state_directory, const char *name, struct failure *why);

#endif
