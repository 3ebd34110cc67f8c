#include "outside/command.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/units.h"
#include "outside/child.h"
#include "outside/json.h"
#include "outside/usage.h"

#define SLICE    100 /* ms between two looks at tick, limits and memory */
#define BLOCKS   64  /* read from one output before the others, and the limits, have their turn */
#define EVIDENCE (64 * 1024)

/* One of the command's outputs on its way into a file. */
struct stream {
	int from; /* our end of the pipe; -1: closed */
	int to;
	int64_t limit;
	int64_t came;   /* bytes, dropped ones included */
	char head[512]; /* the first of them, a string: what bwrap says if it cannot begin */
	bool truncated;
};

/* A command while it runs. */
struct running {
	const struct command *command;
	struct stream streams[2]; /* output, errors; the second unused if both go to one file */
	int streams_used;
	int status_fd; /* where bwrap tells of its child, as JSON lines */
	struct text status;
	pid_t pid; /* of bwrap */
	int pidfd; /* readable when it ended */
	int exit;  /* bwrap's wait status */
	struct usage usage;
	int64_t began, last_output; /* clock_ms() */
	int64_t began_us;           /* clock_us() */
	enum command_end end;
};

static void
running_done(struct running *running)
{
	for (int i = 0; i < 2; i++)
		close_fd(&running->streams[i].from);
	close_fd(&running->status_fd);
	close_fd(&running->pidfd);
	text_done(&running->status);
	usage_done(&running->usage);
}

void
command_environment(const struct strings *more, struct strings *environment)
{
	strings_add(environment, "PATH=/usr/bin:/bin:/usr/sbin:/sbin");
	strings_add(environment, "HOME=/tmp");
	strings_add(environment, "TMPDIR=/tmp");
	strings_add(environment, "LANG=C.UTF-8");
	for (size_t i = 0; i < more->count; i++) {
		const char *item = more->items[i];
		const char *ours = strchr(item, '=') ? NULL : getenv(item);
		if (ours)
			strings_addf(environment, "%s=%s", item, ours);
		else if (strchr(item, '='))
			strings_add(environment, item);
	}
}

/* ---- output ---- */

static bool
note_truncation(struct stream *stream, struct failure *why)
{
	scoped_free char *limit = size_format(stream->limit);
	scoped_free char *line = format("\n... output limit of %s reached; the rest was dropped\n",
	                                limit);
	stream->truncated = true;
	return write_all(stream->to, line, strlen(line), why);
}

static void
keep_head(struct stream *stream, const char *bytes, size_t length)
{
	size_t kept = strlen(stream->head), room = sizeof stream->head - 1 - kept;
	memcpy(stream->head + kept, bytes, length < room ? length : room);
}

static bool
pass_on(struct stream *stream, const char *bytes, size_t length, struct failure *why)
{
	int64_t room = stream->limit ? stream->limit - stream->came : INT64_MAX;
	size_t kept = room <= 0 ? 0 : (int64_t)length < room ? length : (size_t)room;
	keep_head(stream, bytes, length);
	stream->came += (int64_t)length;
	if (kept && !write_all(stream->to, bytes, kept, why))
		return false;
	return kept == length || stream->truncated || note_truncation(stream, why);
}

/* Reads what is there now, but not for ever from one that is always full. */
static bool
drain(struct running *running, struct stream *stream, struct failure *why)
{
	char block[65536];
	for (int i = 0; i < BLOCKS; i++) {
		ssize_t got = read(stream->from, block, sizeof block);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got == 0 || errno != EAGAIN)
				close_fd(&stream->from);
			return true;
		}
		running->last_output = clock_ms();
		if (!pass_on(stream, block, (size_t)got, why))
			return fail_within(why, "output of %s",
			                   running->command->arguments->items[0]);
	}
	return true;
}

static bool
drain_all(struct running *running, struct failure *why)
{
	for (int i = 0; i < running->streams_used; i++)
		if (running->streams[i].from >= 0 && !drain(running, &running->streams[i], why))
			return false;
	return true;
}

