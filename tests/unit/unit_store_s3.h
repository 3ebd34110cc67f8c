/* A store with an S3 bucket as its body, and the scripted server that it asks. */
#ifndef UNIT_STORE_S3_H
#define UNIT_STORE_S3_H

#include <stdio.h>

#include "base/files.h"
#include "remote/store.h"
#include "scripted.h"

#define KEY         "builds/x.jar"
#define ABC         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OTHER       "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DIGITS_HASH "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882" /* 0..9 */

#define ANSWER(STATUS, HEADERS, BODY)                                                              \
	"HTTP/1.1 " STATUS "\r\nConnection: close\r\n" HEADERS "\r\n" BODY
#define ETAG        "ETag: \"e1\"\r\n"
#define DIGITS      ETAG "Content-Length: 10\r\n"
#define RANGE(TEXT) "Content-Range: bytes " TEXT "\r\n"
#define NOTHING     "Content-Length: 0\r\n"
#define ABSENT      ANSWER("404 Not Found", NOTHING, "")

#define ERROR_DOCUMENT(STATUS, CODE) ANSWER(STATUS, "", "<Error><Code>" CODE "</Code></Error>")
#define NO_KEY                       ERROR_DOCUMENT("404 Not Found", "NoSuchKey")
#define TAKEN                        ERROR_DOCUMENT("412 Precondition Failed", "PreconditionFailed")
#define NO_LIST                      ERROR_DOCUMENT("403 Forbidden", "AccessDenied")
#define REFUSED                      ERROR_DOCUMENT("501 Not Implemented", "NotImplemented")
#define STORED                       ANSWER("200 OK", ETAG NOTHING, "")

struct site {
	struct server server;
	struct store_settings settings;
	struct store *store;
	struct store_object object;
	struct failure why;
	int fd; /* what was got */
};

static inline void
site_open(struct site *site, const struct scripted *script, size_t count)
{
	*site = (struct site){.fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
	server_start(&site->server, script, count);
	site->settings = (struct store_settings){.type = "s3",
	                                         .bucket = "jars",
	                                         .region = "eu-west-1",
	                                         .endpoint = site->server.url,
	                                         .path_style = "auto",
	                                         .prefix = "team",
	                                         .part_size = 5 << 20,
	                                         .concurrency = 1,
	                                         .stall_timeout = 1000};
	assert_true(store_open(&site->settings, &site->store, NULL));
}

/* The server's requests can be looked at afterwards. */
static inline void
site_close(struct site *site)
{
	store_close(&site->store);
	server_stop(&site->server);
}

static inline void
site_done(struct site *site)
{
	server_done(&site->server);
	failure_done(&site->why);
	close_fd(&site->fd);
}

#define SCRIPT(...)                                                                                \
	(const struct scripted[])                                                                  \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define COUNT(...) (sizeof(SCRIPT(__VA_ARGS__)) / sizeof(struct scripted))
#define SAY(ANSWER)                                                                                \
	{                                                                                          \
		.bytes = (ANSWER)                                                                  \
	}

#endif
