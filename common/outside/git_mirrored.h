/* What the fetch under way can say of the mirror it fetches into. */
#ifndef OUTSIDE_GIT_MIRRORED_H
#define OUTSIDE_GIT_MIRRORED_H

#include "git_wire.h"

/* Of git_state.repository and git_state.remote. */
extern const struct git_known git_mirrored;

#endif
