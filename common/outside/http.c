/* What both manners of asking share: a request as a curl handle, answers, their meaning. */
#include "outside/http.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_private.h"

#define CONNECT_TIMEOUT 10000
#define STALL_TIMEOUT   60000
#define HEADERS_LIMIT   200
#define BULK_BUFFER     (256 * 1024L) /* of curl, where many bytes are moved */

/* ---- answers ---- */

void
http_answer_done(struct http_answer *answer)
{
	strings_done(&answer->headers);
	text_done(&answer->body);
	*answer = (struct http_answer)HTTP_ANSWER_INIT;
}

const char *
http_header(const struct http_answer *answer, const char *name)
{
	size_t length = strlen(name);
	for (size_t i = 0; i < answer->headers.count; i++) {
		const char *line = answer->headers.items[i];
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			return line + length + 1 + strspn(line + length + 1, " ");
	}
	return NULL;
}

int64_t
http_date(const struct http_answer *answer)
{
	const char *date = http_header(answer, "date");
	time_t seconds = date ? curl_getdate(date, NULL) : -1;
	return seconds < 0 ? 0 : (int64_t)seconds * 1000;
}

/* The address as messages may show it: no user, no password, no query, no fragment. */
static char *
shown_url(const char *url)
{
	CURLU *parts = curl_url();
	char *shown = NULL;
	bool good = parts
	            && curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME)
	                   == CURLUE_OK
	            && curl_url_set(parts, CURLUPART_USER, NULL, 0) == CURLUE_OK
	            && curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK
	            && curl_url_set(parts, CURLUPART_QUERY, NULL, 0) == CURLUE_OK
	            && curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK
	            && curl_url_get(parts, CURLUPART_URL, &shown, 0) == CURLUE_OK;
	char *copy = copy_string(good ? shown : "(an address that cannot be read)");
	curl_free(shown);
	curl_url_cleanup(parts);
	return copy;
}

enum failure_code
http_failure_code(int status)
{
	if (status >= 200 && status < 300)
		return FAILURE_NONE;
	switch (status) {
	case 401:
		return FAILURE_UNAUTHORIZED;
	case 403:
		return FAILURE_FORBIDDEN;
	case 404:
		return FAILURE_NOT_FOUND;
	case 409:
		return FAILURE_CONFLICT;
	case 429:
		return FAILURE_SERVER;
	default:
		return status >= 400 && status < 500 ? FAILURE_REJECTED : FAILURE_SERVER;
	}
}

bool
transfer_check(const struct transfer *transfer, const struct http_answer *answer,
               const struct text *body, struct failure *why)
{
	bool see_other = answer->status == 302 || answer->status == 303;
	const char *location = http_header(answer, "location");
	if ((answer->status >= 200 && answer->status < 300)
	    || (see_other && transfer->redirect_is_done))
		return true;
	if (answer->status < 400)
		return fail(why, FAILURE_SERVER, "%s: %d: leads elsewhere (%.200s)", transfer->name,
		            answer->status, location ? location : "no location");
	const char *bytes = text_string(body);
	scoped(text_done) struct text line = TEXT_INIT;
	text_add_printable(&line, bytes, strcspn(bytes, "\r\n"), false);
	fail(why, http_failure_code(answer->status), "%s: %d: %.200s", transfer->name,
	     answer->status, text_string(&line));
	failure_set_details(why, bytes, body->length);
	return false;
}

/* ---- one request as a curl handle ---- */

