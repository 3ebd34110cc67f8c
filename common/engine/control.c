#include "engine/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/files.h"
#include "base/text.h"
#include "outside/json.h"

#define CLIENTS    8
#define LINE_LIMIT 4096

/* Somebody who asks; fd -1: nobody. */
struct client {
	struct control *control;
	int fd;
	struct loop_source *source;
	struct text line;
	uint64_t number; /* of those who came, this is which */
};

struct control {
	struct loop *loop;
	char *path;
	int fd;
	struct loop_source *source;
	const struct control_verb *verbs;
	void *data;
	uint64_t came;
	struct client clients[CLIENTS];
};

/* ---- answering ---- */

static void
drop_client(struct client *client)
{
	loop_source_drop(&client->source);
	close_fd(&client->fd);
	text_done(&client->line);
}

static const struct control_verb *
find_verb(const struct control *control, const char *name)
{
	const struct control_verb *verb = control->verbs;
	while (verb->name && !strings_equal(verb->name, name))
		verb++;
	return verb->name ? verb : NULL;
}

static bool
act(const struct control *control, const struct text *line, struct json_t *answer,
    struct failure *why)
{
	scoped(js_drop) struct json_t *question = NULL;
	if (!js_parse(text_string(line), line->length, &question, why))
		return false;
	const char *name = js_string(question, "verb");
	const struct control_verb *verb = find_verb(control, name);
	if (!verb)
		return fail(why, FAILURE_USAGE, "unknown verb '%s'", name ? name : "");
	return verb->act(control->data, answer, why);
}

static void
answer_client(const struct client *client)
{
	scoped(js_drop) struct json_t *answer = js_object();
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool good = act(client->control, &client->line, answer, &why);
	js_set_bool(answer, "ok", good);
	if (!good)
		js_set_string(answer, "error", why.message);
	scoped_free char *json = js_text(answer);
	scoped_free char *line = format("%s\n", json);
	/* An answer is small and fits the socket's buffer; who does not read it has lost it. */
	if (send(client->fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
}

static void
on_client(int fd, uint32_t events, void *data)
{
	(void)events;
	struct client *client = data;
	char *room = text_reserve(&client->line, 1024);
	ssize_t got = recv(fd, room, 1024, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0) {
		client->line.length += (size_t)got;
		if (!memchr(room, '\n', (size_t)got) && client->line.length <= LINE_LIMIT)
			return;
		answer_client(client);
	}
	drop_client(client);
}

/* A free place; if all are taken, that of the one who has been silent longest. */
static struct client *
make_room(struct control *control)
{
	struct client *oldest = &control->clients[0];
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *client = &control->clients[i];
		if (client->fd < 0)
			return client;
		if (client->number < oldest->number)
			oldest = client;
	}
	drop_client(oldest);
	return oldest;
}

static void
on_connect(int fd, uint32_t events, void *data)
{
	(void)events;
	struct control *control = data;
	scoped_fd int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (accepted < 0)
		return;
	struct client *client = make_room(control);
	client->number = control->came++;
	client->fd = take_fd(&accepted);
	client->source = loop_fd(control->loop, client->fd, EPOLLIN, on_client, client);
}

/* ---- the socket ---- */

static bool
listen_at(const char *path, int *ret_fd, struct failure *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path)
		return fail(why, FAILURE_CONFIGURATION,
		            "%s is too long for a socket: choose a shorter runtime-directory",
		            path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_errno(why, "cannot make a socket");
	/* The lock on the state directory says that nobody else listens there. */
	unlink(path);
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0660) < 0
	    || listen(fd, CLIENTS) < 0)
		return fail_errno(why, "cannot listen at %s", path);
	*ret_fd = take_fd(&fd);
	return true;
}

bool
control_open(struct loop *loop, const char *path, const struct control_verb *verbs, void *data,
             struct control **ret, struct failure *why)
{
	int fd = -1;
	if (!listen_at(path, &fd, why))
		return false;
	struct control *control = allocate(sizeof *control);
	*control = (struct control){
	    .loop = loop, .path = copy_string(path), .fd = fd, .verbs = verbs, .data = data};
	for (size_t i = 0; i < CLIENTS; i++)
		control->clients[i] = (struct client){.control = control, .fd = -1};
	control->source = loop_fd(loop, fd, EPOLLIN, on_connect, control);
	*ret = control;
	return true;
}

void
control_close(struct control **control)
{
	struct control *closing = *control;
	if (!closing)
		return;
	for (size_t i = 0; i < CLIENTS; i++)
		drop_client(&closing->clients[i]);
	loop_source_drop(&closing->source);
	close_fd(&closing->fd);
	unlink(closing->path);
	free(closing->path);
	free_pointer(control);
}

/* ---- memory ---- */

/* The sum in bytes of the lines "NAME:   12 kB" whose name begins so. */
static int64_t
sum_lines(const char *text, const char *name)
{
	int64_t sum = 0;
	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (starts_with(at, name))
			sum += strtoll(at + strcspn(at, ":\n") + 1, NULL, 10) * 1024;
		if (!*at)
			break;
	}
	return sum;
}

bool
control_memory(void *data, struct json_t *answer, struct failure *why)
{
	(void)data;
	scoped(text_done) struct text maps = TEXT_INIT, schedule = TEXT_INIT;
	if (!file_read(AT_FDCWD, "/proc/self/smaps_rollup", 65536, &maps, why)
	    || !file_read(AT_FDCWD, "/proc/self/schedstat", 256, &schedule, why))
		return false;
	js_set_integer(answer, "rss", sum_lines(text_string(&maps), "Rss:"));
	js_set_integer(answer, "pss", sum_lines(text_string(&maps), "Pss:"));
	js_set_integer(answer, "private", sum_lines(text_string(&maps), "Private_"));
	js_set_integer(answer, "cpu_ns", strtoll(text_string(&schedule), NULL, 10));
	return true;
}
