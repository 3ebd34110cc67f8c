/*
 * What tests of the manager's duties share: a dashboard that answers as scripted, services over it
 * and over a real outbox in the test's directory, and turns as the manager takes them.
 *
 *	struct office office;
 *	office_open(&office, script, count);     in a test of unit_test_in_directory()
 *	office_run(&office, each_turn, data);    until office_stop()
 *	... look at office.server.requests ...
 *	office_close(&office);
 */
#ifndef UNIT_OFFICE_H
#define UNIT_OFFICE_H

#include <signal.h>
#include <sys/wait.h>

#include "engine/slot.h"
#include "outside/child.h"
#include "scripted.h"
#include "unit_letters.h"

#define ANSWER(STATUS) "HTTP/1.1 " STATUS "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

/* One turn of a duty; when it wants the next: clock_ms(), or -1 when something happens. */
typedef int64_t office_turn(void *data);

struct office {
	struct desk desk;
	struct server server;
	struct site site;
	struct strings names;
	struct slot slot;
	struct loop_source *post, *wake;
	office_turn *turn;
	void *data;
};

/* lease_ms: of the queue; 0: its own. */
static inline void
office_open(struct office *office, const struct scripted *script, size_t count, int64_t lease_ms)
{
	*office = (struct office){0};
	server_start(&office->server, script, count);
	desk_open(&office->desk);
	site_open(&office->site);
	struct services *services = &office->site.services;
	services->dashboard.url = office->server.url;
	services->http = office->desk.client;
	services->loop = office->desk.loop;
	strings_add(&office->names, "ci");
	struct queue_access access = {.loop = services->loop,
	                              .client = services->http,
	                              .dashboard = &services->dashboard,
	                              .names = &office->names,
	                              .worker = "host/1",
	                              .lease_ms = lease_ms};
	assert_true(queue_open("dashboard", &access, &services->queue, NULL));
	slot_init(&office->slot, office->desk.loop);
}

static inline void
office_wake(void *data)
{
	(void)data;
}

static inline void
office_post(void *data)
{
	struct office *office = data;
	int64_t due = office->turn(office->data);
	if (due >= 0)
		loop_timer_at(office->wake, due);
	else
		loop_timer_off(office->wake);
}

static inline void
office_stop(struct office *office)
{
	desk_stop(&office->desk);
}

static inline void
office_run(struct office *office, office_turn *turn, void *data)
{
	office->turn = turn;
	office->data = data;
	office->wake = loop_timer(office->desk.loop, office_wake, office);
	office->post = loop_post(office->desk.loop, office_post, office);
	loop_timer_at(office->wake, 0);
	desk_run(&office->desk);
	loop_source_drop(&office->wake);
	loop_source_drop(&office->post);
}

/* The server's requests may be looked at after it. */
static inline void
office_shut(struct office *office)
{
	queue_close(&office->site.services.queue);
	http_client_free(&office->desk.client);
	server_stop(&office->server);
}

static inline void
office_close(struct office *office)
{
	slot_clear(&office->slot);
	desk_close(&office->desk);
	strings_done(&office->names);
	site_close(&office->site);
	server_done(&office->server);
}

/* The slot runs the job of a claim: a process that would sleep for long. */
static inline void
office_employ(struct office *office, const char *body)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT, environment = STRINGS_INIT;
	struct child_start start = CHILD_START_INIT;
	strings_add(&arguments, "sleep");
	strings_add(&arguments, "3600");
	start.program = "/bin/sleep";
	start.arguments = &arguments;
	start.environment = &environment;
	assert_true(child_start(&start, &office->slot.pid, NULL));
	office->slot.claim = site_claim(body, 1, 0);
	office->slot.state = SLOT_RUNNING;
}

/* That process ends; how it was ended before: 0 if it was not. */
static inline int
office_dismiss(struct office *office)
{
	int status = 0;
	if (waitpid(office->slot.pid, &status, WNOHANG) == office->slot.pid)
		return WTERMSIG(status);
	kill(office->slot.pid, SIGKILL);
	waitpid(office->slot.pid, &status, 0);
	return WTERMSIG(status) == SIGKILL ? 0 : WTERMSIG(status);
}

static inline void
expect_asked(const struct office *office, size_t which, const char *path)
{
	scoped_free char *line = format("POST %s HTTP/1.1\r\n", path);
	assert_true(starts_with(text_string(&office->server.requests[which]), line));
}

#endif
