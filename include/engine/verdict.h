/* How a runner ended becomes the job's outcome: the one place where that is decided. */
#ifndef ENGINE_VERDICT_H
#define ENGINE_VERDICT_H

#include <signal.h>
#include <stdbool.h>

#include "engine/slot.h"
#include "work/outcome.h"

/*
 * told: what the runner left in outcome.json, or NULL; may be changed in place. how: of the dead
 * runner; NULL after a crash of the manager, when nobody saw it end. *ret_outcome is the caller's.
 *
 *	last word    how it ended                 outcome
 *	any, none    after the lease was lost     lease-lost: the job is another worker's
 *	success      in any other way             success, also if we had just asked it to stop
 *	other, none  after we stopped it          runner-lost, handed-back or cancelled
 *	failure      in any other way             that failure, as told
 *	none         a signal that was not ours   runner-lost
 *	none         exit 75                      runner-lost: it could not write its outcome
 *	none         exit n                       internal
 */
void verdict_reach(const struct outcome *told, enum stop_reason reason, const siginfo_t *how,
                   struct outcome *ret_outcome);

#endif
