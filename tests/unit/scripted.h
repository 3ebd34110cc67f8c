/*
 * A server on loopback for tests of whatever speaks HTTP: it reads each request whole, keeps it,
 * and answers as scripted; and a loop with a client to ask it.
 *
 *	struct server server;
 *	server_start(&server, script, count);
 *	... ask at server.url ...
 *	server_stop(&server);
 *	... look at server.requests ...
 */
#ifndef SCRIPTED_H
#define SCRIPTED_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/text.h"
#include "outside/http.h"
#include "outside/loop.h"
#include "unit.h"

/* No test waits longer than this for anything. */
#define PATIENCE 20000

enum then {
	THEN_CLOSE,
	THEN_RESET, /* RST instead of FIN */
	THEN_HOLD,  /* the connection stays open, silent, until the server is stopped */
	THEN_KEEP,  /* the next request may come on it */
};

/* One answer. */
struct scripted {
	const char *bytes;
	size_t length; /* of bytes; 0: a string */
	size_t filler; /* so many bytes of filler_byte() after them */
	int pause_ms;  /* between two bytes of the body; 0: all at once */
	enum then then;
};

struct server {
	const struct scripted *script; /* one a request; the last one serves the rest */
	size_t count;
	int fd;
	char url[64]; /* "http://127.0.0.1:PORT" */
	pthread_t thread;
	struct text requests[128]; /* to be read once it is stopped */
	size_t asked;
	atomic_size_t sent; /* bytes of filler the kernel took */
	int held[16];
	size_t holding;
};

#define OK_ANSWER(BODY_LENGTH, BODY)                                                               \
	"HTTP/1.1 200 OK\r\nContent-Length: " BODY_LENGTH "\r\nConnection: close\r\n\r\n" BODY

static inline unsigned char
filler_byte(size_t at)
{
	return (unsigned char)(at * 7 + (at >> 8));
}

/* How long the request is that begins with these bytes; 0 while its end is not known. */
static inline size_t
request_length(const struct text *request)
{
	const char *text = text_string(request);
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strstr(text, "\r\nContent-Length: ");
	if (!end)
		return 0;
	size_t body = length && length < end ? strtoul(length + 18, NULL, 10) : 0;
	return (size_t)(end - text) + 4 + body;
}

static inline bool
read_request(int fd, struct text *request)
{
	size_t wanted = 0;
	while (!(wanted = request_length(request)) || request->length < wanted) {
		char *room = text_reserve(request, 65536);
		ssize_t got = recv(fd, room, 65536, 0);
		if (got <= 0)
			return false;
		request->length += (size_t)got;
		room[got] = '\0';
	}
	return true;
}

static inline bool
send_bytes(int fd, const char *bytes, size_t length, int pause_ms)
{
	const char *end = pause_ms ? memmem(bytes, length, "\r\n\r\n", 4) : NULL;
	size_t at = end ? (size_t)(end - bytes) + 4 : length;
	if (send(fd, bytes, at, MSG_NOSIGNAL) != (ssize_t)at)
		return false;
	for (; at < length; at++) {
		usleep((useconds_t)pause_ms * 1000);
		if (send(fd, bytes + at, 1, MSG_NOSIGNAL) != 1)
			return false;
	}
	return true;
}

static inline void
send_filler(struct server *server, int fd, size_t length)
{
	unsigned char block[4096];
	for (size_t at = 0; at < length;) {
		size_t count = length - at < sizeof block ? length - at : sizeof block;
		for (size_t i = 0; i < count; i++)
			block[i] = filler_byte(at + i);
		ssize_t sent = send(fd, block, count, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		at += (size_t)sent;
		atomic_fetch_add(&server->sent, (size_t)sent);
	}
}

static inline enum then
answer(struct server *server, int fd)
{
	struct text *request = &server->requests[server->asked % 128];
	if (!read_request(fd, request))
		return THEN_CLOSE;
	size_t turn = server->asked++;
	const struct scripted *script =
	    &server->script[turn < server->count ? turn : server->count - 1];
	size_t length = script->length ? script->length : strlen(script->bytes);
	if (send_bytes(fd, script->bytes, length, script->pause_ms))
		send_filler(server, fd, script->filler);
	return script->then;
}

static inline void
serve_connection(struct server *server, int connection)
{
	scoped_fd int fd = connection;
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	enum then then = THEN_KEEP;
	while (then == THEN_KEEP)
		then = answer(server, fd);
	if (then == THEN_RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	if (then == THEN_HOLD)
		server->held[server->holding++ % 16] = take_fd(&fd);
}

static inline void *
serve(void *data)
{
	struct server *server = data;
	struct timeval patience = {.tv_sec = PATIENCE / 1000};
	int fd;
	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
		serve_connection(server, fd);
	}
	return NULL;
}

/* A listening socket on a port of its own. */
static inline int
listen_somewhere(int *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 128), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static inline void
server_start(struct server *server, const struct scripted *script, size_t count)
{
	int port;
	*server = (struct server){.script = script, .count = count};
	server->fd = listen_somewhere(&port);
	snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", port);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static inline void
server_stop(struct server *server)
{
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close_fd(&server->fd);
	for (size_t i = 0; i < server->holding; i++)
		close_fd(&server->held[i]);
}

static inline void
server_done(struct server *server)
{
	for (size_t i = 0; i < 128; i++)
		text_done(&server->requests[i]);
}

/* The request's body. */
static inline const char *
body_of(const struct server *server, size_t which)
{
	const char *end = strstr(text_string(&server->requests[which]), "\r\n\r\n");
	return end ? end + 4 : "";
}

static inline bool
request_has(const struct server *server, size_t which, const char *part)
{
	return strstr(text_string(&server->requests[which]), part) != NULL;
}

/* ---- asking ---- */

/* A loop with a client; runs until desk_stop() or the end of our patience. */
struct desk {
	struct loop *loop;
	struct http_client *client;
	struct loop_source *patience;
	bool late;
};

static inline void
desk_stop(struct desk *desk)
{
	loop_stop(desk->loop);
}

static inline void
desk_late(void *data)
{
	struct desk *desk = data;
	desk->late = true;
	desk_stop(desk);
}

static inline void
desk_open(struct desk *desk)
{
	*desk = (struct desk){0};
	assert_true(loop_new(&desk->loop, NULL));
	desk->client = http_client_new(desk->loop);
	desk->patience = loop_timer(desk->loop, desk_late, desk);
	loop_timer_at(desk->patience, clock_ms() + PATIENCE);
}

static inline void
desk_run(struct desk *desk)
{
	assert_true(loop_run(desk->loop, NULL));
	assert_false(desk->late);
}

static inline void
desk_close(struct desk *desk)
{
	http_client_free(&desk->client);
	loop_source_drop(&desk->patience);
	loop_free(&desk->loop);
}

#endif
