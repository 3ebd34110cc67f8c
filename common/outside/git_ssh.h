/* The git protocol through /usr/bin/ssh, as a subtransport for git_transport_smart(). */
#ifndef OUTSIDE_GIT_SSH_H
#define OUTSIDE_GIT_SSH_H

#include <git2.h>
#include <git2/sys/transport.h>

/* Notes failures in git_state.why and returns -1. */
int git_ssh_subtransport(git_smart_subtransport **out, git_transport *owner, void *param);

#endif
