#include "outside/usage.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"

#define READ_LIMIT (1024 * 1024)
#define PATH_ROOM  4096
#define PREFIX     "command-" /* of our cgroups' names; the maker's pid follows */

/* ---- where our cgroup is ---- */

static const char *
next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

/* The rest of the first line that begins so, malloc'd; NULL if there is none. */
static char *
line_after(const char *text, const char *beginning)
{
	for (const char *line = text; *line; line = next_line(line))
		if (starts_with(line, beginning)) {
			line += strlen(beginning);
			return format("%.*s", (int)strcspn(line, "\n"), line);
		}
	return NULL;
}

/* "31 23 0:28 ROOT PLACE options - cgroup2 ..." (proc_pid_mountinfo(5)): what of the hierarchy is
 * mounted where. */
static bool
find_mount(const char *mounts, char root[PATH_ROOM], char place[PATH_ROOM])
{
	for (const char *line = mounts; *line; line = next_line(line)) {
		const char *type = strstr(line, " - cgroup2 ");
		if (type && type < next_line(line)
		    && sscanf(line, "%*d %*d %*s %4095s %4095s", root, place) == 2)
			return true;
	}
	return false;
}

/* The directory of this process's cgroup, malloc'd; NULL: no cgroup v2, or not visible from here.
 */
static char *
own_cgroup(void)
{
	scoped(text_done) struct text groups = TEXT_INIT, mounts = TEXT_INIT;
	char root[PATH_ROOM], place[PATH_ROOM];
	if (!file_read(AT_FDCWD, "/proc/self/cgroup", READ_LIMIT, &groups, NULL)
	    || !file_read(AT_FDCWD, "/proc/self/mountinfo", READ_LIMIT, &mounts, NULL))
		return NULL;
	scoped_free char *path = line_after(text_string(&groups), "0::");
	if (!path || strstr(path, "..") || !find_mount(text_string(&mounts), root, place))
		return NULL;
	const char *below = path;
	if (strcmp(root, "/") != 0) {
		if (!starts_with(path, root))
			return NULL;
		below += strlen(root);
	}
	return format("%s%s", place, strcmp(below, "/") == 0 ? "" : below);
}

/* ---- the command's cgroup ---- */

static bool
read_text(const char *directory, const char *name, struct text *text)
{
	scoped_free char *path = format("%s/%s", directory, name);
	return file_read(AT_FDCWD, path, READ_LIMIT, text, NULL);
}

/* Those of processes that were killed, one that had our own number included. */
static void
remove_old(const char *own)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(AT_FDCWD, own, &names, NULL))
		return;
	for (size_t i = 0; i < names.count; i++) {
		scoped_free char *path = format("%s/%s", own, names.items[i]);
		if (!starts_with(names.items[i], PREFIX))
			continue;
		pid_t maker = atoi(names.items[i] + strlen(PREFIX));
		if (maker == getpid() || (maker > 0 && kill(maker, 0) < 0 && errno == ESRCH))
			rmdir(path);
	}
}

static void
make_cgroup(struct usage *usage)
{
	scoped_free char *own = own_cgroup();
	if (!own)
		return;
	scoped_free char *path = format("%s/" PREFIX "%d", own, (int)getpid());
	scoped_free char *processes = format("%s/cgroup.procs", path);
	scoped_free char *peak = format("%s/memory.peak", path);
	remove_old(own);
	if (mkdir(path, 0755) < 0)
		return;
	usage->cgroup = take_pointer(&path);
	usage->joining = open(processes, O_WRONLY | O_CLOEXEC);
	usage->memory = file_exists(AT_FDCWD, peak);
}

/* false where nothing ran in it: it could not be joined. */
static bool
read_cgroup_cpu(const struct usage *usage, double *ret_seconds)
{
	scoped(text_done) struct text stat = TEXT_INIT;
	if (!usage->cgroup || !read_text(usage->cgroup, "cpu.stat", &stat))
		return false;
	scoped_free char *microseconds = line_after(text_string(&stat), "usage_usec ");
	double seconds = microseconds ? strtod(microseconds, NULL) / 1e6 : 0;
	if (seconds > 0)
		*ret_seconds = seconds;
	return seconds > 0;
}

