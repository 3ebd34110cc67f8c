/*
 * A command run to its end, boxed, with limits and with its output in files.
 *
 * What the command does (its exit status, a time limit it ran into) is a result; failure means that
 * it could not be run at all. When command_run() returns, no process it started is left,
 * double-forked and setsid ones included: it makes this process a subreaper and ends *every*
 * descendant of it.
 */
#ifndef OUTSIDE_COMMAND_H
#define OUTSIDE_COMMAND_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "base/tick.h"
#include "outside/box.h"

struct command {
	const struct strings
	    *arguments; /* argv; [0] is looked up on the environment's PATH inside the box */
	const struct strings *environment; /* all of it; bwrap adds PWD */
	const char *directory;             /* absolute, where it starts */
	const struct box *box;             /* never NULL: nothing runs unboxed */
	int output;                        /* fd that gets standard output */
	int errors;                        /* fd that gets standard error; may be the same fd */
	int64_t output_limit;  /* bytes for each of the two; the rest is read and dropped, a line
	                          says so. 0: none */
	int64_t timeout;       /* ms of wall time; 0: none */
	int64_t quiet_timeout; /* ms without any output; 0: none */
	const struct tick
	    *tick; /* asked every 100 ms (done = bytes of output so far); false ends the command */
};

enum command_end {
	COMMAND_EXITED,    /* by itself: `status` */
	COMMAND_TIMED_OUT, /* ended by us after timeout */
	COMMAND_QUIET,     /* ended by us after quiet_timeout */
	COMMAND_STOPPED,   /* ended by us because the tick said so */
};

struct command_result {
	enum command_end end;
	int status; /* exit status; 128 + signal for a signal; 127 where there is no such program
	               (the errors say so); 255 where we ended it */
	double wall_seconds;
	double cpu_seconds;      /* user + system of the whole process tree, ended ones included */
	int64_t peak_rss_bytes;  /* of the whole tree together */
	const char *measured_by; /* "cgroup" where one is delegated to us, else "proc": sampled over
	                            the descendants */
	int64_t output_bytes;    /* what it wrote, dropped bytes included */
	bool truncated;          /* output_limit was reached */
};

/*
 * The environment of a boxed command, appended: PATH, HOME and TMPDIR in the private /tmp, LANG,
 * then `more`: NAME=VALUE, or NAME for what this process has under it. Nothing else of ours goes
 * in.
 */
void command_environment(const struct strings *more, struct strings *environment);

/* FAILURE_SANDBOX: the box could not be started. FAILURE_DISK_FULL, FAILURE_SYSTEM: its output
 * could not be written. */
bool must_check command_run(const struct command *command, struct command_result *ret_result,
                            struct failure *why);
/* The last 64 KiB of what went into a command's output file, which can be read, as the failure's
 * details. */
void command_evidence(int output, struct failure *why);

#endif
