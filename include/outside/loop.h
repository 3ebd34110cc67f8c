/*
 * The event loop (sd-event of libsystemd), and what a service tells systemd (sd_notify).
 *
 * One loop, one thread. Callbacks note facts and return; they may drop any source, their own
 * included. Signals and children are events, not handlers: block SIGCHLD and the signals before
 * loop_signal()/loop_child() (loop_block_signals()).
 */
#ifndef OUTSIDE_LOOP_H
#define OUTSIDE_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attributes.h"
#include "base/failure.h"

struct loop;
struct loop_source;

bool must_check loop_new(struct loop **ret, struct failure *why);
void loop_free(struct loop **loop);
/* Runs until loop_stop(); false if the loop itself broke. */
bool must_check loop_run(struct loop *loop, struct failure *why);
void loop_stop(struct loop *loop);

/*
 * Sources. Each is the caller's until loop_source_drop(), and dropped before the loop is freed.
 * Making one fails only for want of kernel resources, which ends the process: hence no failure to
 * pass on.
 */
struct loop_source *loop_fd(struct loop *loop, int fd, uint32_t epoll_events,
                            void (*ready)(int fd, uint32_t epoll_events, void *data), void *data);
void loop_fd_events(struct loop_source *source, uint32_t epoll_events);
/* Off until set; fires once for each set. */
struct loop_source *loop_timer(struct loop *loop, void (*fired)(void *data), void *data);
void loop_timer_at(struct loop_source *timer, int64_t clock_ms);
void loop_timer_off(struct loop_source *timer);
struct loop_source *loop_signal(struct loop *loop, int signal, void (*came)(int signal, void *data),
                                void *data);
/* ended gets the wait status as of waitid(2): code CLD_EXITED/CLD_KILLED/CLD_DUMPED and exit status
 * or signal. Called after all that is readable was read. */
struct loop_source *loop_child(struct loop *loop, pid_t pid,
                               void (*ended)(pid_t pid, const siginfo_t *how, void *data),
                               void *data);
/* Called once after every turn in which anything happened, before the loop sleeps again. */
struct loop_source *loop_post(struct loop *loop, void (*turn)(void *data), void *data);
void loop_source_drop(struct loop_source **source);

/* Blocks SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 and ignores SIGPIPE: first thing in a
 * daemon. */
void loop_block_signals(void);

/* "READY=1", "STATUS=...", ...; nothing happens where no service manager listens (sd_notify(3)). */
void service_notify(const char *fmt, ...) printf_like(1, 2);
/* Within how many ms the service manager wants to hear "WATCHDOG=1", again and again; 0: it does
 * not (sd_watchdog_enabled(3)). */
int64_t service_watchdog(void);

#endif
