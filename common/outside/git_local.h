/* Repositories on this machine. */
#ifndef OUTSIDE_GIT_LOCAL_H
#define OUTSIDE_GIT_LOCAL_H

#include "git_command.h"

extern const struct git_command git_local;

#endif
