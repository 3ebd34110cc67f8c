/* Requests on the event loop: curl's multi interface (libcurl-multi(3), "multi_socket"). */
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/clock.h"
#include "http_private.h"

#define ANSWER_LIMIT (1024 * 1024)

struct http_client {
	struct loop *loop;
	CURLM *multi;
	struct loop_source *timer;
	struct http_call *calls; /* under way */
};

struct http_call {
	struct http_client *client;
	struct http_call *next, **link; /* in the client's list */
	struct transfer transfer;
	size_t limit;
	http_done *done;
	void *data;
};

/* ---- calls ---- */

static size_t
on_bytes(char *bytes, size_t size, size_t count, void *data)
{
	struct http_call *call = data;
	struct text *body = &call->transfer.answer.body;
	if (body->length + size * count > call->limit)
		return 0;
	text_add(body, bytes, size * count);
	return size * count;
}

static void
free_call(struct http_call *call)
{
	curl_multi_remove_handle(call->client->multi, call->transfer.easy);
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	transfer_done(&call->transfer);
	free(call);
}

struct http_call *
http_start(struct http_client *client, const struct http_request *request, http_done *done,
           void *data)
{
	struct http_call *call = allocate(sizeof *call);
	call->client = client;
	call->limit = request->answer_limit ? request->answer_limit : ANSWER_LIMIT;
	call->done = done;
	call->data = data;
	call->next = client->calls;
	call->link = &client->calls;
	if (call->next)
		call->next->link = &call->next;
	client->calls = call;
	transfer_init(&call->transfer, request, on_bytes, call);
	curl_easy_setopt(call->transfer.easy, CURLOPT_PRIVATE, call);
	/* Begins by way of the timer function, so never from in here. */
	if (curl_multi_add_handle(client->multi, call->transfer.easy) != CURLM_OK)
		abort();
	return call;
}

void
http_cancel(struct http_call **call)
{
	if (*call)
		free_call(*call);
	*call = NULL;
}

/* ---- ends ---- */

static void
end_call(struct http_call *call, CURLcode result)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(http_answer_done) struct http_answer answer = call->transfer.answer;
	http_done *done = call->done;
	void *data = call->data;
	long status = 0;
	call->transfer.answer = (struct http_answer)HTTP_ANSWER_INIT;
	curl_easy_getinfo(call->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	answer.status = (int)status;
	bool answered = result == CURLE_OK || transfer_fail(&call->transfer, result, &why);
	bool good = answered && transfer_check(&call->transfer, &answer, &answer.body, &why);
	/* Gone before done is called, which may start or cancel what it likes. */
	free_call(call);
	done(data, answered ? &answer : NULL, good ? NULL : &why);
}

static void
collect(struct http_client *client)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(client->multi, &left))) {
		char *call = NULL;
		CURLcode result = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
		end_call((struct http_call *)(void *)call, result);
	}
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
	client->timer = loop_timer(loop, on_timer, client);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	/* Idle connections cost both sides: the long poll's and one more are enough. */
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 2L);
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