/* A status line begins the headers anew (after a 100); the last ones count. */
static size_t
on_header(char *bytes, size_t size, size_t count, void *data)
{
	struct http_answer *answer = data;
	size_t length = size * count;
	while (length && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r'))
		length--;
	if (length >= 5 && strncmp(bytes, "HTTP/", 5) == 0) {
		strings_done(&answer->headers);
		return size * count;
	}
	if (!memchr(bytes, ':', length) || answer->headers.count >= HEADERS_LIMIT)
		return size * count;
	scoped_free char *line = format("%.*s", (int)length, bytes);
	for (char *at = line; *at && *at != ':'; at++)
		*at = (char)tolower((unsigned char)*at);
	strings_add(&answer->headers, line);
	return size * count;
}

static void
set_headers(struct transfer *transfer, const struct http_request *request)
{
	/* What curl adds to long bodies by itself and dashboards do not understand. Servers that
	 * ask for signatures do; and curl would sign the header that is not sent. */
	if (!request->signature)
		transfer->headers = curl_slist_append(transfer->headers, "Expect:");
	for (size_t i = 0; request->headers && i < request->headers->count; i++)
		transfer->headers = curl_slist_append(transfer->headers,
		                                      request->headers->items[i]);
	if (request->signature && request->signature->token) {
		scoped_free char *token = format("X-Amz-Security-Token: %s",
		                                 request->signature->token);
		transfer->headers = curl_slist_append(transfer->headers, token);
	}
	curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
}

static void
set_form(struct transfer *transfer, const struct http_form_file *form)
{
	transfer->form = curl_mime_init(transfer->easy);
	curl_mimepart *part = curl_mime_addpart(transfer->form);
	curl_mime_name(part, form->field);
	if (curl_mime_filedata(part, form->path) != CURLE_OK) {
		/* Ends by this before anything is sent. */
		transfer->unreadable = errno;
		curl_easy_setopt(transfer->easy, CURLOPT_URL, "");
	}
	curl_mime_filename(part, form->filename);
	curl_mime_type(part, form->type);
	curl_easy_setopt(transfer->easy, CURLOPT_MIMEPOST, transfer->form);
}

static size_t
read_file(char *to, size_t size, size_t count, void *data)
{
	struct transfer *transfer = data;
	curl_off_t left = transfer->body_length - transfer->read;
	size_t wanted = size * count < (size_t)left ? size * count : (size_t)left;
	ssize_t got = pread(transfer->file.fd, to, wanted, transfer->file.from + transfer->read);
	if (got < 0 || (got == 0 && wanted > 0)) {
		transfer->unreadable = got < 0 ? errno : ENODATA;
		return CURL_READFUNC_ABORT;
	}
	transfer->read += got;
	return (size_t)got;
}

/* For curl, which sends it anew when a kept connection turns out to be gone. */
static int
seek_file(void *data, curl_off_t offset, int origin)
{
	struct transfer *transfer = data;
	(void)origin; /* is SEEK_SET (CURLOPT_SEEKFUNCTION(3)) */
	transfer->read = offset;
	return CURL_SEEKFUNC_OK;
}

static void
set_file(struct transfer *transfer, const struct http_range *file)
{
	CURL *easy = transfer->easy;
	transfer->file = *file;
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, transfer->body_length);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_file);
	curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_file);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
}

static void
set_body(struct transfer *transfer, const struct http_request *request)
{
	CURL *easy = transfer->easy;
	if (request->form) {
		set_form(transfer, request->form);
	} else if (request->file) {
		set_file(transfer, request->file);
	} else if (request->body && request->body_stays) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
		                 (curl_off_t)request->body_length);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
	} else if (request->body || strings_equal(request->method, "POST")
	           || strings_equal(request->method, "PUT")) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
		                 (curl_off_t)request->body_length);
		curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body ? request->body : "");
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	if (strings_equal(request->method, "HEAD"))
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
}

/* What was sent and is not acknowledged for so long ends the connection: the kernel would try for a
 * quarter of an hour (tcp(7)). */
static int
bound_silence(void *data, curl_socket_t fd, curlsocktype purpose)
{
	(void)purpose;
	const struct transfer *transfer = data;
	unsigned int ms = (unsigned int)transfer->stall_ms;
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
	return CURL_SOCKOPT_OK;
}

static void
set_safety(struct transfer *transfer, const struct http_request *request)
{
	CURL *easy = transfer->easy;
	int64_t connect = request->connect_timeout ? request->connect_timeout : CONNECT_TIMEOUT;
	transfer->stall_ms = request->stall_timeout ? request->stall_timeout : STALL_TIMEOUT;
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Whoever ends a request does not wait for a name server that is silent. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, bound_silence);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)request->fresh_connection);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout);
	/* Less than a byte a second, for so long. curl wakes up every second to see; where the
	 * total time is no longer, as of a long poll, it need not. */
	if (!request->timeout || transfer->stall_ms < request->timeout) {
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
		                 (long)((transfer->stall_ms + 999) / 1000));
	}
	if (request->direct)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	if (request->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
}

