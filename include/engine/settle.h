/*
 * From an outcome to letters in the outbox: what is reported, what goes back to the queue.
 * Everything is on disk when it returns, the claim last of all removed; a crash in between is made
 * good by the next start.
 */
#ifndef ENGINE_SETTLE_H
#define ENGINE_SETTLE_H

#include "engine/services.h"
#include "work/claim.h"

/* How a job was settled, for the counters. */
enum settled { SETTLED_SUCCEEDED, SETTLED_FAILED, SETTLED_HANDED_BACK, SETTLED_LOST };

/* The job begins: the dashboard is to hear of it. */
bool must_check settle_start(const struct services *services, const struct claim *claim,
                             struct failure *why);
/*
 * The job ended so. directory: the job's, removed after a success, kept otherwise. A retryable
 * failure goes back to the queue until max-attempts; one that is the clock's counts as no attempt.
 */
bool must_check settle_outcome(const struct services *services, const struct claim *claim,
                               const struct outcome *outcome, const char *directory,
                               enum settled *ret_settled, struct failure *why);
/* The message cannot be done (why_not): reported as failed where the job's id could be read, parked
 * otherwise; off the queue. */
bool must_check settle_bad_message(const struct services *services, const struct claim *claim,
                                   const struct failure *why_not, struct failure *why);
/* Is the job to be tried once more after this try was lost? Tries that count: deliveries less those
 * that were given back untried. */
bool settle_may_try_again(const struct services *services, const struct claim *claim);
/* A message that was not taken goes back to the queue, visible after delay_ms; the job it names
 * may be another that we know of. */
bool must_check settle_refuse(const struct services *services, const struct claim *claim,
                              int64_t delay_ms, struct failure *why);
/* A claimed job goes back, visible after delay_ms; handback: not tried. A kept claim stays here, as
 * that of the next attempt. */
bool must_check settle_release(const struct services *services, const struct claim *claim,
                               int64_t delay_ms, bool handback, struct failure *why);

#endif
