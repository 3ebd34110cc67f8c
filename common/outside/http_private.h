/* Between http.c, http_client.c and http_stream.c: one request as a curl handle. */
#ifndef OUTSIDE_HTTP_PRIVATE_H
#define OUTSIDE_HTTP_PRIVATE_H

#include <curl/curl.h>

#include "outside/http.h"

/* A request under way. The write function, and who owns the transfer, are its user's. */
struct transfer {
	CURL *easy;
	struct curl_slist *headers;
	curl_mime *form;
	char error[CURL_ERROR_SIZE];
	char *name; /* "POST http://host/path" for messages: no password, no query */
	int64_t stall_ms;
	curl_off_t body_length; /* of the request; a form's is not known */
	struct http_range file; /* where it is read, if so */
	curl_off_t read;        /* of those bytes */
	bool redirect_is_done;
	int unreadable; /* errno, if a file to send could not be read */
	struct http_answer answer;
};

/* Makes the handle ready; bytes of the body go to `write` with `data`. */
void transfer_init(struct transfer *transfer, const struct http_request *request,
                   curl_write_callback write, void *data);
void transfer_done(struct transfer *transfer);
/* Is the answer's status a good one? `body` holds what came of it. */
bool must_check transfer_check(const struct transfer *transfer, const struct http_answer *answer,
                               const struct text *body, struct failure *why);
/* The failure that curl's result means. Always false. */
bool transfer_fail(const struct transfer *transfer, CURLcode result, struct failure *why);

#endif
