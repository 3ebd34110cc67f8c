/*
 * HTTP (libcurl), in two manners: requests that end by a call (several at once: on the loop for the
 * manager, driven by hand for the runner), and one answer as a blocking stream.
 *
 * Both verify certificates, follow no redirects, ask for no compression, send no Expect (but
 * signed ones, with a body of more than 1 MiB), send Content-Length (never chunked), and give up on
 * a connection that stands still. An answer of any status is an answer: mapping a status to a
 * failure stands here, once:
 *
 *	2xx      none
 *	3xx      server: it leads elsewhere, as a wrong address or a proxy does; nothing was done
 *	401      unauthorized
 *	403      forbidden
 *	404      not-found
 *	409      conflict
 *	4xx      rejected
 *	429 5xx  server
 *
 * with the message "POST URL: 503: first line of the body" and the body in the details. Messages
 * show addresses without user, password and query.
 */
#ifndef OUTSIDE_HTTP_H
#define OUTSIDE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "base/tick.h"
#include "outside/loop.h"

/* A file sent as a form (RFC 7578), one part. */
struct http_form_file {
	const char *field;
	const char *filename;
	const char *type; /* media type of the part */
	const char *path;
};

/* Bytes of a file, from there on. */
struct http_range {
	int fd;
	int64_t from;
};

/* Signs the request with AWS Signature Version 4 (AWS General Reference, "Signing AWS API
 * requests"). For S3 the caller sets the header x-amz-content-sha256, writes path and query
 * percent-encoded with upper-case hex, the query sorted, and parameters without a value as "name=".
 */
struct http_signature {
	const char *service, *region;        /* "s3", "us-east-1" */
	const char *key_id, *secret, *token; /* token NULL: permanent keys */
};

/* Takes bytes of the body as they come, some 256 KiB at a time; false (*why set) ends the request
 * with that failure. */
typedef bool http_take(void *data, const void *bytes, size_t length, struct failure *why);

/* What to ask. Everything is borrowed: until http_start() or http_open() returns, except where
 * said. */
struct http_request {
	const char *method; /* "GET", "POST", "PUT", ... */
	const char *url;
	const struct strings *headers; /* "Name: value"; or NULL */
	const void *body;              /* NULL with a POST or PUT: Content-Length: 0 */
	const struct http_range
	    *file; /* instead of it, body_length bytes that are read as they
	              go; or NULL. Ends that come too early are FAILURE_SYSTEM */
	size_t body_length;
	bool body_stays; /* stays where it is until the request ended; otherwise it is copied */
	const struct http_form_file *form;      /* instead of a body, or NULL */
	const char *username, *password;        /* basic authentication where not NULL */
	const struct http_signature *signature; /* instead of it, or NULL */
	const char *ca_file;                    /* PEM; NULL: the system's */
	int64_t connect_timeout;                /* ms; 0: 10 s */
	int64_t stall_timeout; /* ms without a byte of a body; 0: 60 s. A long poll adds its wait */
	int64_t timeout;       /* ms for all of it; 0: none */
	bool direct;           /* through no proxy, whatever the environment says */
	bool fresh_connection; /* not one that was kept, as after a stall */
	http_take *take; /* gets the body of a 2xx answer (http_start only); NULL: it is kept */
	void *take_data;
	bool redirect_is_done; /* 302 and 303 are success: the usual answer to a form */
	size_t answer_limit;   /* bytes kept of the body (http_start only); 0: 1 MiB. More is
	                          FAILURE_BAD_ANSWER */
};

struct http_answer {
	int status;
	struct strings headers; /* "name: value", names in lower case, in the order they came */
	struct text body;       /* empty for a stream */
};
#define HTTP_ANSWER_INIT                                                                           \
	{                                                                                          \
	}
void http_answer_done(struct http_answer *answer);
/* What the status means, as the table above says. */
enum failure_code http_failure_code(int status);
/* The value of the first header of that (lower-case) name, or NULL. */
const char *http_header(const struct http_answer *answer, const char *name);
/* The answer's Date in ms since 1970, or 0 if it has none. */
int64_t http_date(const struct http_answer *answer);

/* ---- requests that end by a call: curl's multi interface; connections are kept ---- */
struct http_client;
struct http_call;
/* On the loop; or with NULL by hand: nothing happens but in http_work(). */
struct http_client *http_client_new(struct loop *loop);
/* How many connections there may be, used and idle, before the longest idle one is closed; 2 unless
 * said. */
void http_client_keep(struct http_client *client, size_t connections);
/* Calls still under way are dropped; their done is not called. */
void http_client_free(struct http_client **client);
/*
 * Starts a request. done is called once, from the loop or http_work(), never from inside
 * http_start(): with the answer (valid during the call) and why NULL, or the status's failure; or
 * with answer NULL and why: FAILURE_NETWORK, FAILURE_STALLED, FAILURE_TLS, FAILURE_BAD_ANSWER, or
 * the take's. The returned call is valid until done was called or it was cancelled.
 */
typedef void http_done(void *data, const struct http_answer *answer, const struct failure *why);
struct http_call *http_start(struct http_client *client, const struct http_request *request,
                             http_done *done, void *data);
/* Status and headers as far as they have come; for a take, which comes after them. */
const struct http_answer *http_call_answer(struct http_call *call);
/* Bytes of the body that have gone. */
int64_t http_call_sent(const struct http_call *call);
/* done is not called any more. *call becomes NULL; NULL is fine. */
void http_cancel(struct http_call **call);
/*
 * By hand: lets the requests go on until something happened, at most up to `due` (clock_ms()) or
 * 200 ms; then asks the tick. Whoever waits calls it again and again. FAILURE_CANCELLED.
 */
bool must_check http_work(struct http_client *client, int64_t due, const struct tick *tick,
                          struct failure *why);

/* ---- blocking: an answer read as it comes ---- */
struct http_stream;
/* Sends the request and returns when the answer's headers are there. The tick is asked every 200
 * ms, here and in http_read(). */
bool must_check http_open(const struct http_request *request, const struct tick *tick,
                          struct http_stream **ret, struct failure *why);
const struct http_answer *http_stream_answer(const struct http_stream *stream);
/* false with the status's failure. */
bool must_check http_stream_check(const struct http_stream *stream, struct failure *why);
/* Up to `size` bytes of the body; *ret_length 0 is its end. A body shorter than announced is
 * FAILURE_NETWORK. */
bool must_check http_read(struct http_stream *stream, void *buffer, size_t size, size_t *ret_length,
                          struct failure *why);
void http_close(struct http_stream **stream);

#endif
