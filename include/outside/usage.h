/*
 * What a process tree uses: CPU time and peak memory, of everything that a command started.
 *
 * From a cgroup (v2) where one is delegated to us: usage_begin() makes it, the command is put into
 * it, and its cpu.stat and memory.peak are exact. Else from /proc, sampled over our descendants,
 * and from what the kernel adds up for reaped children (exact for CPU, since command_run() reaps
 * them all).
 */
#ifndef OUTSIDE_USAGE_H
#define OUTSIDE_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
	char *cgroup;           /* path of ours for the command; NULL: none is delegated */
	double cpu_before;      /* seconds of reaped children before the command */
	double cpu_sampled;     /* seconds, the most that was seen */
	int64_t peak_rss_bytes; /* the most that was seen at once */
};

void usage_begin(struct usage *usage);
/* The command runs as this process: into the cgroup with it. */
void usage_adopt(struct usage *usage, pid_t pid);
/* Looks at the descendants of this process; every 100 ms or so while the command runs. */
void usage_sample(struct usage *usage);
/* After all of it was reaped. *ret_measured_by: "cgroup" if both figures came from there, else
 * "proc". */
void usage_end(struct usage *usage, double *ret_cpu_seconds, int64_t *ret_peak_rss_bytes,
               const char **ret_measured_by);

#endif
