/* Where jobs come in: admission, receiving, claiming. */
#ifndef ENGINE_INTAKE_H
#define ENGINE_INTAKE_H

#include "base/backoff.h"
#include "engine/clock_watch.h"
#include "engine/membership.h"
#include "engine/services.h"
#include "engine/slot.h"

struct intake {
	const struct services *services;
	struct clock_watch *clock;
	bool receiving;               /* a long poll is under way */
	bool unready;                 /* as last seen: not registered, or a wrong clock */
	int64_t asked;                /* clock_ms() when it began */
	struct queue_message message; /* that came; body NULL: none */
	struct claim again;           /* kept, to be run again here; no job id: none */
	int64_t again_due;            /* clock_ms() of the next look for such; -1: there are none */
	struct backoff backoff;
	int64_t due;            /* clock_ms() of the next receive */
	struct failure why;     /* why no job is claimed; NONE if nothing stands against it */
	struct failure refused; /* by which the last receive failed */
	int64_t probed;         /* clock_ms() of the last look at sandbox and tools; 0: look now */
	struct failure tools;   /* what that look found missing */
	struct failure ill; /* the last job failed by what the next would fail by, too; or NONE */
	int ills;           /* so many in a row */
	int64_t rest;       /* clock_ms(): no other job is tried before, for that */
};

/* clock: hears of a queue that refuses our clock, and stands in the way until that is over. */
void intake_init(struct intake *intake, const struct services *services, struct clock_watch *clock);
void intake_done(struct intake *intake);
/* Asks the queue for a job if there is room and nothing stands against it; before that looks for
 * claims that are kept, of which the queue knows nothing any more. */
void intake_turn(struct intake *intake, const struct membership *membership,
                 const struct slot *slot, int64_t now);
/* Ends a wait that is under way; its answer still comes. */
void intake_stop(struct intake *intake);
/* What a job came to. One that failed by store, keys, network or box says that the next would, too:
 * before that is tried the worker rests. */
void intake_heed(struct intake *intake, const struct job *job, const struct failure *why);
/* The job could not even begin here: others may have it meanwhile. Rests for retry-delay, and each
 * time twice as long. */
void intake_rest(struct intake *intake, const struct job *job, const struct failure *why);
/* Looks at sandbox, tools and a clock that was refused again, and rests no more: the configuration
 * changed. */
void intake_probe_again(struct intake *intake);
/* A kept claim was renewed (work/claim.h): to be run again here, after so long. */
void intake_run_again(struct intake *intake, int64_t delay_ms);
int64_t intake_due(const struct intake *intake);

enum intake_result {
	INTAKE_NOTHING, /* no message was there, or it was dealt with */
	INTAKE_JOB,     /* *ret_claim is a job, claimed on disk: the caller starts it */
	INTAKE_BROKEN,  /* *why: it could not be claimed; it goes back by itself when its lease ends
	                 */
};
/* What became of the message that came. stopping: whatever it is, it goes back at once. */
enum intake_result intake_take(struct intake *intake, bool stopping, struct claim *ret_claim,
                               struct failure *why);

#endif
