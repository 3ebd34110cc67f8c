/*
 * The steps of a job, as the runner goes through them: `&&` is the order and the error path (see
 * build_job.c).
 *
 *	static bool
 *	step(struct build_job *job, const char *name, bool (*work)(struct build_job *))
 *	{
 *		return steps_begin(&job->steps, name, &job->why)
 *		    && steps_end(&job->steps, work(job), &job->why);
 *	}
 *
 * steps_begin() refuses if the job was cancelled (SIGTERM), tells the manager and the log;
 * steps_end() stamps the step on a failure, times it, logs it.
 */
#ifndef WORK_STEPS_H
#define WORK_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/tick.h"
#include "work/disk.h"

struct json_t;

struct steps {
	struct subject about; /* job, attempt, current step */
	int progress_fd;  /* JSON lines to the manager; -1: a person's terminal listens to the log
	                     instead */
	int64_t began;    /* clock_ms() of the current step */
	const char *unit; /* of the current tick: "bytes", "files", "objects, 3 MiB of x" */
	int64_t told,
	    logged; /* clock_ms() of the last progress line, and of the last one in the log */
	int64_t last_done; /* what the last progress line of the current tick said */
	char *trouble;     /* what the step waits for to pass, as its failure would say; or NULL */
	int64_t troubled;  /* clock_ms() when that began */
	struct json_t *timings; /* seconds a step */
	struct disk_watch disk; /* what the job may take of it; without a directory: not watched */
	struct failure full;    /* what the watch stopped the step for */
};
#define STEPS_INIT                                                                                 \
	{                                                                                          \
		.progress_fd = -1                                                                  \
	}

bool must_check steps_begin(struct steps *steps, const char *name, struct failure *why);
/* worked: what the step's function returned. Returns it. */
bool must_check steps_end(struct steps *steps, bool worked, struct failure *why);
/* For the long work of the current step: tells progress at most every 500 ms (log: every 10 s),
 * returns false once the job is cancelled or takes too much of the disk, which the step's failure
 * then says. Valid until the next step. unit: borrowed, at most 63 bytes; it may change. */
struct tick steps_tick(struct steps *steps, const char *unit);
/* Is the disk not too full for the job, now? For steps whose failure is a result. */
bool must_check steps_have_room(const struct steps *steps, struct failure *why);
/* Something of the workers' own was damaged, and is made anew: the manager counts these. */
void steps_healed(const struct steps *steps);
void steps_done(struct steps *steps);

/* SIGTERM and SIGINT mean: cancelled. The first thing a runner does. */
void steps_catch_signals(void);
bool steps_cancelled(void);

#endif
