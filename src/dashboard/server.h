/*
 * The HTTP server (libmicrohttpd) on the event loop: one thread, no locks. This is the only file
 * that knows microhttpd.h.
 *
 * A request comes in two calls of the site:
 *
 *	arrived    its headers are there. The site answers at once (wrong path, no password: the
 *	           body is then read and dropped), or says what body it takes (request_take_body(),
 *	           request_take_file(); otherwise the body may be empty only).
 *	complete   its body is there. The site answers, or keeps the request waiting
 *	           (request_wait()) and answers later from anywhere on the loop.
 *
 * A request lives until its answer was sent or its client went away; then what
 * request_when_ended() asked for is called, and the request is gone.
 */
#ifndef DASHBOARD_SERVER_H
#define DASHBOARD_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "outside/loop.h"
#include "server_form.h"

struct server;

struct request {
	const char *method;       /* "GET" (HEAD comes as GET), "POST", ... */
	char *path;               /* percent-decoded, without the query */
	const void *route;        /* the site's own note, from arrived to complete */
	char *parameter;          /* the part of the path that the route left open; or NULL */
	struct text body;         /* request_take_body(): all of it */
	struct request_file file; /* request_take_file() */
};

struct server_site {
	void (*arrived)(struct request *request, void *data);
	void (*complete)(struct request *request, void *data);
	void *data;
};

struct server_options {
	int listener;                   /* a listening socket; the server's from then on */
	int temporary;                  /* directory fd for the files of forms; borrowed */
	const struct server_site *site; /* borrowed */
};

bool must_check server_start(struct loop *loop, const struct server_options *options,
                             struct server **ret, struct failure *why);
/* No new connections from now on. */
void server_stop_listening(struct server *server);
/* Requests that are not answered yet, or whose answer is not sent yet. */
int server_requests(const struct server *server);
/* Ends all connections. No request may be waiting any more. */
void server_free(struct server **server);

/* ---- what came; texts are borrowed from the request ---- */
const char *request_header(struct request *request, const char *name); /* any case; or NULL */
const char *request_query(struct request *request, const char *name);  /* ?name=...; or NULL */
/* A field of the form, urlencoded or multipart; NULL: not there. In complete only. */
const char *request_field(struct request *request, const char *name);
/* The parameter as an id; 0 if it is none (ids begin at 1). */
int64_t request_id(const struct request *request);
bool request_is_http10(const struct request *request);
/* Name and password of basic authentication, malloc'd; both NULL if there is none. */
void request_credentials(struct request *request, char **ret_name, char **ret_password);

/* ---- the body ---- */
/* It may be up to `limit` bytes, kept in request->body. Longer ones are answered with 413. */
void request_take_body(struct request *request, size_t limit);
/* It is a multipart form, whose part `file` of up to `limit` bytes goes to request->file. */
void request_take_file(struct request *request, int64_t limit);

/* ---- the answer ---- */
#define TYPE_HTML "text/html;charset=utf-8"
#define TYPE_JSON "application/json"

struct answer {
	int status;
	const char *type; /* NULL: TYPE_HTML, which is what the contract has everywhere */
	const struct strings *headers; /* more of them, "Name: value"; or NULL */
	const void *bytes;             /* copied */
	size_t length;
	int *file;         /* instead of bytes: an fd, taken over; or NULL */
	int64_t file_size; /* of it, from the start */
};
/* Exactly once for each request. From a request that waits it ends the wait. */
void request_answer(struct request *request, const struct answer *answer);
/* A text of TYPE_HTML; formatted. Markup in values is the caller's to escape. */
void request_answer_text(struct request *request, int status, const char *fmt, ...)
    printf_like(3, 4);
/*
 * The status that fits the failure, with its message in the contract's words: not-found 404
 * "404 - Not found: ...", rejected and bad-message 400, forbidden 403, conflict 409; anything else
 * is our trouble: 500 without details, logged.
 */
void request_answer_failure(struct request *request, const struct failure *why);

/* In complete only: no answer yet. */
void request_wait(struct request *request);
/* Has the client of a waiting request hung up? */
bool request_client_gone(struct request *request);
/* ended is called once, when the request is over: was the whole answer handed to the network? */
void request_when_ended(struct request *request, void (*ended)(bool sent, void *data), void *data);

#endif
