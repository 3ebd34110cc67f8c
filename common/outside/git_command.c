/* The git protocol for libgit2 through a program's standard input and output. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "git_command.h"
#include "git_mirrored.h"
#include "git_state.h"
#include "git_wire.h"
#include "outside/child.h"

#define SLICE       200         /* ms between two ticks */
#define WORDS_LIMIT (64 * 1024) /* bytes of what the program itself says */
#define LAST_WORDS  1000        /* ms that it has for them when it ends */

struct stream;

struct transport {
	git_smart_subtransport parent;
	const struct git_command *command;
	struct stream *stream; /* one conversation serves listing and fetching */
};

struct stream {
	git_smart_subtransport_stream parent;
	const struct git_command *command;
	pid_t pid;
	int to, from, errors; /* fds; errors: what it says itself, -1 once it ended */
	struct text words;    /* the end of that */
	int64_t heard;        /* clock_ms() of the last byte */
	bool asked;           /* something: what comes is no list any more */
	struct git_list list;
};

static bool
make_pipe(int *ret_read, int *ret_write, struct failure *why)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail_errno(why, "cannot make a pipe");
	*ret_read = ends[0];
	*ret_write = ends[1];
	return true;
}

static bool
start(struct stream *stream, const char *url, struct failure *why)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT, environment = STRINGS_INIT;
	scoped_fd int child_in = -1, child_out = -1, child_errors = -1;
	if (!stream->command->prepare(url, &arguments, &environment, why)
	    || !make_pipe(&child_in, &stream->to, why) || !make_pipe(&stream->from, &child_out, why)
	    || !make_pipe(&stream->errors, &child_errors, why))
		return false;
	fcntl(stream->to, F_SETFL, O_NONBLOCK);
	fcntl(stream->errors, F_SETFL, O_NONBLOCK);
	struct child_start start = CHILD_START_INIT;
	start.program = stream->command->program;
	start.arguments = &arguments;
	start.environment = &environment;
	start.input = child_in;
	start.output = child_out;
	start.errors = child_errors;
	start.dies_with_us = true;
	stream->heard = clock_ms();
	return child_start(&start, &stream->pid, why);
}

/* What it says goes into words, of which the end is kept. At its end errors is closed. */
static void
hear_words(struct stream *stream)
{
	char block[4096];
	ssize_t got = read(stream->errors, block, sizeof block);
	if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
		close_fd(&stream->errors);
	if (got <= 0)
		return;
	text_add(&stream->words, block, (size_t)got);
	if (stream->words.length > WORDS_LIMIT) {
		size_t dropped = stream->words.length - WORDS_LIMIT / 2;
		stream->words.length -= dropped;
		memmove(stream->words.bytes, stream->words.bytes + dropped,
		        stream->words.length + 1);
	}
}

/* Ready for `events`? Asks the tick, and gives up on silence. */
static bool
await(struct stream *stream, int fd, short events)
{
	for (;;) {
		struct pollfd fds[] = {{.fd = fd, .events = events},
		                       {.fd = stream->errors, .events = POLLIN}};
		poll(fds, 2, SLICE);
		if (fds[1].revents)
			hear_words(stream);
		if (!tick_tell(git_state.tick, 0, 0))
			return fail(&git_state.why, FAILURE_CANCELLED, "stopped");
		if (fds[0].revents)
			return true;
		if (clock_ms() - stream->heard > git_state.access->stall_timeout)
			return fail(&git_state.why, FAILURE_STALLED, "%s: not a byte for %d s",
			            stream->command->name,
			            (int)(git_state.access->stall_timeout / 1000));
	}
}

