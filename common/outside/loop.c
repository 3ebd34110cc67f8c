#include "outside/loop.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "base/text.h"

struct loop {
	sd_event *event;
};

struct loop_source {
	sd_event_source *source;
	void *data;
	union {
		void (*ready)(int fd, uint32_t events, void *data);
		void (*fired)(void *data);
		void (*came)(int signal, void *data);
		void (*ended)(pid_t pid, const siginfo_t *how, void *data);
	};
};

bool
loop_new(struct loop **ret, struct failure *why)
{
	sd_event *event = NULL;
	int result = sd_event_new(&event);
	if (result < 0)
		return fail(why, FAILURE_SYSTEM, "cannot make an event loop: %s",
		            strerror(-result));
	struct loop *loop = allocate(sizeof *loop);
	loop->event = event;
	*ret = loop;
	return true;
}

void
loop_free(struct loop **loop)
{
	if (*loop)
		sd_event_unref((*loop)->event);
	free_pointer(loop);
}

bool
loop_run(struct loop *loop, struct failure *why)
{
	int result = sd_event_loop(loop->event);
	if (result < 0)
		return fail(why, FAILURE_SYSTEM, "the event loop broke: %s", strerror(-result));
	return true;
}

void
loop_stop(struct loop *loop)
{
	sd_event_exit(loop->event, 0);
}

/* A source that cannot be made leaves a daemon that would never wake: end it. */
static struct loop_source *
made(struct loop_source *source, int result)
{
	if (result < 0)
		abort();
	return source;
}

static struct loop_source *
new_source(void *data)
{
	struct loop_source *source = allocate(sizeof *source);
	source->data = data;
	return source;
}

static int
on_fd(sd_event_source *event, int fd, uint32_t events, void *data)
{
	(void)event;
	struct loop_source *source = data;
	source->ready(fd, events, source->data);
	return 0;
}

struct loop_source *
loop_fd(struct loop *loop, int fd, uint32_t epoll_events,
        void (*ready)(int fd, uint32_t epoll_events, void *data), void *data)
{
	struct loop_source *source = new_source(data);
	source->ready = ready;
	return made(source,
	            sd_event_add_io(loop->event, &source->source, fd, epoll_events, on_fd, source));
}

void
loop_fd_events(struct loop_source *source, uint32_t epoll_events)
{
	sd_event_source_set_io_events(source->source, epoll_events);
}

static int
on_timer(sd_event_source *event, uint64_t when, void *data)
{
	(void)event;
	(void)when;
	struct loop_source *source = data;
	source->fired(source->data);
	return 0;
}

struct loop_source *
loop_timer(struct loop *loop, void (*fired)(void *data), void *data)
{
	struct loop_source *source = new_source(data);
	source->fired = fired;
	/* An accuracy of 1 ms: sd-event's own choice of 250 ms would delay retries for no gain
	 * here. */
	int result = sd_event_add_time(loop->event, &source->source, CLOCK_MONOTONIC, UINT64_MAX,
	                               1000, on_timer, source);
	made(source, result);
	loop_timer_off(source);
	return source;
}

void
loop_timer_at(struct loop_source *timer, int64_t when_ms)
{
	uint64_t us = when_ms < 0 ? 0 : (uint64_t)when_ms * 1000;
	sd_event_source_set_time(timer->source, us);
	sd_event_source_set_enabled(timer->source, SD_EVENT_ONESHOT);
}

void
loop_timer_off(struct loop_source *timer)
{
	sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
}

static int
on_signal(sd_event_source *event, const struct signalfd_siginfo *about, void *data)
{
	(void)event;
	struct loop_source *source = data;
	source->came((int)about->ssi_signo, source->data);
	return 0;
}

struct loop_source *
loop_signal(struct loop *loop, int signal, void (*came)(int signal, void *data), void *data)
{
	struct loop_source *source = new_source(data);
	source->came = came;
	return made(source,
	            sd_event_add_signal(loop->event, &source->source, signal, on_signal, source));
}

static int
on_child(sd_event_source *event, const siginfo_t *how, void *data)
{
	(void)event;
	struct loop_source *source = data;
	source->ended(how->si_pid, how, source->data);
	return 0;
}

struct loop_source *
loop_child(struct loop *loop, pid_t pid, void (*ended)(pid_t pid, const siginfo_t *how, void *data),
           void *data)
{
	struct loop_source *source = new_source(data);
	source->ended = ended;
	made(source,
	     sd_event_add_child(loop->event, &source->source, pid, WEXITED, on_child, source));
	/* After pipes, so that no last word is lost. */
	sd_event_source_set_priority(source->source, SD_EVENT_PRIORITY_NORMAL + 10);
	return source;
}

static int
on_post(sd_event_source *event, void *data)
{
	(void)event;
	struct loop_source *source = data;
	source->fired(source->data);
	return 0;
}

struct loop_source *
loop_post(struct loop *loop, void (*turn)(void *data), void *data)
{
	struct loop_source *source = new_source(data);
	source->fired = turn;
	return made(source, sd_event_add_post(loop->event, &source->source, on_post, source));
}

void
loop_source_drop(struct loop_source **source)
{
	if (*source)
		sd_event_source_disable_unref((*source)->source);
	free_pointer(source);
}

void
loop_block_signals(void)
{
	static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		sigaddset(&set, wanted[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void
service_notify(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	scoped_free char *state = formatv(fmt, args);
	va_end(args);
	sd_notify(0, state);
}

int64_t
service_watchdog(void)
{
	uint64_t us = 0;
	return sd_watchdog_enabled(0, &us) > 0 ? (int64_t)(us / 1000) : 0;
}
