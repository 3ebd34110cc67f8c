#include "address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

#define BACKLOG 512

static bool
resolve(const char *host, const char *port, struct address *ret, struct failure *why)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC,
	                               .ai_socktype = SOCK_STREAM,
	                               .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
	struct addrinfo *found = NULL;
	int result = getaddrinfo(host, port, &hints, &found);
	if (result != 0)
		return fail(why, FAILURE_CONFIGURATION, "'%s' is no numeric address: %s", host,
		            gai_strerror(result));
	memcpy(&ret->socket, found->ai_addr, found->ai_addrlen);
	ret->length = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

bool
address_parse(const char *text, struct address *ret, struct failure *why)
{
	scoped_free char *host = copy_string(text ? text : "");
	char *colon = strrchr(host, ':');
	int64_t port;
	if (!colon || !number_parse(colon + 1, &port, NULL) || port < 0 || port > 65535)
		return fail(why, FAILURE_CONFIGURATION, "'%s' is not ADDRESS:PORT", host);
	*colon = '\0';
	char *bare = host;
	size_t length = strlen(host);
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = '\0';
		bare = host + 1;
	} else if (strchr(host, ':')) {
		return fail(why, FAILURE_CONFIGURATION, "'%s': write IPv6 as [ADDRESS]:PORT", text);
	}
	if (!bare[0])
		return fail(why, FAILURE_CONFIGURATION,
		            "'%s' names no address; 0.0.0.0:%s is all of them", text, colon + 1);
	struct address address = {};
	if (!resolve(strings_equal(bare, "localhost") ? "127.0.0.1" : bare, colon + 1, &address,
	             why))
		return false;
	*ret = address;
	return true;
}

bool
address_is_loopback(const struct address *address)
{
	if (address->socket.ss_family == AF_INET) {
		struct sockaddr_in four;
		memcpy(&four, &address->socket, sizeof four);
		return ntohl(four.sin_addr.s_addr) >> 24 == 127;
	}
	struct sockaddr_in6 six;
	memcpy(&six, &address->socket, sizeof six);
	return IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
}

static void
describe(const struct sockaddr_storage *socket, socklen_t length, struct text *text)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];
	if (getnameinfo((const struct sockaddr *)socket, length, host, sizeof host, port,
	                sizeof port, NI_NUMERICHOST | NI_NUMERICSERV)
	    != 0)
		text_add_string(text, "?");
	else
		text_addf(text, socket->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

bool
address_listen(const struct address *address, int *ret_fd, struct failure *why)
{
	scoped(text_done) struct text name = TEXT_INIT;
	describe(&address->socket, address->length, &name);
	scoped_fd int fd = socket(address->socket.ss_family,
	                          SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0
	    || bind(fd, (const struct sockaddr *)&address->socket, address->length) < 0
	    || listen(fd, BACKLOG) < 0)
		return fail_errno(why, "cannot listen on %s", text_string(&name));
	*ret_fd = take_fd(&fd);
	return true;
}

char *
address_of_socket(int fd)
{
	struct sockaddr_storage socket = {};
	socklen_t length = sizeof socket;
	struct text text = TEXT_INIT;
	if (getsockname(fd, (struct sockaddr *)&socket, &length) < 0)
		text_add_string(&text, "?");
	else
		describe(&socket, length, &text);
	return text_take(&text);
}