/* What it said last, if it ended before the repository did. */
static bool
fail_with_words(struct stream *stream)
{
	scoped(text_done) struct text line = TEXT_INIT;
	struct text *words = &stream->words;
	int64_t until = clock_ms() + LAST_WORDS;
	while (stream->errors >= 0 && clock_ms() < until) {
		struct pollfd errors = {.fd = stream->errors, .events = POLLIN};
		if (poll(&errors, 1, SLICE) > 0)
			hear_words(stream);
	}
	while (words->length && words->bytes[words->length - 1] == '\n')
		words->bytes[--words->length] = '\0';
	const char *last = words->length ? strrchr(words->bytes, '\n') : NULL;
	last = last ? last + 1 : text_string(words);
	text_add_printable(&line, last, strlen(last), false);
	fail(&git_state.why, stream->command->judge(text_string(words)), "%s: %s",
	     stream->command->name, line.length ? line.bytes : "the connection ended");
	failure_set_details(&git_state.why, text_string(words), words->length);
	return false;
}

static int
stream_read(git_smart_subtransport_stream *base, char *buffer, size_t size, size_t *ret_length)
{
	struct stream *stream = (struct stream *)base;
	if (!await(stream, stream->from, POLLIN))
		return git_transport_failed();
	ssize_t got;
	while ((got = read(stream->from, buffer, size)) < 0 && errno == EINTR)
		;
	if (got < 0)
		fail_errno(&git_state.why, "%s: cannot read", stream->command->name);
	if (got < 0 || (got == 0 && !fail_with_words(stream)))
		return git_transport_failed();
	stream->heard = clock_ms();
	if (!stream->asked && !git_list_look(&stream->list, buffer, (size_t)got, &git_state.why))
		return git_transport_failed();
	*ret_length = (size_t)got;
	return 0;
}

static int
stream_write(git_smart_subtransport_stream *base, const char *bytes, size_t count)
{
	struct stream *stream = (struct stream *)base;
	scoped(text_done) struct text request = TEXT_INIT;
	git_add_request(&request, bytes, count, stream->list.offers_silence && !stream->asked,
	                &git_mirrored);
	stream->asked = true;
	const char *buffer = text_string(&request);
	size_t length = request.length;
	while (length > 0) {
		if (!await(stream, stream->to, POLLOUT))
			return git_transport_failed();
		ssize_t written = write(stream->to, buffer, length);
		if (written < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (written < 0) {
			fail_with_words(stream);
			return git_transport_failed();
		}
		buffer += written;
		length -= (size_t)written;
		stream->heard = clock_ms();
	}
	return 0;
}

static void
end_stream(struct stream *stream)
{
	close_fd(&stream->to);
	close_fd(&stream->from);
	close_fd(&stream->errors);
	text_done(&stream->words);
	if (stream->pid > 0) {
		kill(stream->pid, SIGKILL);
		while (waitpid(stream->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	free(stream);
}

static void
stream_free(git_smart_subtransport_stream *base)
{
	struct transport *transport = (struct transport *)base->subtransport;
	if (transport->stream == (struct stream *)base)
		transport->stream = NULL;
	end_stream((struct stream *)base);
}

static int
action(git_smart_subtransport_stream **out, git_smart_subtransport *base, const char *url,
       git_smart_service_t service)
{
	struct transport *transport = (struct transport *)base;
	if (service == GIT_SERVICE_UPLOADPACK && transport->stream) {
		*out = &transport->stream->parent;
		return 0;
	}
	struct stream *stream = allocate(sizeof *stream);
	stream->parent.subtransport = base;
	stream->parent.read = stream_read;
	stream->parent.write = stream_write;
	stream->parent.free = stream_free;
	stream->to = stream->from = stream->errors = -1;
	stream->command = transport->command;
	if (!start(stream, url, &git_state.why)) {
		end_stream(stream);
		return git_transport_failed();
	}
	transport->stream = stream;
	*out = &stream->parent;
	return 0;
}

static int
transport_close(git_smart_subtransport *base)
{
	(void)base; /* the stream is freed by libgit2 */
	return 0;
}

static void
transport_free(git_smart_subtransport *base)
{
	free(base);
}

int
git_command_subtransport(git_smart_subtransport **out, git_transport *owner, void *param)
{
	(void)owner;
	struct transport *transport = allocate(sizeof *transport);
	transport->parent.action = action;
	transport->parent.close = transport_close;
	transport->parent.free = transport_free;
	transport->command = param;
	*out = &transport->parent;
	return 0;
}
