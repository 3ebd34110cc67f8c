#include "server.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "escape.h"

#define IDLE_SECONDS     30 /* a connection on which nothing moves is closed */
#define CONNECTION_LIMIT 4000
#define HEADER_MEMORY    (64 * 1024) /* of one connection: request line, headers, a piece of body */
/* A body that will not be used is read and dropped up to this, so that the client gets to read the
 * answer. One announced as longer is answered at once, others are cut off there. */
#define DROP_LIMIT (32 * 1024 * 1024)

struct server {
	struct MHD_Daemon *daemon;
	const struct server_site *site;
	int temporary;
	int requests;
	struct loop_source *ready; /* MHD's own epoll has something */
	struct loop_source *due;   /* MHD's next timeout */
	bool resumed;              /* connections wait for MHD's next run */
};

/* A request with what only this file needs of it. */
struct exchange {
	struct request request; /* must stay first */
	struct server *server;
	struct MHD_Connection *connection;
	bool http10;
	bool complete; /* the site was told */
	bool waiting;  /* suspended */

	size_t received;         /* bytes of body so far */
	size_t limit;            /* that are taken */
	struct form_reader form; /* with a file it is read as it comes, else when it is asked for */

	struct MHD_Response *response; /* the answer, until MHD has it */
	int status;

	void (*ended)(bool sent, void *data);
	void *ended_data;
};

static struct exchange *
exchange_of(const struct request *request)
{
	return (struct exchange *)(uintptr_t)request;
}

/* ---- what came ---- */

const char *
request_field(struct request *request, const char *name)
{
	struct exchange *x = exchange_of(request);
	if (!x->form.fields && !x->form.file && request->body.length) {
		form_reader_take(&x->form, x->connection, request->body.bytes,
		                 request->body.length);
		form_reader_end(&x->form);
	}
	return form_reader_value(&x->form, name);
}

const char *
request_header(struct request *request, const char *name)
{
	return MHD_lookup_connection_value(exchange_of(request)->connection, MHD_HEADER_KIND, name);
}

const char *
request_query(struct request *request, const char *name)
{
	return MHD_lookup_connection_value(exchange_of(request)->connection, MHD_GET_ARGUMENT_KIND,
	                                   name);
}

int64_t
request_id(const struct request *request)
{
	int64_t id;
	const char *text = request->parameter;
	if (!text || strlen(text) > 18 || text[strspn(text, "0123456789")]
	    || !number_parse(text, &id, NULL))
		return 0;
	return id;
}

bool
request_is_http10(const struct request *request)
{
	return exchange_of(request)->http10;
}

void
request_credentials(struct request *request, char **ret_name, char **ret_password)
{
	*ret_password = NULL;
	*ret_name = MHD_basic_auth_get_username_password(exchange_of(request)->connection,
	                                                 ret_password);
}

void
request_take_body(struct request *request, size_t limit)
{
	struct exchange *x = exchange_of(request);
	x->limit = x->form.limit = limit;
}

void
request_take_file(struct request *request, int64_t limit)
{
	struct exchange *x = exchange_of(request);
	/* The form around the file needs some room, too. */
	x->limit = (size_t)limit + FORM_BYTES;
	x->form.limit = FORM_BYTES;
	x->form.file = &request->file;
	x->form.temporary = x->server->temporary;
}

/* ---- answering ---- */

static void
wake(struct server *server)
{
	server->resumed = true;
	loop_timer_at(server->due, 0);
}

static struct MHD_Response *
make_response(const struct answer *answer)
{
	/* MHD reads the bytes only; it has no const for them. */
	void *bytes = (void *)(uintptr_t)answer->bytes;
	if (answer->file)
		return MHD_create_response_from_fd64((uint64_t)answer->file_size,
		                                     take_fd(answer->file));
	return MHD_create_response_from_buffer(answer->length, bytes, MHD_RESPMEM_MUST_COPY);
}

static void
add_header(struct MHD_Response *response, const char *line)
{
	scoped_free char *name = copy_string(line);
	char *colon = strstr(name, ": ");
	assert(colon);
	*colon = '\0';
	MHD_add_response_header(response, name, colon + 2);
}

