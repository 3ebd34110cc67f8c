/*
 * Room on the worker's disk: what a job may take, and a reserve for the last words about it.
 *
 * The reserve is a file, <state>/reserve, that holds nothing. It is made while there is room and
 * given up when there is none, so that outcome and report can still be written.
 */
#ifndef WORK_DISK_H
#define WORK_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"

/* What a job's directory, and the cache it fills as well, are watched for. */
struct disk_watch {
	const char *directory; /* NULL: nothing is watched */
	const char *cache;     /* or NULL; not there yet it is not looked at */
	int64_t job_bytes;     /* the job's directory may hold; 0: whatever fits */
	int64_t free_bytes;    /* that must stay free for each of them */
	int64_t looked,
	    measured; /* clock_ms() of the last looks at the disk and at the directory */
};
/* Looks, if it is time to. FAILURE_DISK_FULL. */
bool must_check disk_look(struct disk_watch *watch, struct failure *why);
/* Looks at the disks in any case. */
bool must_check disk_look_now(const struct disk_watch *watch, struct failure *why);

/* Makes the reserve if it is not there, or not whole; without room for it there is none. */
void disk_make_reserve(const char *state_directory);
/* why: of a write that failed. Was it for want of room, and is there some now? Then try again. */
bool disk_gave_up_reserve(const char *state_directory, const struct failure *why);

#endif
