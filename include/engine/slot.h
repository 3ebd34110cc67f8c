/*
 * The place where one job runs: its claim, its runner (a process of its own), and what the runner
 * tells.
 *
 *	IDLE
 *	STARTING   its runner was started
 *	RUNNING    it told its first step
 *	STOPPING   we want it to end; then IDLE again
 *
 * Events only note facts here (`ended`, the current step); the manager's turn acts on them.
 */
#ifndef ENGINE_SLOT_H
#define ENGINE_SLOT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/failure.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/program.h"
#include "outside/loop.h"
#include "work/claim.h"

enum slot_state { SLOT_IDLE, SLOT_STARTING, SLOT_RUNNING, SLOT_STOPPING };
const char *slot_state_name(enum slot_state state); /* "idle", ... */

/* Why we want the runner to end; a later one wins if it is further down. */
enum stop_reason { STOP_NONE, STOP_SILENT, STOP_HANDBACK, STOP_CANCEL, STOP_LEASE_LOST };

struct slot {
	struct loop *loop;
	enum slot_state state;
	struct claim claim; /* of the job; valid unless IDLE */
	char *directory;    /* the job's */
	int64_t since;      /* wall ms: when it began */
	pid_t pid;
	struct loop_source *child, *pipe;
	int pipe_fd;      /* progress, from the runner */
	struct text line; /* what came of the next line */
	enum stop_reason reason;
	int64_t heard;           /* clock_ms() of its last line */
	int64_t kill_at;         /* clock_ms(): SIGKILL then; 0: not asked to stop */
	bool ended;              /* the runner is gone: */
	siginfo_t how;           /* and this is how */
	char step[32], unit[64]; /* as told */
	int64_t done, total;
	char *trouble;  /* what the step waits for to pass; NULL: none */
	int64_t healed; /* since the start: mirrors, templates and jars that were damaged */
};

void slot_init(struct slot *slot, struct loop *loop);
/*
 * Starts the program itself as `run-job` for the claim, which is taken over, in the directory.
 * config: the program's, handed over sealed. On failure the claim stays the caller's.
 */
bool must_check slot_start(struct slot *slot, const struct worker_program *program,
                           const void *config, struct claim *claim, const char *directory,
                           struct failure *why);
/* Asks the runner to end (SIGTERM); slot_enforce() insists. Nothing happens when idle. */
void slot_stop(struct slot *slot, enum stop_reason reason);
/* A runner that told nothing for 30 minutes hangs, for it tells at least once a minute, and is
 * asked to end. Past its grace (3 s) the runner and its session get SIGKILL. */
void slot_enforce(struct slot *slot, int64_t now);
/* When slot_enforce() has something to do: clock_ms() or -1. */
int64_t slot_due(const struct slot *slot);
/* The runner ended and was dealt with: idle again. */
void slot_clear(struct slot *slot);
/* What log lines about the job begin with. */
struct subject slot_subject(const struct slot *slot);

#endif