static void
add_headers(struct MHD_Response *response, const struct answer *answer)
{
	if (answer->status != MHD_HTTP_NO_CONTENT)
		MHD_add_response_header(response, "Content-Type",
		                        answer->type ? answer->type : TYPE_HTML);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "X-Frame-Options", "SAMEORIGIN");
	for (size_t i = 0; answer->headers && i < answer->headers->count; i++)
		add_header(response, answer->headers->items[i]);
}

void
request_answer(struct request *request, const struct answer *answer)
{
	struct exchange *x = exchange_of(request);
	assert(!x->response);
	x->response = make_response(answer);
	if (!x->response)
		abort(); /* no memory */
	x->status = answer->status;
	add_headers(x->response, answer);
	if (!x->waiting)
		return;
	x->waiting = false;
	MHD_resume_connection(x->connection);
	wake(x->server);
}

void
request_answer_text(struct request *request, int status, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	scoped_free char *text = formatv(fmt, args);
	va_end(args);
	const struct answer answer = {.status = status, .bytes = text, .length = strlen(text)};
	request_answer(request, &answer);
}

void
request_answer_failure(struct request *request, const struct failure *why)
{
	scoped(text_done) struct text message = TEXT_INIT;
	escape_add(&message, why->message);
	switch (why->code) {
	case FAILURE_REJECTED:
	case FAILURE_BAD_MESSAGE:
		request_answer_text(request, 400, "400 - Bad request: %s", text_string(&message));
		break;
	case FAILURE_FORBIDDEN:
		request_answer_text(request, 403, "403 - Forbidden: %s", text_string(&message));
		break;
	case FAILURE_NOT_FOUND:
		request_answer_text(request, 404, "404 - Not found: %s", text_string(&message));
		break;
	case FAILURE_CONFLICT:
		request_answer_text(request, 409, "409 - Conflict: %s", text_string(&message));
		break;
	default:
		log_failure(LEVEL_ERROR, NULL, why, "%s %s", request->method, request->path);
		request_answer_text(request, 500,
		                    "500 - Internal server error (%s): the dashboard's log says "
		                    "more",
		                    failure_name(why->code));
	}
}

/* ---- waiting ---- */

void
request_wait(struct request *request)
{
	struct exchange *x = exchange_of(request);
	assert(x->complete && !x->response && !x->waiting);
	x->waiting = true;
	MHD_suspend_connection(x->connection);
}

bool
request_client_gone(struct request *request)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    exchange_of(request)->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	char byte;
	ssize_t got = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

void
request_when_ended(struct request *request, void (*ended)(bool sent, void *data), void *data)
{
	exchange_of(request)->ended = ended;
	exchange_of(request)->ended_data = data;
}

/* ---- a request from its headers to its end, as MHD tells it ---- */

static struct exchange *
exchange_new(struct server *server, struct MHD_Connection *connection, const char *path)
{
	struct exchange *x = allocate(sizeof *x);
	x->server = server;
	x->connection = connection;
	x->request.path = copy_string(path);
	x->request.file.fd = -1;
	server->requests++;
	return x;
}

static void
exchange_free(struct exchange *x)
{
	form_reader_done(&x->form);
	if (x->response)
		MHD_destroy_response(x->response);
	close_fd(&x->request.file.fd);
	free(x->request.file.filename);
	text_done(&x->request.body);
	free(x->request.parameter);
	free(x->request.path);
	x->server->requests--;
	free(x);
}

static enum MHD_Result
send_answer(struct exchange *x)
{
	enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)x->status,
	                                            x->response);
	MHD_destroy_response(x->response);
	x->response = NULL;
	return result;
}

static bool
announces_more_than(struct request *request, size_t limit)
{
	const char *length = request_header(request, "Content-Length");
	int64_t number;
	return length && (!number_parse(length, &number, NULL) || number > (int64_t)limit);
}

static enum MHD_Result
begin(struct exchange *x)
{
	struct request *request = &x->request;
	x->server->site->arrived(request, x->server->site->data);
	if (!x->response && announces_more_than(request, x->limit))
		request_answer_text(request, 413, "413 - Too large");
	bool waits = request_header(request, "Expect") != NULL;
	if (x->response && (waits || announces_more_than(request, DROP_LIMIT)))
		return send_answer(x);
	return MHD_YES;
}

