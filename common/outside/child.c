#include "outside/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"

#define END_LIMIT 10000

/* ---- in the child, between fork and exec: system calls only ---- */

static void
reset_signals(void)
{
	sigset_t none;
	struct sigaction standard = {.sa_handler = SIG_DFL};
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &standard, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The wanted fds from 0 on, by way of numbers above them all, so that none overwrites another. */
static bool
arrange_fds(const int *wanted, int count)
{
	int above[3 + CHILD_KEPT_FDS];
	for (int i = 0; i < count; i++) {
		above[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, 32);
		if (above[i] < 0)
			return false;
	}
	for (int i = 0; i < count; i++)
		if (dup2(above[i], i) < 0)
			return false;
	return close_range((unsigned)count, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

static bool
prepare(const struct child_start *start, const int *wanted, int count, pid_t parent)
{
	reset_signals();
	if (start->session && setsid() < 0)
		return false;
	if (start->dies_with_us && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
		return false;
	if (start->directory && chdir(start->directory) < 0)
		return false;
	/* One that may not be joined stays empty, which its reader sees. */
	if (start->cgroup >= 0 && write(start->cgroup, "0", 1) < 0)
		errno = 0;
	return arrange_fds(wanted, count);
}

/* Never returns; what went wrong goes to the parent through the pipe, which a good exec closes. */
static void
become(const struct child_start *start, const int *wanted, int count, pid_t parent, int report)
{
	static char *const nothing[] = {NULL};
	int told = fcntl(report, F_DUPFD_CLOEXEC, 64);
	if (prepare(start, wanted, count, parent))
		execve(start->program, start->arguments->items,
		       start->environment->count ? start->environment->items : nothing);
	int number = errno;
	if (write(told, &number, sizeof number) < 0)
		_exit(126);
	_exit(127);
}

/* ---- in the parent ---- */

/* 0, 1, 2, then those to keep; -1 means /dev/null. Returns how many. */
static int
list_fds(const struct child_start *start, int null, int wanted[3 + CHILD_KEPT_FDS])
{
	const int standard[3] = {start->input, start->output, start->errors};
	int count = 0;
	for (; count < 3; count++)
		wanted[count] = standard[count] >= 0 ? standard[count] : null;
	for (int i = 0; i < CHILD_KEPT_FDS && start->keep[i] >= 0; i++)
		wanted[count++] = start->keep[i];
	return count;
}

/* Waits for the exec: true if it happened. */
static bool
await_exec(pid_t pid, int report, const char *program, struct failure *why)
{
	int number = 0;
	ssize_t got;
	do
		got = read(report, &number, sizeof number);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return true;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = number;
	return fail_errno(why, "cannot start %s", program);
}

bool
child_start(const struct child_start *start, pid_t *ret_pid, struct failure *why)
{
	int ends[2], wanted[3 + CHILD_KEPT_FDS];
	scoped_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(why, "cannot start %s", start->program);
	scoped_fd int reading = ends[0];
	scoped_fd int writing = ends[1];
	int count = list_fds(start, null, wanted);
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return fail_errno(why, "cannot start %s", start->program);
	if (pid == 0)
		become(start, wanted, count, parent, writing);
	close_fd(&writing);
	if (!await_exec(pid, reading, start->program, why))
		return false;
	*ret_pid = pid;
	return true;
}

void
child_inherit(const char *const *withheld, struct strings *environment)
{
	for (char **variable = environ; *variable; variable++) {
		const char *const *prefix = withheld;
		while (*prefix && !starts_with(*variable, *prefix))
			prefix++;
		if (!*prefix)
			strings_add(environment, *variable);
	}
}

void
child_become_subreaper(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void
child_hide_memory(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}

/* ---- ending what is left ---- */

/* SIGKILL to the direct children of this process; orphans among their children come to us and are
 * next. */
static void
kill_children(void)
{
	scoped(text_done) struct text list = TEXT_INIT;
	scoped_free char *path = format("/proc/self/task/%d/children", (int)getpid());
	if (!file_read(AT_FDCWD, path, 1024 * 1024, &list, NULL))
		return;
	for (char *at = list.bytes, *end; at && *at; at = end) {
		long pid = strtol(at, &end, 10);
		if (end == at)
			break;
		if (pid > 0)
			kill((pid_t)pid, SIGKILL);
	}
}

int
child_end_descendants(void)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	int64_t deadline = clock_ms() + END_LIMIT;
	int ended = 0;
	for (;;) {
		pid_t reaped = waitpid(-1, NULL, WNOHANG);
		if (reaped > 0) {
			ended++;
			continue;
		}
		/* Without a child there is no descendant either. */
		if (reaped < 0 || clock_ms() >= deadline)
			return ended;
		kill_children();
		nanosleep(&nap, NULL);
	}
}
