/*
 * What a process tree uses: CPU time and peak memory, of everything that a command started.
 *
 *	usage_begin(&usage);
 *	start.cgroup = usage.joining;      the command begins in the cgroup, where there is one
 *	usage_sample(&usage);              every 100 ms or so while it runs
 *	usage_end(&usage, &cpu, &peak, &measured_by);
 *	usage_done(&usage);
 *
 * From a cgroup (v2) of its own where one is delegated to us: its cpu.stat, and its memory.peak
 * (which counts its files in the page cache too) if the memory controller is delegated. Else from
 * /proc, sampled over our descendants, and from what the kernel adds up for reaped children.
 */
#ifndef OUTSIDE_USAGE_H
#define OUTSIDE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
	char *cgroup; /* path of ours for the command; NULL: none is delegated */
	int joining;  /* its cgroup.procs; -1: none */
	bool memory;  /* it counts memory, too */

	double cpu_before;      /* seconds of reaped children before the command */
	int64_t largest_before; /* bytes, of the largest reaped child before it */
	double cpu_sampled;     /* seconds, the most that was seen */
	int64_t peak_rss_bytes; /* the most that was seen at once */
};
#define USAGE_INIT                                                                                 \
	{                                                                                          \
		.joining = -1                                                                      \
	}

void usage_begin(struct usage *usage);
void usage_sample(struct usage *usage);
/* After all of it was reaped. *ret_measured_by: "cgroup" if both figures came from there, else
 * "proc". */
void usage_end(const struct usage *usage, double *ret_cpu_seconds, int64_t *ret_peak_rss_bytes,
               const char **ret_measured_by);
/* Removes the cgroup. */
void usage_done(struct usage *usage);

#endif
