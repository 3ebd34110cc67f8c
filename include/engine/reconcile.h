/* What an earlier life of this worker left behind: outcomes are reported, claims go back to the
 * queue. */
#ifndef ENGINE_RECONCILE_H
#define ENGINE_RECONCILE_H

#include "engine/services.h"

bool must_check reconcile(const struct services *services, struct failure *why);

#endif
