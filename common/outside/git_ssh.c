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

#define SSH   "/usr/bin/ssh"
#define SLICE 200 /* ms between two ticks */

extern char **environ;

struct ssh_stream;

struct ssh_transport {
	git_smart_subtransport parent;
	struct ssh_stream *stream; /* one conversation serves listing and fetching */
};

struct ssh_stream {
	git_smart_subtransport_stream parent;
	pid_t pid;
	int to, from, errors; /* fds; errors: a file of what ssh says */
	int64_t heard;        /* clock_ms() of the last byte */
};

/* ---- the address ---- */

struct address {
	char *host; /* user@host */
	char *port; /* or NULL */
	char *path;
};

static void
address_done(struct address *address)
{
	free(address->host);
	free(address->port);
	free(address->path);
}

/* ssh://[user@]host[:port]/path, or [user@]host:path. */
static bool
parse_address(const char *url, struct address *ret, struct failure *why)
{
	bool long_form = starts_with(url, "ssh://");
	const char *rest = long_form ? url + strlen("ssh://") : url;
	size_t host = strcspn(rest, long_form ? "/" : ":");
	struct address address = {.host = format("%.*s", (int)host, rest)};
	char *colon = long_form ? strrchr(address.host, ':') : NULL;
	if (colon) {
		address.port = copy_string(colon + 1);
		*colon = '\0';
	}
	address.path = copy_string(rest + host + (rest[host] && !long_form));
	*ret = address;
	bool odd = !address.host[0] || address.host[0] == '-' || !address.path[0]
	           || address.path[0] == '-'
	           || (address.port && strspn(address.port, "0123456789") != strlen(address.port));
	return !odd || fail(why, FAILURE_BAD_REPOSITORY, "'%.200s' is no ssh address", url);
}

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

static void
ssh_arguments(const struct address *address, struct strings *arguments)
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
	const struct repository_access *access = git_state.access;
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		strings_add(arguments, fixed[i]);
	if (access->ssh_key) {
		strings_addf(arguments, "-oIdentityFile=%s", access->ssh_key);
		strings_add(arguments, "-oIdentitiesOnly=yes");
	}
	if (access->ssh_known_hosts)
		strings_addf(arguments, "-oUserKnownHostsFile=%s", access->ssh_known_hosts);
	if (address->port)
		strings_addf(arguments, "-p%s", address->port);
	strings_add(arguments, address->host);
	scoped_free char *remote = quoted(address->path);
	strings_add(arguments, remote);
}

static bool
start_ssh(struct ssh_stream *stream, const struct address *address, struct failure *why)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT, environment = STRINGS_INIT;
	int in[2], out[2];
	ssh_arguments(address, &arguments);
	for (char **variable = environ; *variable; variable++)
		strings_add(&environment, *variable);
	stream->errors = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (pipe2(in, O_CLOEXEC) < 0)
		return fail_errno(why, "cannot make a pipe");
	scoped_fd int child_in = in[0];
	stream->to = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return fail_errno(why, "cannot make a pipe");
	scoped_fd int child_out = out[1];
	stream->from = out[0];
	fcntl(stream->to, F_SETFL, O_NONBLOCK);
	struct child_start start = CHILD_START_INIT;
	start.program = SSH;
	start.arguments = &arguments;
	start.environment = &environment;
	start.input = child_in;
	start.output = child_out;
	start.errors = stream->errors;
	start.dies_with_us = true;
	stream->heard = clock_ms();
	return child_start(&start, &stream->pid, why);
}

/* Ready for `events`? Asks the tick, and gives up on silence. */
static bool
await(struct ssh_stream *stream, int fd, short events)
{
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = events};
		int ready = poll(&poll_fd, 1, SLICE);
		if (!tick_tell(git_state.tick, 0, 0))
			return fail(&git_state.why, FAILURE_CANCELLED, "stopped");
		if (ready > 0)
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
	scoped(text_done) struct text words = TEXT_INIT, line = TEXT_INIT;
	if (lseek(stream->errors, 0, SEEK_SET) == 0)
		(void)!read_all(stream->errors, 64 * 1024, &words, NULL);
	while (words.length && words.bytes[words.length - 1] == '\n')
		words.bytes[--words.length] = '\0';
	const char *last = words.length ? strrchr(words.bytes, '\n') : NULL;
	last = last ? last + 1 : text_string(&words);
	text_add_printable(&line, last, strlen(last), false);
	bool refused = strstr(text_string(&words), "Permission denied") != NULL;
	bool unknown = strstr(text_string(&words), "Host key verification failed") != NULL;
	bool absent = strstr(text_string(&words), "does not appear to be a git repository")
	              || strstr(text_string(&words), "epository not found");
	fail(&git_state.why,
	     refused || unknown ? FAILURE_UNAUTHORIZED
	     : absent           ? FAILURE_NO_REPOSITORY
	                        : FAILURE_NETWORK,
	     "ssh: %s", line.length ? line.bytes : "the connection ended");
	failure_set_details(&git_state.why, text_string(&words), words.length);
	return false;
}

static int
stream_read(git_smart_subtransport_stream *base, char *buffer, size_t size, size_t *ret_length)
{
	struct ssh_stream *stream = (struct ssh_stream *)base;
	if (!await(stream, stream->from, POLLIN))
		return git_transport_failed();
	ssize_t got = read(stream->from, buffer, size);
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
	scoped(address_done) struct address address = {0};
	return parse_address(url, &address, &git_state.why)
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