static bool
read_cgroup_peak(const struct usage *usage, int64_t *ret_bytes)
{
	scoped(text_done) struct text peak = TEXT_INIT;
	if (!usage->memory || !read_text(usage->cgroup, "memory.peak", &peak))
		return false;
	*ret_bytes = strtoll(text_string(&peak), NULL, 10);
	return true;
}

/* ---- /proc ---- */

struct process {
	double cpu; /* seconds, reaped children included */
	int64_t rss;
};

/* stat's fields after the name, which may hold anything: 14-17 are times, 24 is resident pages
 * (proc(5)). */
static bool
read_process(pid_t pid, struct process *ret)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *path = format("/proc/%d/stat", (int)pid);
	unsigned long long user, system, child_user, child_system;
	long long pages;
	if (!file_read(AT_FDCWD, path, READ_LIMIT, &text, NULL))
		return false;
	const char *rest = strrchr(text_string(&text), ')');
	if (!rest
	    || sscanf(rest + 1,
	              " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu %*d %*d "
	              "%*d %*d %*u %*u %lld",
	              &user, &system, &child_user, &child_system, &pages)
	           != 5)
		return false;
	ret->cpu = (double)(user + system + child_user + child_system)
	           / (double)sysconf(_SC_CLK_TCK);
	ret->rss = pages * sysconf(_SC_PAGESIZE);
	return true;
}

/* Adds everything below pid. A tree deeper than this is a fork bomb, whose end its time limit is.
 */
static void
add_descendants(pid_t pid, int depth, struct process *sum)
{
	scoped(text_done) struct text list = TEXT_INIT;
	scoped_free char *path = format("/proc/%d/task/%d/children", (int)pid, (int)pid);
	if (depth > 64 || !file_read(AT_FDCWD, path, READ_LIMIT, &list, NULL))
		return;
	for (char *at = list.bytes, *end; at && *at; at = end) {
		struct process process;
		long child = strtol(at, &end, 10);
		if (end == at)
			break;
		if (read_process((pid_t)child, &process)) {
			sum->cpu += process.cpu;
			sum->rss += process.rss;
		}
		add_descendants((pid_t)child, depth + 1, sum);
	}
}

/* What the kernel adds up for children that were reaped. */
static void
read_reaped(double *ret_cpu, int64_t *ret_largest)
{
	struct rusage usage;
	getrusage(RUSAGE_CHILDREN, &usage);
	*ret_cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
	           + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	*ret_largest = usage.ru_maxrss * 1024;
}

/*
 * Reaped children miss those that were killed with the box, the samples what ended between two of
 * them: the larger of both figures is the nearer. A process that came and went between two samples
 * still shows as the largest that was reaped.
 */
static void
estimate(const struct usage *usage, double *ret_cpu, int64_t *ret_peak)
{
	double cpu;
	int64_t largest;
	read_reaped(&cpu, &largest);
	cpu -= usage->cpu_before;
	*ret_cpu = cpu > usage->cpu_sampled ? cpu : usage->cpu_sampled;
	*ret_peak = usage->peak_rss_bytes;
	if (largest > usage->largest_before && largest > *ret_peak)
		*ret_peak = largest;
}

/* ---- both ---- */

void
usage_begin(struct usage *usage)
{
	*usage = (struct usage)USAGE_INIT;
	read_reaped(&usage->cpu_before, &usage->largest_before);
	make_cgroup(usage);
}

void
usage_sample(struct usage *usage)
{
	struct process sum = {0};
	add_descendants(getpid(), 0, &sum);
	if (sum.cpu > usage->cpu_sampled)
		usage->cpu_sampled = sum.cpu;
	if (sum.rss > usage->peak_rss_bytes)
		usage->peak_rss_bytes = sum.rss;
}

void
usage_end(const struct usage *usage, double *ret_cpu_seconds, int64_t *ret_peak_rss_bytes,
          const char **ret_measured_by)
{
	estimate(usage, ret_cpu_seconds, ret_peak_rss_bytes);
	bool exact = read_cgroup_cpu(usage, ret_cpu_seconds)
	             && read_cgroup_peak(usage, ret_peak_rss_bytes);
	*ret_measured_by = exact ? "cgroup" : "proc";
}

void
usage_done(struct usage *usage)
{
	close_fd(&usage->joining);
	if (usage->cgroup)
		rmdir(usage->cgroup);
	free_pointer(&usage->cgroup);
}
