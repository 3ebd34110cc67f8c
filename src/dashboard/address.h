/* Where to listen: numeric address and port. */
#ifndef DASHBOARD_ADDRESS_H
#define DASHBOARD_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/attributes.h"
#include "base/failure.h"

struct address {
	struct sockaddr_storage socket;
	socklen_t length;
};

/* "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:80", "localhost:0". */
bool must_check address_parse(const char *text, struct address *ret, struct failure *why);
bool address_is_loopback(const struct address *address);
/* A listening socket, not blocking. */
bool must_check address_listen(const struct address *address, int *ret_fd, struct failure *why);
/* What the socket is bound to, "127.0.0.1:41234"; malloc'd. */
char *address_of_socket(int fd);

#endif
