/* What an earlier life of this worker left behind: outcomes are reported, claims go back to the
 * queue; kept ones, of which the queue knows nothing any more, stay for the intake. */
#ifndef ENGINE_RECONCILE_H
#define ENGINE_RECONCILE_H

#include "engine/services.h"

bool must_check reconcile(const struct services *services, struct failure *why);

#endif
