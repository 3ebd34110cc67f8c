/*
 * Requests to one S3 bucket (Amazon S3 API Reference): signed, tried again where that may help,
 * errors told apart (remote/aws_errors.h). Several go on at once, driven by hand:
 *
 *	call = s3_start(s3, &request);
 *	while (!over)
 *		if (!s3_work(s3, due, tick, why)) ...
 *
 * or one by s3_ask(). What is tried again: network, stalled, server, bad-answer, with full jitter
 * and as often and as long as the schedule says; on a connection of its own after any that broke;
 * signed anew. Keys that ran out or are not known are read again, at once; and with the next
 * tries, if a server took some before, where there are none by then or these are refused too.
 *
 * The tick hears of trouble when an operation begins to be tried again, and when it works again.
 *
 * Messages: "PutObject builds/x.jar in bucket b: 403 AccessDenied: Access Denied".
 */
#ifndef REMOTE_S3_H
#define REMOTE_S3_H

#include "base/attributes.h"
#include "base/backoff.h"
#include "base/failure.h"
#include "base/text.h"
#include "base/tick.h"
#include "outside/digest.h"
#include "outside/http.h"
#include "remote/store.h"

struct s3;
struct s3_call;

/* How often and how long. */
struct s3_schedule {
	int64_t first, cap; /* ms; of base/backoff.h */
	unsigned tries;     /* in a row that brought nothing */
	int64_t patience;   /* ms for all tries of one request, and what its bytes may take beyond
	                       that: see s3_expect() */
};
#define S3_SCHEDULE                                                                                \
	{                                                                                          \
		.first = 200, .cap = 20000, .tries = 10, .patience = 5 * 60000                     \
	}

/* settings are borrowed, and have passed s3_address_check(). */
struct s3 *s3_new(const struct store_settings *settings, const struct s3_schedule *schedule);
/* Calls under way are dropped. */
void s3_free(struct s3 **s3);
const struct store_settings *s3_settings(const struct s3 *s3);

/* Functions are called from s3_work() only. They must not end or start calls, but that done may
 * start some. */
struct s3_request {
	const char *operation, *method; /* "PutObject", "PUT"; constants */
	const char *key;                /* as stores know it; NULL: of the bucket */
	const char *query;              /* sorted and percent-encoded, "uploads="; or NULL */
	const struct strings *headers;  /* or NULL */
	const void *body;               /* must stay until the end; or NULL */
	const struct http_range *file;  /* instead of it, and must stay as long; or NULL */
	size_t length;
	const char *sha256;   /* of the body; NULL, but not of a file: is computed */
	bool single;          /* ends with its first failure: see s3_turn() */
	bool absence_is_fine; /* of a HEAD: 404 is not asked about, be it key or bucket */
	bool fresh;           /* on a connection of its own */

	/* Headers of the next try alone, such as Range; or NULL. */
	void (*prepare)(void *data, struct strings *headers);
	/* Gets the body of a 2xx answer, see s3_answer(); NULL: it is kept. */
	http_take *take;
	/* Is a 2xx answer what was wanted? FAILURE_BAD_ANSWER: it is tried again; or NULL. */
	bool (*check)(void *data, const struct http_answer *answer, struct failure *why);
	void *data; /* of those */

	/* Called once: with a good answer and why NULL, or why and the answer if there was one. */
	http_done *done;
	void *done_data;
};

/* The request is copied but for its body. */
struct s3_call *s3_start(struct s3 *s3, const struct s3_request *request);
/* Dropped; done is not called any more. *call becomes NULL; NULL is fine. */
void s3_cancel(struct s3_call **call);
/* Status and headers of the answer that comes; for a take. */
const struct http_answer *s3_answer(const struct s3_call *call);
/* The answer will bring so many bytes in all: it may take longer, 64 KiB a second at least. Bodies
 * that are sent are counted already. */
void s3_expect(struct s3_call *call, int64_t bytes);
/* Bytes of the body that have gone, at this try. */
int64_t s3_sent(const struct s3_call *call);
/* Something useful came: failures so far do not count any more. */
void s3_came_on(struct s3_call *call);

/* Lets all calls go on until something happened, at most up to `due` (clock_ms()) or 200 ms; then
 * asks the tick. FAILURE_CANCELLED. */
bool must_check s3_work(struct s3 *s3, int64_t due, const struct tick *tick, struct failure *why);

/* Starts the request, without a take, and works until it ended; its done is not looked at.
 * ret_answer (empty) is the caller's, also if it failed with one. */
bool must_check s3_ask(struct s3 *s3, const struct s3_request *request, const struct tick *tick,
                       struct http_answer *ret_answer, struct failure *why);
/* A request that failed was done all the same: what the tick was told of it is over. */
void s3_came_through(struct s3 *s3);

/* Is it worth another try, here and soon? */
bool s3_is_passing(enum failure_code code);
/* For who tries again by himself: zeroed, then asked after each failure. */
struct s3_turns {
	struct backoff backoff;
	unsigned tries;
	bool fresh; /* the last connection broke */
};
/* Waits until the next try is due; false, with *why as it was, if there is to be none, or with
 * FAILURE_CANCELLED. */
bool must_check s3_turn(struct s3 *s3, struct s3_turns *turns, const struct tick *tick,
                        struct failure *why);

#endif
