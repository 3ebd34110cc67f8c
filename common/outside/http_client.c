/* Requests that end by a call: curl's multi interface (libcurl-multi(3)), its sockets and timer on
 * our loop ("multi_socket"), or driven by hand. */
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "http_private.h"

#define ANSWER_LIMIT (1024 * 1024)
/* curl brings 16 KiB at a time: small change for who takes them. */
#define GATHERED (256 * 1024)
#define SLICE    200 /* ms between two ticks */

struct http_client {
	struct loop *loop; /* NULL: by hand */
	CURLM *multi;
	struct loop_source *timer; /* on the loop */
	struct http_call *calls;   /* under way */
};

struct http_call {
	struct http_client *client;
	struct http_call *next, **link; /* in the client's list */
	struct transfer transfer;
	size_t limit;
	http_take *take;
	void *take_data;
	struct failure refused; /* the take's */
	http_done *done;
	void *data;
};

/* ---- calls ---- */

/* The body of an error is kept in any case. */
static bool
is_taken(const struct http_call *call)
{
	long status = 0;
	curl_easy_getinfo(call->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	return call->take && status >= 200 && status < 300;
}

/* What was gathered of a body goes to who takes it. */
static bool
hand_over(struct http_call *call)
{
	struct text *body = &call->transfer.answer.body;
	bool taken = body->length == 0
	             || call->take(call->take_data, body->bytes, body->length, &call->refused);
	text_clear(body);
	return taken;
}

static size_t
on_bytes(char *bytes, size_t size, size_t count, void *data)
{
	struct http_call *call = data;
	struct text *body = &call->transfer.answer.body;
	size_t length = size * count;
	bool taken = is_taken(call);
	if (!taken && body->length + length > call->limit)
		return 0;
	text_add(body, bytes, length);
	return !taken || body->length < GATHERED || hand_over(call) ? length : 0;
}

static void
free_call(struct http_call *call)
{
	curl_multi_remove_handle(call->client->multi, call->transfer.easy);
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	transfer_done(&call->transfer);
	failure_done(&call->refused);
	free(call);
}

struct http_call *
http_start(struct http_client *client, const struct http_request *request, http_done *done,
           void *data)
{
	struct http_call *call = allocate(sizeof *call);
	call->client = client;
	call->limit = request->answer_limit ? request->answer_limit : ANSWER_LIMIT;
	call->take = request->take;
	call->take_data = request->take_data;
	call->done = done;
	call->data = data;
	call->next = client->calls;
	call->link = &client->calls;
	if (call->next)
		call->next->link = &call->next;
	client->calls = call;
	transfer_init(&call->transfer, request, on_bytes, call);
	curl_easy_setopt(call->transfer.easy, CURLOPT_PRIVATE, call);
	/* Begins by way of the timer function or http_work(), so never from in here. */
	if (curl_multi_add_handle(client->multi, call->transfer.easy) != CURLM_OK)
		abort();
	return call;
}

const struct http_answer *
http_call_answer(struct http_call *call)
{
	long status = 0;
	curl_easy_getinfo(call->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	call->transfer.answer.status = (int)status;
	return &call->transfer.answer;
}

int64_t
http_call_sent(const struct http_call *call)
{
	curl_off_t sent = 0;
	curl_easy_getinfo(call->transfer.easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	return sent;
}

void
http_cancel(struct http_call **call)
{
	if (*call)
		free_call(*call);
	*call = NULL;
}

/* ---- ends ---- */

static bool
tell_failure(const struct http_call *call, CURLcode result, struct failure *why)
{
	if (call->refused.code == FAILURE_NONE)
		return transfer_fail(&call->transfer, result, why);
	failure_copy(why, &call->refused);
	return false;
}

static void
end_call(struct http_call *call, CURLcode result)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool whole = (!is_taken(call) || hand_over(call)) && result == CURLE_OK;
	scoped(http_answer_done) struct http_answer answer = call->transfer.answer;
	http_done *done = call->done;
	void *data = call->data;
	long status = 0;
	call->transfer.answer = (struct http_answer)HTTP_ANSWER_INIT;
	curl_easy_getinfo(call->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	answer.status = (int)status;
	bool answered = whole || tell_failure(call, result, &why);
	bool good = answered && transfer_check(&call->transfer, &answer, &answer.body, &why);
	/* Gone before done is called, which may start or cancel what it likes. */
	free_call(call);
	done(data, answered ? &answer : NULL, good ? NULL : &why);
}

/* How many ended. */
static int
collect(struct http_client *client)
{
	CURLMsg *message;
	int left, ended = 0;
	while ((message = curl_multi_info_read(client->multi, &left))) {
		char *call = NULL;
		CURLcode result = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
		end_call((struct http_call *)(void *)call, result);
		ended++;
	}
	return ended;
}

/* ---- curl's wishes on our loop ---- */

static void
on_ready(int fd, uint32_t events, void *data)
{
	struct http_client *client = data;
	int running;
	int what = (events & EPOLLIN ? CURL_CSELECT_IN : 0)
	           | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0)
	           | (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
	curl_multi_socket_action(client->multi, fd, what, &running);
	collect(client);
}

static void
on_timer(void *data)
{
	struct http_client *client = data;
	int running;
	curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(client);
}

static int
want_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *source_pointer)
{
	(void)easy;
	struct http_client *client = data;
	struct loop_source *source = source_pointer;
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0U)
	                  | (what & CURL_POLL_OUT ? EPOLLOUT : 0U);
	if (what == CURL_POLL_REMOVE) {
		loop_source_drop(&source);
	} else if (source) {
		loop_fd_events(source, events);
		return 0;
	} else {
		source = loop_fd(client->loop, fd, events, on_ready, client);
	}
	curl_multi_assign(client->multi, fd, source);
	return 0;
}

static int
want_timer(CURLM *multi, long timeout_ms, void *data)
{
	(void)multi;
	struct http_client *client = data;
	if (timeout_ms < 0)
		loop_timer_off(client->timer);
	else
		loop_timer_at(client->timer, clock_ms() + timeout_ms);
	return 0;
}

void
http_client_keep(struct http_client *client, size_t connections)
{
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)connections);
}

static void
put_on_loop(struct http_client *client)
{
	client->timer = loop_timer(client->loop, on_timer, client);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	/* Idle connections cost both sides: the long poll's and one more are enough. */
	http_client_keep(client, 2);
}

/* ---- by hand ---- */

bool
http_work(struct http_client *client, int64_t due, const struct tick *tick, struct failure *why)
{
	int running = 0;
	int64_t wait = due - clock_ms();
	curl_multi_perform(client->multi, &running);
	if (collect(client) == 0 && wait > 0)
		curl_multi_poll(client->multi, NULL, 0, (int)(wait < SLICE ? wait : SLICE), NULL);
	return tick_tell(tick, 0, 0) || fail(why, FAILURE_CANCELLED, "stopped");
}

/* ---- the client ---- */

struct http_client *
http_client_new(struct loop *loop)
{
	struct http_client *client = allocate(sizeof *client);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	client->loop = loop;
	client->multi = curl_multi_init();
	if (!client->multi)
		abort();
	if (loop)
		put_on_loop(client);
	return client;
}

void
http_client_free(struct http_client **client)
{
	if (!*client)
		return;
	while ((*client)->calls)
		free_call((*client)->calls);
	curl_multi_cleanup((*client)->multi);
	loop_source_drop(&(*client)->timer);
	free_pointer(client);
}
