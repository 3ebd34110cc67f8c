#include "engine/slot.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/child.h"
#include "outside/json.h"
#include "work/config.h"

#define GRACE      3000
#define SILENCE    (30 * 60 * 1000)
#define LINE_LIMIT 4096

const char *
slot_state_name(enum slot_state state)
{
	static const char *const names[] = {[SLOT_IDLE] = "idle",
	                                    [SLOT_STARTING] = "starting",
	                                    [SLOT_RUNNING] = "running",
	                                    [SLOT_STOPPING] = "stopping"};
	return names[state];
}

static void
set_state(struct slot *slot, enum slot_state state)
{
	static const bool legal[4][4] = {
	    [SLOT_IDLE] = {[SLOT_STARTING] = true},
	    [SLOT_STARTING] = {[SLOT_RUNNING] = true, [SLOT_STOPPING] = true, [SLOT_IDLE] = true},
	    [SLOT_RUNNING] = {[SLOT_STOPPING] = true, [SLOT_IDLE] = true},
	    [SLOT_STOPPING] = {[SLOT_IDLE] = true},
	};
	assert(legal[slot->state][state]);
	struct subject about = slot_subject(slot);
	log_debug(&about, "%s -> %s", slot_state_name(slot->state), slot_state_name(state));
	slot->state = state;
}

void
slot_init(struct slot *slot, struct loop *loop)
{
	*slot = (struct slot){.loop = loop, .claim = CLAIM_INIT, .pipe_fd = -1};
}

struct subject
slot_subject(const struct slot *slot)
{
	return (struct subject){.job = slot->claim.job.id, .attempt = slot->claim.job.attempt};
}

/* ---- what the runner tells ---- */

static void
take_line(struct slot *slot, const char *line, size_t length)
{
	scoped(js_drop) struct json_t *object = NULL;
	if (!js_parse(line, length, &object, NULL))
		return;
	const struct json_t *progress = js_member(object, "progress");
	const char *step = js_string(object, "step"), *unit = js_string(progress, "unit");
	slot->healed += js_true(object, "healed");
	slot->heard = clock_ms();
	slot->done = slot->total = 0;
	js_integer(progress, "done", &slot->done);
	js_integer(progress, "total", &slot->total);
	snprintf(slot->step, sizeof slot->step, "%s", step ? step : "");
	snprintf(slot->unit, sizeof slot->unit, "%s", unit ? unit : "");
	replace_string(&slot->trouble, js_string(object, "trouble"));
	if (slot->state == SLOT_STARTING)
		set_state(slot, SLOT_RUNNING);
}

static void
take_lines(struct slot *slot)
{
	char *newline;
	while (slot->line.length && (newline = memchr(slot->line.bytes, '\n', slot->line.length))) {
		size_t length = (size_t)(newline - slot->line.bytes);
		take_line(slot, slot->line.bytes, length);
		memmove(slot->line.bytes, newline + 1, slot->line.length - length - 1);
		slot->line.length -= length + 1;
	}
	/* Only a broken runner tells lines so long. */
	if (slot->line.length > LINE_LIMIT)
		text_clear(&slot->line);
}

static void
on_pipe(int fd, uint32_t events, void *data)
{
	(void)events;
	struct slot *slot = data;
	char *room = text_reserve(&slot->line, 4096);
	ssize_t got = read(fd, room, 4096);
	if (got > 0) {
		slot->line.length += (size_t)got;
		take_lines(slot);
	} else if (got == 0 || errno != EINTR) {
		loop_source_drop(&slot->pipe);
	}
}

static void
on_child(pid_t pid, const siginfo_t *how, void *data)
{
	(void)pid;
	struct slot *slot = data;
	slot->ended = true;
	slot->how = *how;
}

/* ---- starting ---- */

/* job.json in the job's directory is the runner's standard input, and what one runs it by hand with
 * later. */
static bool
open_job_file(const struct claim *claim, const char *directory, int *ret_fd, struct failure *why)
{
	scoped_free char *path = format("%s/job.json", directory);
	scoped_free char *json = job_write(&claim->job);
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_string(&text, json);
	if (!file_publish(AT_FDCWD, path, &text, 0644, why))
		return false;
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *ret_fd >= 0 || fail_errno(why, "cannot open %s", path);
}