static void
set_identity(struct transfer *transfer, const struct http_request *request)
{
	CURL *easy = transfer->easy;
	const struct http_signature *signature = request->signature;
	const char *username = signature ? signature->key_id : request->username;
	const char *password = signature ? signature->secret : request->password;
	if (!username)
		return;
	curl_easy_setopt(easy, CURLOPT_USERNAME, username);
	curl_easy_setopt(easy, CURLOPT_PASSWORD, password ? password : "");
	if (!signature) {
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		return;
	}
	scoped_free char *how = format("aws:amz:%s:%s", signature->region, signature->service);
	curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, how);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* as it was signed */
}

void
transfer_init(struct transfer *transfer, const struct http_request *request,
              curl_write_callback write, void *data)
{
	*transfer = (struct transfer){.easy = curl_easy_init(),
	                              .body_length = (curl_off_t)request->body_length,
	                              .redirect_is_done = request->redirect_is_done};
	if (!transfer->easy)
		abort();
	CURL *easy = transfer->easy;
	scoped_free char *url = shown_url(request->url);
	transfer->name = format("%s %s", request->method, url);
	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "moolloy-workers/" MOOLLOY_VERSION);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer->answer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, write);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, data);
	if (request->take || request->body_stays || request->file) {
		curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, BULK_BUFFER);
		curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 128 * 1024L);
	}
	set_headers(transfer, request);
	set_body(transfer, request);
	set_safety(transfer, request);
	set_identity(transfer, request);
}

void
transfer_done(struct transfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	curl_slist_free_all(transfer->headers);
	curl_mime_free(transfer->form);
	free(transfer->name);
	http_answer_done(&transfer->answer);
	*transfer = (struct transfer){0};
}

/* ---- curl's results ---- */

/* A server that goes away says nothing of certificates; curl has one result for both. */
static bool
broke_in_handshake(const struct transfer *transfer)
{
	static const char *const signs[] = {"SSL_connect: ", "unexpected eof",
	                                    "Recv failure: ", "Send failure: "};
	for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
		if (strstr(transfer->error, signs[i]))
			return true;
	return false;
}

static enum failure_code
code_from_curl(const struct transfer *transfer, CURLcode result)
{
	double total = 0;
	long sent = 0;
	switch (result) {
	case CURLE_OPERATION_TIMEDOUT:
		curl_easy_getinfo(transfer->easy, CURLINFO_TOTAL_TIME, &total);
		return total * 1000 >= (double)transfer->stall_ms ? FAILURE_STALLED
		                                                  : FAILURE_NETWORK;
	case CURLE_SSL_CONNECT_ERROR:
		return broke_in_handshake(transfer) ? FAILURE_NETWORK : FAILURE_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return FAILURE_TLS;
	case CURLE_UNSUPPORTED_PROTOCOL: /* of our URL, or of what answered */
	case CURLE_URL_MALFORMAT:
		curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
		return sent > 0 ? FAILURE_BAD_ANSWER : FAILURE_REJECTED;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
	case CURLE_WRITE_ERROR: /* our write function refused: too much */
		return FAILURE_BAD_ANSWER;
	case CURLE_READ_ERROR:
		return FAILURE_SYSTEM;
	default:
		return FAILURE_NETWORK;
	}
}

/* All of the request, as far as the kernel took it. */
static bool
was_sent(const struct transfer *transfer)
{
	long head = 0;
	curl_off_t body = 0;
	curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &head);
	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &body);
	return head > 0 && body >= transfer->body_length;
}

/* What curl's words leave out. */
static const char *
reason(const struct transfer *transfer, CURLcode result, const char *text)
{
	long number = 0;
	if (strstr(text, "wrong version number"))
		return "it speaks http, not https";
	if (result == CURLE_COULDNT_CONNECT)
		curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
	return number ? strerror((int)number) : NULL;
}

bool
transfer_fail(const struct transfer *transfer, CURLcode result, struct failure *why)
{
	if (transfer->unreadable) {
		errno = transfer->unreadable;
		return fail_errno(why, "%s: cannot read the file to send", transfer->name);
	}
	const char *text = transfer->error[0] ? transfer->error : curl_easy_strerror(result);
	/* What curl says of that one sounds like a full disk. */
	if (result == CURLE_WRITE_ERROR)
		text = "the answer is longer than it may be";
	const char *more = reason(transfer, result, text);
	fail(why, code_from_curl(transfer, result), "%s: %s%s%s", transfer->name, text,
	     more ? ": " : "", more ? more : "");
	if (why)
		why->unanswered = was_sent(transfer);
	return false;
}
