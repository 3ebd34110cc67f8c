/* Smart HTTP for libgit2 over outside/http.h: one request a round (gitprotocol-http(5)). */
#include <stdlib.h>
#include <string.h>

#include "git_http.h"
#include "git_mirrored.h"
#include "git_state.h"
#include "git_wire.h"
#include "outside/git_address.h"
#include "outside/http.h"

/* A negotiation longer than this is none. */
#define REQUEST_LIMIT (64 * 1024 * 1024)

struct http_transport {
	git_smart_subtransport parent;
	struct git_list list;
};

struct http_stream_of_git {
	git_smart_subtransport_stream parent;
	char *url;
	const char *method, *accepted; /* media type of the answer */
	const char *sent;              /* media type of the body; NULL: none */
	struct text body;              /* written so far */
	struct http_stream *stream;    /* once anything was read */
};

static struct http_transport *
transport_of(const struct http_stream_of_git *git)
{
	return (struct http_transport *)git->parent.subtransport;
}

/* The token is for the main repository's host, not for where a submodule leads. */
static bool
is_host_of_token(const char *url)
{
	const struct repository_access *access = git_state.access;
	return access->token && access->token_url && repository_same_host(url, access->token_url);
}

static bool
check_answer(const struct http_stream_of_git *git)
{
	struct failure *why = &git_state.why;
	const struct http_answer *answer = http_stream_answer(git->stream);
	const char *type = http_header(answer, "content-type");
	if (!http_stream_check(git->stream, why)) {
		scoped_free char *message = copy_string(why->message);
		if (answer->status == 404 || answer->status / 100 == 3)
			return fail(why, FAILURE_NO_REPOSITORY, "%s", message);
		if (answer->status == 403)
			return fail(why, FAILURE_UNAUTHORIZED, "%s", message);
		return false;
	}
	return strings_equal(type, git->accepted)
	       || fail(why, FAILURE_NO_REPOSITORY, "no git server answers there (%d, %s)",
	               answer->status, type ? type : "no content type");
}

static bool
open_stream(struct http_stream_of_git *git)
{
	const struct repository_access *access = git_state.access;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	strings_addf(&headers, "Accept: %s", git->accepted);
	if (git->sent)
		strings_addf(&headers, "Content-Type: %s", git->sent);
	struct http_request request = {.method = git->method,
	                               .url = git->url,
	                               .headers = &headers,
	                               .body = git->sent ? text_string(&git->body) : NULL,
	                               .body_length = git->body.length,
	                               .ca_file = access->ca_file,
	                               .stall_timeout = access->stall_timeout};
	if (is_host_of_token(git->url)) {
		request.username = access->username ? access->username : "git";
		request.password = access->token;
	}
	return http_open(&request, git_state.tick, &git->stream, &git_state.why)
	       && check_answer(git);
}

static int
stream_read(git_smart_subtransport_stream *stream, char *buffer, size_t size, size_t *ret_length)
{
	struct http_stream_of_git *git = (struct http_stream_of_git *)stream;
	if (!git->stream && !open_stream(git))
		return git_transport_failed();
	if (!http_read(git->stream, buffer, size, ret_length, &git_state.why))
		return git_transport_failed();
	struct git_list *list = &transport_of(git)->list;
	if (!git->sent && !git_list_look(list, buffer, *ret_length, &git_state.why))
		return git_transport_failed();
	return 0;
}

static int
stream_write(git_smart_subtransport_stream *stream, const char *buffer, size_t length)
{
	struct http_stream_of_git *git = (struct http_stream_of_git *)stream;
	if (git->body.length + length > REQUEST_LIMIT) {
		fail(&git_state.why, FAILURE_REPOSITORY, "the negotiation does not end");
		return git_transport_failed();
	}
	git_add_request(&git->body, buffer, length, transport_of(git)->list.offers_silence,
	                &git_mirrored);
	return 0;
}

static void
stream_free(git_smart_subtransport_stream *stream)
{
	struct http_stream_of_git *git = (struct http_stream_of_git *)stream;
	http_close(&git->stream);
	text_done(&git->body);
	free(git->url);
	free(git);
}

static int
action(git_smart_subtransport_stream **out, git_smart_subtransport *transport, const char *url,
       git_smart_service_t service)
{
	bool list = service == GIT_SERVICE_UPLOADPACK_LS;
	if (!list && service != GIT_SERVICE_UPLOADPACK) {
		fail(&git_state.why, FAILURE_INTERNAL, "only fetching is known");
		return git_transport_failed();
	}
	struct http_stream_of_git *git = allocate(sizeof *git);
	git->parent.subtransport = transport;
	git->parent.read = stream_read;
	git->parent.write = stream_write;
	git->parent.free = stream_free;
	size_t length = strlen(url);
	while (length && url[length - 1] == '/')
		length--;
	git->url = format("%.*s/%s", (int)length, url,
	                  list ? "info/refs?service=git-upload-pack" : "git-upload-pack");
	git->method = list ? "GET" : "POST";
	git->sent = list ? NULL : "application/x-git-upload-pack-request";
	git->accepted = list ? "application/x-git-upload-pack-advertisement"
	                     : "application/x-git-upload-pack-result";
	*out = &git->parent;
	return 0;
}

static int
transport_close(git_smart_subtransport *transport)
{
	(void)transport;
	return 0;
}

static void
transport_free(git_smart_subtransport *transport)
{
	free(transport);
}

int
git_http_subtransport(git_smart_subtransport **out, git_transport *owner, void *param)
{
	(void)owner, (void)param;
	struct http_transport *transport = allocate(sizeof *transport);
	transport->parent.action = action;
	transport->parent.close = transport_close;
	transport->parent.free = transport_free;
	*out = &transport->parent;
	return 0;
}