static void
drain_status(struct running *running)
{
	char block[1024];
	ssize_t got = 1;
	while (running->status_fd >= 0 && got > 0) {
		got = read(running->status_fd, block, sizeof block);
		if (got > 0)
			text_add(&running->status, block, (size_t)got);
		else if (got == 0)
			close_fd(&running->status_fd);
	}
}

/* ---- starting ---- */

static bool
open_stream(struct stream *stream, int to, int64_t limit, int *ret_writing, struct failure *why)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(why, "cannot make a pipe");
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*stream = (struct stream){.from = ends[0], .to = to, .limit = limit};
	*ret_writing = ends[1];
	return true;
}

static bool
open_streams(struct running *running, int writing[3], struct failure *why)
{
	const struct command *command = running->command;
	bool one = command->output == command->errors;
	struct stream status = {.from = -1};
	running->streams_used = one ? 1 : 2;
	if (!open_stream(&running->streams[0], command->output, command->output_limit, &writing[0],
	                 why)
	    || (!one
	        && !open_stream(&running->streams[1], command->errors, command->output_limit,
	                        &writing[1], why))
	    || !open_stream(&status, -1, 0, &writing[2], why))
		return false;
	running->status_fd = status.from;
	return true;
}

static void
boxed_arguments(const struct command *command, struct strings *arguments)
{
	scoped(strings_done) struct strings box = STRINGS_INIT;
	box_arguments(command->box, &box);
	/* Our own options go before the "--" that ends the box's. */
	for (size_t i = 0; i + 1 < box.count; i++)
		strings_add(arguments, box.items[i]);
	strings_add(arguments, "--chdir");
	strings_add(arguments, command->directory);
	strings_add(arguments, "--json-status-fd");
	strings_add(arguments, "3");
	strings_add(arguments, "--");
	strings_add_all(arguments, command->arguments);
}

static bool
start(struct running *running, const int writing[3], struct failure *why)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	struct child_start child = CHILD_START_INIT;
	struct failure inner = FAILURE_INIT;
	boxed_arguments(running->command, &arguments);
	child.program = BOX_PROGRAM;
	child.arguments = &arguments;
	child.environment = running->command->environment;
	child.output = writing[0];
	child.errors = running->streams_used == 1 ? writing[0] : writing[1];
	child.keep[0] = writing[2];
	child.session = true; /* a terminal's ^C is for us, not for the box */
	child.dies_with_us = true;
	usage_begin(&running->usage);
	child.cgroup = running->usage.joining;
	running->began = running->last_output = clock_ms();
	running->began_us = clock_us();
	if (!child_start(&child, &running->pid, &inner))
		return fail(why, FAILURE_SANDBOX, "%s (is bubblewrap installed?)", inner.message);
	running->pidfd = pidfd_open(running->pid, 0);
	return running->pidfd >= 0 || fail_errno(why, "cannot watch the box");
}

static bool
open_and_start(struct running *running, struct failure *why)
{
	int writing[3] = {-1, -1, -1};
	bool started = open_streams(running, writing, why) && start(running, writing, why);
	for (int i = 0; i < 3; i++)
		close_fd(&writing[i]);
	return started;
}

/* ---- running ---- */

static void
wait_for_something(struct running *running)
{
	struct pollfd fds[4] = {{.fd = running->pidfd, .events = POLLIN}};
	nfds_t count = 1;
	for (int i = 0; i < running->streams_used; i++)
		if (running->streams[i].from >= 0)
			fds[count++] = (struct pollfd){.fd = running->streams[i].from,
			                               .events = POLLIN};
	if (running->status_fd >= 0)
		fds[count++] = (struct pollfd){.fd = running->status_fd, .events = POLLIN};
	poll(fds, count, SLICE);
}

/* Why the command must be ended now; COMMAND_EXITED: it need not. */
static enum command_end
limit_reached(const struct running *running, int64_t now)
{
	const struct command *command = running->command;
	if (!tick_tell(command->tick, running->streams[0].came + running->streams[1].came, 0))
		return COMMAND_STOPPED;
	if (command->timeout && now - running->began >= command->timeout)
		return COMMAND_TIMED_OUT;
	if (command->quiet_timeout && now - running->last_output >= command->quiet_timeout)
		return COMMAND_QUIET;
	return COMMAND_EXITED;
}

