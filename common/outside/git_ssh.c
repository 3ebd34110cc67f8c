/* The git protocol for libgit2 through /usr/bin/ssh, which knows keys, agents, known hosts and its
 * own configuration. */
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
#include "git_ssh.h"
#include "git_state.h"
#include "outside/child.h"
#include "outside/git_address.h"

#define SSH         "/usr/bin/ssh"
#define SLICE       200         /* ms between two ticks */
#define WORDS_LIMIT (64 * 1024) /* bytes of what ssh itself says */
#define LAST_WORDS  1000        /* ms that ssh has for them when it ends */

struct ssh_stream;

struct ssh_transport {
	git_smart_subtransport parent;
	struct ssh_stream *stream; /* one conversation serves listing and fetching */
};

struct ssh_stream {
	git_smart_subtransport_stream parent;
	pid_t pid;
	int to, from, errors; /* fds; errors: what ssh says itself, -1 once it ended */
	struct text words;    /* the end of that */
	int64_t heard;        /* clock_ms() of the last byte */
};

/* For the shell on the other side. */
static char *
quoted(const char *path)
{
	struct text text = TEXT_INIT;
	text_add_string(&text, "git-upload-pack '");
	for (; *path; path++)
		text_add_string(&text, *path == '\'' ? "'\\''" : (const char[]){*path, '\0'});
	text_add_string(&text, "'");
	return text_take(&text);
}

/* ---- the conversation ---- */

/* A path as a value of ssh's configuration: there blanks part it, and % and ${ mean something. */
static bool
add_path(struct strings *arguments, const char *option, const char *path, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	if (strstr(path, "${"))
		return fail(why, FAILURE_CONFIGURATION, "ssh takes no path with ${: %s", path);
	for (; *path; path++) {
		if (*path == '"' || *path == '\\')
			text_add(&text, "\\", 1);
		text_add(&text, *path == '%' ? "%%" : path, *path == '%' ? 2 : 1);
	}
	strings_addf(arguments, "-o%s=\"%s\"", option, text_string(&text));
	return true;
}

/* Configured known hosts are the only ones that count. */
static bool
add_identity(struct strings *arguments, struct failure *why)
{
	const struct repository_access *access = git_state.access;
	if (access->ssh_key) {
		if (!add_path(arguments, "IdentityFile", access->ssh_key, why))
			return false;
		strings_add(arguments, "-oIdentitiesOnly=yes");
	}
	if (access->ssh_known_hosts) {
		if (!add_path(arguments, "UserKnownHostsFile", access->ssh_known_hosts, why))
			return false;
		strings_add(arguments, "-oGlobalKnownHostsFile=/dev/null");
		strings_add(arguments, "-oKnownHostsCommand=none");
	}
	return true;
}

static bool
ssh_arguments(const struct ssh_address *address, struct strings *arguments, struct failure *why)
{
	static const char *const fixed[] = {"ssh",
	                                    "-T",
	                                    "-oBatchMode=yes",
	                                    "-oStrictHostKeyChecking=yes",
	                                    "-oConnectTimeout=10",
	                                    "-oServerAliveInterval=15",
	                                    "-oServerAliveCountMax=4",
	                                    "-oForwardAgent=no",
	                                    "-oClearAllForwardings=yes"};
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		strings_add(arguments, fixed[i]);
	if (!add_identity(arguments, why))
		return false;
	if (address->port)
		strings_addf(arguments, "-p%s", address->port);
	if (address->user)
		strings_addf(arguments, "-l%s", address->user);
	strings_add(arguments, "--");
	strings_add(arguments, address->host);
	scoped_free char *remote = quoted(address->path);
	strings_add(arguments, remote);
	return true;
}

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
start_ssh(struct ssh_stream *stream, const struct ssh_address *address, struct failure *why)
{
	/* For the store and the queue: no business of ssh and what it is configured to start. */
	static const char *const keys[] = {"AWS_", "CREDENTIALS_DIRECTORY=", NULL};
	scoped(strings_done) struct strings arguments = STRINGS_INIT, environment = STRINGS_INIT;
	scoped_fd int child_in = -1, child_out = -1, child_errors = -1;
	if (!ssh_arguments(address, &arguments, why))
		return false;
	child_inherit(keys, &environment);
	if (!make_pipe(&child_in, &stream->to, why) || !make_pipe(&stream->from, &child_out, why)
	    || !make_pipe(&stream->errors, &child_errors, why))
		return false;
	fcntl(stream->to, F_SETFL, O_NONBLOCK);
	fcntl(stream->errors, F_SETFL, O_NONBLOCK);
	struct child_start start = CHILD_START_INIT;
	start.program = SSH;
	start.arguments = &arguments;
	start.environment = &environment;
	start.input = child_in;
	start.output = child_out;
	start.errors = child_errors;
	start.dies_with_us = true;
	stream->heard = clock_ms();
	return child_start(&start, &stream->pid, why);
}

