#include "outside/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"

#define READ_LIMIT 65536

/* ---- cgroup ---- */

static bool
read_text(const char *directory, const char *name, struct text *text)
{
	scoped_free char *path = format("%s/%s", directory, name);
	return file_read(AT_FDCWD, path, READ_LIMIT, text, NULL);
}

static bool
write_text(const char *directory, const char *name, const char *text)
{
	scoped_free char *path = format("%s/%s", directory, name);
	scoped_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The rest of the first line that begins so, malloc'd; NULL if there is none. */
static char *
line_after(const char *text, const char *beginning)
{
	for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
		if (starts_with(at, beginning)) {
			at += strlen(beginning);
			return format("%.*s", (int)strcspn(at, "\n"), at);
		}
	return NULL;
}

/* Where the unified hierarchy is mounted: alone, or beside the old ones. */
static const char *
cgroup_mount(void)
{
	static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		scoped_free char *file = format("%s/cgroup.procs", places[i]);
		if (file_exists(AT_FDCWD, file))
			return places[i];
	}
	return NULL;
}

/* Our own cgroup, if it was delegated to this service: systemd marks it (user.delegate,
 * systemd.exec(5) Delegate=), others own it. */
static char *
own_cgroup(void)
{
	scoped(text_done) struct text text = TEXT_INIT;
	const char *mount = cgroup_mount();
	if (!mount || !file_read(AT_FDCWD, "/proc/self/cgroup", READ_LIMIT, &text, NULL))
		return NULL;
	scoped_free char *path = line_after(text_string(&text), "0::");
	return path ? format("%s%s", mount, strings_equal(path, "/") ? "" : path) : NULL;
}

static void
make_cgroup(struct usage *usage)
{
	scoped_free char *own = own_cgroup();
	if (!own)
		return;
	scoped_free char *path = format("%s/command-%d", own, (int)getpid());
	scoped_free char *peak = format("%s/memory.peak", path);
	if (mkdir(path, 0755) < 0)
		return;
	/* Without the memory controller half of it would have to be sampled all the same. */
	if (file_exists(AT_FDCWD, peak))
		usage->cgroup = take_pointer(&path);
	else
		rmdir(path);
}

static bool
read_cgroup(const struct usage *usage, double *ret_cpu, int64_t *ret_peak)
{
	scoped(text_done) struct text stat = TEXT_INIT, peak = TEXT_INIT;
	if (!read_text(usage->cgroup, "cpu.stat", &stat)
	    || !read_text(usage->cgroup, "memory.peak", &peak))
		return false;
	scoped_free char *microseconds = line_after(text_string(&stat), "usage_usec ");
	if (!microseconds)
		return false;
	*ret_cpu = strtod(microseconds, NULL) / 1e6;
	*ret_peak = strtoll(text_string(&peak), NULL, 10);
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

static double
reaped_cpu(void)
{
	struct rusage usage;
	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
	       + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- both ---- */

void
usage_begin(struct usage *usage)
{
	*usage = (struct usage){.cpu_before = reaped_cpu()};
	make_cgroup(usage);
}

void
usage_adopt(struct usage *usage, pid_t pid)
{
	scoped_free char *text = format("%d", (int)pid);
	if (!usage->cgroup || write_text(usage->cgroup, "cgroup.procs", text))
		return;
	rmdir(usage->cgroup);
	free_pointer(&usage->cgroup);
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
usage_end(struct usage *usage, double *ret_cpu_seconds, int64_t *ret_peak_rss_bytes,
          const char **ret_measured_by)
{
	double reaped = reaped_cpu() - usage->cpu_before;
	bool exact = usage->cgroup && read_cgroup(usage, ret_cpu_seconds, ret_peak_rss_bytes);
	if (!exact) {
		*ret_cpu_seconds = reaped > usage->cpu_sampled ? reaped : usage->cpu_sampled;
		*ret_peak_rss_bytes = usage->peak_rss_bytes;
	}
	*ret_measured_by = exact ? "cgroup" : "proc";
	if (usage->cgroup)
		rmdir(usage->cgroup);
	free_pointer(&usage->cgroup);
}