/* The box is gone once bwrap is: it and all that is in it die together. */
static bool
watch(struct running *running, struct failure *why)
{
	int64_t looked = 0;
	for (;;) {
		pid_t reaped = waitpid(running->pid, &running->exit, WNOHANG);
		if (reaped == running->pid)
			return true;
		wait_for_something(running);
		drain_status(running);
		if (!drain_all(running, why)) {
			kill(running->pid, SIGKILL);
			return false;
		}
		int64_t now = clock_ms();
		if (now - looked < SLICE)
			continue;
		looked = now;
		usage_sample(&running->usage);
		if (running->end == COMMAND_EXITED)
			running->end = limit_reached(running, now);
		if (running->end != COMMAND_EXITED)
			kill(running->pid, SIGKILL);
	}
}

/* ---- the end ---- */

/* bwrap tells {"child-pid":N} once the box stands, {"exit-code":N} when the command ended; not the
 * latter if the command never began. */
static bool
read_status(const struct running *running, int *ret_status)
{
	const char *code = strstr(text_string(&running->status), "\"exit-code\"");
	const char *colon = code ? strchr(code, ':') : NULL;
	if (colon)
		*ret_status = atoi(colon + 1);
	return colon != NULL;
}

static bool
fail_sandbox(const struct running *running, const char *said, struct failure *why)
{
	scoped(text_done) struct text line = TEXT_INIT;
	const char *name = running->command->arguments->items[0];
	if (WIFSIGNALED(running->exit))
		return fail(why, FAILURE_SYSTEM, "the box of %s was killed by signal %d", name,
		            WTERMSIG(running->exit));
	text_add_printable(&line, said, strcspn(said, "\n"), false);
	return fail(why, FAILURE_SANDBOX, "the box of %s could not be made: %s", name,
	            text_string(&line));
}

/* How the command ended, or 127 if there is no such program: bwrap, which then is the only one who
 * wrote, says so in the output. */
static bool
find_status(const struct running *running, int *ret_status, struct failure *why)
{
	const char *said = running->streams[running->streams_used - 1].head;
	if (read_status(running, ret_status))
		return true;
	if (WIFSIGNALED(running->exit) || !starts_with(said, "bwrap: execvp "))
		return fail_sandbox(running, said, why);
	*ret_status = 127;
	return true;
}

static bool
conclude(struct running *running, struct command_result *ret, struct failure *why)
{
	struct command_result result = {.end = running->end, .status = 255};
	result.wall_seconds = (double)(clock_us() - running->began_us) / 1e6;
	child_end_descendants();
	drain_status(running);
	usage_end(&running->usage, &result.cpu_seconds, &result.peak_rss_bytes,
	          &result.measured_by);
	if (!drain_all(running, why))
		return false;
	if (running->end == COMMAND_EXITED && !find_status(running, &result.status, why))
		return false;
	for (int i = 0; i < running->streams_used; i++) {
		result.output_bytes += running->streams[i].came;
		result.truncated = result.truncated || running->streams[i].truncated;
	}
	*ret = result;
	return true;
}

bool
command_run(const struct command *command, struct command_result *ret_result, struct failure *why)
{
	scoped(running_done) struct running running = {.command = command,
	                                               .streams = {{.from = -1}, {.from = -1}},
	                                               .status_fd = -1,
	                                               .pidfd = -1,
	                                               .usage = USAGE_INIT};
	child_become_subreaper();
	if (!open_and_start(&running, why))
		return false;
	if (!watch(&running, why)) {
		child_end_descendants();
		return false;
	}
	return conclude(&running, ret_result, why);
}

void
command_evidence(int output, struct failure *why)
{
	char block[EVIDENCE];
	struct stat about;
	if (fstat(output, &about) < 0)
		return;
	off_t from = about.st_size > EVIDENCE ? about.st_size - EVIDENCE : 0;
	ssize_t got = pread(output, block, sizeof block, from);
	if (got > 0)
		failure_set_details(why, block, (size_t)got);
}