/* What ssh says goes into words, of which the end is kept. At its end errors is closed. */
static void
hear_words(struct ssh_stream *stream)
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
await(struct ssh_stream *stream, int fd, short events)
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
			return fail(&git_state.why, FAILURE_STALLED, "ssh: not a byte for %d s",
			            (int)(git_state.access->stall_timeout / 1000));
	}
}

/* What ssh said last, if it ended before the repository did. */
static bool
fail_with_words(struct ssh_stream *stream)
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
	bool refused = strstr(text_string(words), "Permission denied") != NULL;
	bool unknown = strstr(text_string(words), "Host key verification failed") != NULL;
	bool absent = strstr(text_string(words), "does not appear to be a git repository")
	              || strstr(text_string(words), "epository not found");
	fail(&git_state.why,
	     refused || unknown ? FAILURE_UNAUTHORIZED
	     : absent           ? FAILURE_NO_REPOSITORY
	                        : FAILURE_NETWORK,
	     "ssh: %s", line.length ? line.bytes : "the connection ended");
	failure_set_details(&git_state.why, text_string(words), words->length);
	return false;
}

static int
stream_read(git_smart_subtransport_stream *base, char *buffer, size_t size, size_t *ret_length)
{
	struct ssh_stream *stream = (struct ssh_stream *)base;
	if (!await(stream, stream->from, POLLIN))
		return git_transport_failed();
	ssize_t got;
	while ((got = read(stream->from, buffer, size)) < 0 && errno == EINTR)
		;
	if (got < 0)
		fail_errno(&git_state.why, "ssh: cannot read");
	if (got < 0 || (got == 0 && !fail_with_words(stream)))
		return git_transport_failed();
	stream->heard = clock_ms();
	*ret_length = (size_t)got;
	return 0;
}

static int
stream_write(git_smart_subtransport_stream *base, const char *buffer, size_t length)
{
	struct ssh_stream *stream = (struct ssh_stream *)base;
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
end_stream(struct ssh_stream *stream)
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
	struct ssh_transport *transport = (struct ssh_transport *)base->subtransport;
	if (transport->stream == (struct ssh_stream *)base)
		transport->stream = NULL;
	end_stream((struct ssh_stream *)base);
}

static bool
begin_stream(struct ssh_stream *stream, const char *url)
{
	scoped(ssh_address_done) struct ssh_address address = {0};
	return ssh_address_parse(url, &address, &git_state.why)
	       && start_ssh(stream, &address, &git_state.why);
}

static int
action(git_smart_subtransport_stream **out, git_smart_subtransport *base, const char *url,
       git_smart_service_t service)
{
	struct ssh_transport *transport = (struct ssh_transport *)base;
	if (service == GIT_SERVICE_UPLOADPACK && transport->stream) {
		*out = &transport->stream->parent;
		return 0;
	}
	struct ssh_stream *stream = allocate(sizeof *stream);
	stream->parent.subtransport = base;
	stream->parent.read = stream_read;
	stream->parent.write = stream_write;
	stream->parent.free = stream_free;
	stream->to = stream->from = stream->errors = -1;
	if (!begin_stream(stream, url)) {
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
git_ssh_subtransport(git_smart_subtransport **out, git_transport *owner, void *param)
{
	(void)owner, (void)param;
	struct ssh_transport *transport = allocate(sizeof *transport);
	transport->parent.action = action;
	transport->parent.close = transport_close;
	transport->parent.free = transport_free;
	*out = &transport->parent;
	return 0;
}
