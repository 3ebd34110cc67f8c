/* Repositories behind ssh. */
#ifndef OUTSIDE_GIT_SSH_H
#define OUTSIDE_GIT_SSH_H

#include "git_command.h"

extern const struct git_command git_ssh;

#endif
