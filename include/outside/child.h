/*
 * Starting programs (fork + exec), and ending what they started.
 *
 * child_start() for a program that runs beside us (the manager's runner); command_run()
 * (outside/command.h) for one that is waited for.
 */
#ifndef OUTSIDE_CHILD_H
#define OUTSIDE_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"

#define CHILD_KEPT_FDS 4

struct child_start {
	const char *program;               /* absolute path; no search */
	const struct strings *arguments;   /* argv, [0] included */
	const struct strings *environment; /* all of it: nothing is inherited */
	const char *directory;             /* to start in; NULL: ours */
	int input, output, errors;         /* fds for 0, 1, 2; -1: /dev/null */
	int keep[CHILD_KEPT_FDS]; /* fds to appear as 3, 4, ... in the child; -1 ends the list */
	int cgroup;               /* fd of a cgroup.procs: joined before the program begins, where
	                             that is allowed; -1: stays in ours */
	bool session;             /* its own session and process group */
	bool dies_with_us;        /* SIGKILL when this process ends (prctl PR_SET_PDEATHSIG) */
};
#define CHILD_START_INIT                                                                           \
	{                                                                                          \
		.input = -1, .output = -1, .errors = -1, .keep = {-1, -1, -1, -1}, .cgroup = -1    \
	}

/* Starts it with all signals at their defaults and none blocked, every other fd closed. A program
 * that cannot be executed is a failure here. */
bool must_check child_start(const struct child_start *start, pid_t *ret_pid, struct failure *why);

/* Appends our own environment to *environment, but for what begins with one of the texts of the
 * list, which ends with NULL: "LISTEN_". */
void child_inherit(const char *const *withheld, struct strings *environment);

/* This process adopts its descendants' orphans (PR_SET_CHILD_SUBREAPER). */
void child_become_subreaper(void);
/* No core dump, no ptrace, no /proc/PID/environ or mem for others of this user (PR_SET_DUMPABLE 0):
 * first statement of main. */
void child_hide_memory(void);
/*
 * SIGKILL to every descendant of this process, a subreaper, until none is left (at most 10 s):
 * double-forked and setsid ones included, for orphans become our children. Reaps them. Returns how
 * many there were.
 */
int child_end_descendants(void);

#endif