static enum MHD_Result
take_body(struct exchange *x, const char *bytes, size_t length)
{
	x->received += length;
	if (!x->response && x->received > x->limit)
		request_answer_text(&x->request, 413, "413 - Too large");
	if (x->response)
		return x->received > DROP_LIMIT && x->received > x->limit ? MHD_NO : MHD_YES;
	if (x->form.file)
		form_reader_take(&x->form, x->connection, bytes, length);
	else
		text_add(&x->request.body, bytes, length);
	if (x->form.trouble.code != FAILURE_NONE)
		request_answer_failure(&x->request, &x->form.trouble);
	return MHD_YES;
}

static enum MHD_Result
finish(struct exchange *x)
{
	if (!x->response && !x->complete) {
		x->complete = true;
		form_reader_end(&x->form);
		x->server->site->complete(&x->request, x->server->site->data);
		assert(x->response || x->waiting);
	}
	return x->response ? send_answer(x) : MHD_YES;
}

static enum MHD_Result
on_request(void *data, struct MHD_Connection *connection, const char *path, const char *method,
           const char *version, const char *bytes, size_t *length, void **state)
{
	struct exchange *x = *state;
	if (!x) {
		*state = x = exchange_new(data, connection, path);
		x->request.method = strcmp(method, "HEAD") == 0 ? "GET" : method;
		x->http10 = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
		return begin(x);
	}
	if (*length > 0) {
		size_t given = *length;
		*length = 0;
		return take_body(x, bytes, given);
	}
	return finish(x);
}

static void
on_ended(void *data, struct MHD_Connection *connection, void **state,
         enum MHD_RequestTerminationCode how)
{
	(void)data;
	(void)connection;
	struct exchange *x = *state;
	if (!x)
		return;
	*state = NULL;
	if (x->ended)
		x->ended(how == MHD_REQUEST_TERMINATED_COMPLETED_OK, x->ended_data);
	exchange_free(x);
}

/* ---- on the loop ---- */

static void
turn(struct server *server)
{
	MHD_UNSIGNED_LONG_LONG wait;
	server->resumed = false;
	MHD_run(server->daemon);
	/* A request may have answered another, which MHD's timeout does not know of. */
	if (server->resumed)
		loop_timer_at(server->due, 0);
	else if (MHD_get_timeout(server->daemon, &wait) == MHD_YES)
		loop_timer_at(server->due, clock_ms() + (int64_t)wait);
	else
		loop_timer_off(server->due);
}

static void
on_ready(int fd, uint32_t events, void *data)
{
	(void)fd;
	(void)events;
	turn(data);
}

static void
on_due(void *data)
{
	turn(data);
}

static void
log_from_mhd(void *data, const char *fmt, va_list args)
{
	(void)data;
	scoped_free char *line = formatv(fmt, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug(NULL, "http: %s", line);
}

bool
server_start(struct loop *loop, const struct server_options *options, struct server **ret,
             struct failure *why)
{
	struct server *server = allocate(sizeof *server);
	server->site = options->site;
	server->temporary = options->temporary;
	server->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
	    server, MHD_OPTION_EXTERNAL_LOGGER, log_from_mhd, NULL, MHD_OPTION_LISTEN_SOCKET,
	    options->listener, MHD_OPTION_NOTIFY_COMPLETED, on_ended, server,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned)CONNECTION_LIMIT, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MEMORY,
	    MHD_OPTION_END);
	if (!server->daemon) {
		free(server);
		return fail_errno(why, "cannot start the HTTP server");
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon,
	                                                       MHD_DAEMON_INFO_EPOLL_FD);
	server->ready = loop_fd(loop, info->epoll_fd, EPOLLIN, on_ready, server);
	server->due = loop_timer(loop, on_due, server);
	*ret = server;
	return true;
}

void
server_stop_listening(struct server *server)
{
	int listener = MHD_quiesce_daemon(server->daemon);
	close_fd(&listener);
	turn(server);
}

int
server_requests(const struct server *server)
{
	return server->requests;
}

void
server_free(struct server **server)
{
	if (!*server)
		return;
	loop_source_drop(&(*server)->ready);
	loop_source_drop(&(*server)->due);
	MHD_stop_daemon((*server)->daemon);
	free_pointer(server);
}