static bool
start_runner(struct slot *slot, const struct worker_program *program, const char *directory,
             const int fds[3], struct failure *why)
{
	/* The runner is ours: it gets our environment, which may hold its keys for the store, less
	 * what is for the service itself. */
	static const char *const service_only[] = {
	    "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "LISTEN_", NULL};
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	scoped(strings_done) struct strings environment = STRINGS_INIT;
	strings_addf(&arguments, "moolloy-%s", program->name);
	strings_add(&arguments, "run-job");
	strings_add(&arguments, "--sealed-config=3");
	strings_add(&arguments, "--progress=4");
	strings_addf(&arguments, "--directory=%s", directory);
	child_inherit(service_only, &environment);
	struct child_start start = CHILD_START_INIT;
	start.program = "/proc/self/exe";
	start.arguments = &arguments;
	start.environment = &environment;
	start.input = fds[0];
	start.output = start.errors = STDERR_FILENO;
	start.keep[0] = fds[1];
	start.keep[1] = fds[2];
	start.session = true;
	start.dies_with_us = true;
	return child_start(&start, &slot->pid, why);
}

bool
slot_start(struct slot *slot, const struct worker_program *program, const void *config,
           struct claim *claim, const char *directory, struct failure *why)
{
	scoped_fd int job = -1, sealed = -1, reading = -1, writing = -1;
	int ends[2];
	if (!open_job_file(claim, directory, &job, why)
	    || !config_seal(program->settings, config, &sealed, why))
		return false;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(why, "cannot make a pipe");
	reading = ends[0];
	writing = ends[1];
	const int fds[3] = {job, sealed, writing};
	if (!start_runner(slot, program, directory, fds, why))
		return false;
	slot->claim = *claim;
	*claim = (struct claim)CLAIM_INIT;
	slot->directory = copy_string(directory);
	slot->since = wall_ms();
	slot->heard = clock_ms();
	slot->pipe_fd = take_fd(&reading);
	slot->pipe = loop_fd(slot->loop, slot->pipe_fd, EPOLLIN, on_pipe, slot);
	slot->child = loop_child(slot->loop, slot->pid, on_child, slot);
	set_state(slot, SLOT_STARTING);
	return true;
}

/* ---- ending ---- */

void
slot_stop(struct slot *slot, enum stop_reason reason)
{
	if (slot->state == SLOT_IDLE)
		return;
	if (reason > slot->reason)
		slot->reason = reason;
	if (slot->state == SLOT_STOPPING || slot->ended)
		return;
	set_state(slot, SLOT_STOPPING);
	slot->kill_at = clock_ms() + GRACE;
	kill(slot->pid, SIGTERM);
}

/* Lines that we did not come to read yet, having been asleep ourselves, say the contrary. */
static bool
is_silent(const struct slot *slot, int64_t now)
{
	int waiting = 0;
	bool awaited = slot->state == SLOT_STARTING || slot->state == SLOT_RUNNING;
	return awaited && !slot->ended && now >= slot->heard + SILENCE
	       && (ioctl(slot->pipe_fd, FIONREAD, &waiting) < 0 || waiting == 0);
}

void
slot_enforce(struct slot *slot, int64_t now)
{
	struct subject who = slot_subject(slot);
	if (is_silent(slot, now)) {
		log_error(&who, "the runner told nothing for %d minutes: stopping it",
		          SILENCE / 60000);
		slot_stop(slot, STOP_SILENT);
	}
	if (!slot->kill_at || slot->ended || now < slot->kill_at)
		return;
	log_warning(&who, "the runner did not end within %d s: killed", GRACE / 1000);
	kill(-slot->pid, SIGKILL);
	slot->kill_at = now + GRACE;
}

int64_t
slot_due(const struct slot *slot)
{
	if (slot->state == SLOT_IDLE || slot->ended)
		return -1;
	return slot->kill_at ? slot->kill_at : slot->heard + SILENCE;
}

void
slot_clear(struct slot *slot)
{
	loop_source_drop(&slot->child);
	loop_source_drop(&slot->pipe);
	close_fd(&slot->pipe_fd);
	if (slot->state != SLOT_IDLE)
		set_state(slot, SLOT_IDLE);
	claim_done(&slot->claim);
	free_pointer(&slot->directory);
	free_pointer(&slot->trouble);
	text_done(&slot->line);
	int64_t healed = slot->healed;
	slot_init(slot, slot->loop);
	slot->healed = healed;
}
