/*
 * Where jars, models and results lie: a key, bytes, and the SHA-256 of the bytes as metadata. One
 * interface, a body for each kind of store (store_body.h).
 * Blocking; for runners and the dashboard.
 *
 * Keys are relative paths of components of up to 200 [A-Za-z0-9._-], none hidden
 * ("builds/<commit>.jar"); anything else is FAILURE_REJECTED.
 */
#ifndef REMOTE_STORE_H
#define REMOTE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/settings.h"
#include "base/tick.h"
#include "outside/digest.h"
#include "remote/aws_keys.h"

/* The settings "store.*" and "aws.*", first in every program's configuration struct. */
struct store_settings {
	char *type; /* "directory", "s3" */
	char *path; /* directory: where */

	/* s3 */
	char *bucket, *region;
	char *endpoint;   /* NULL: AWS's own for the region */
	char *path_style; /* "auto", "yes", "no" */
	char *prefix;     /* before every key, with a slash between; or NULL */
	char *ca_file;
	int64_t part_size, concurrency; /* of multipart uploads */
	int64_t stall_timeout;
	struct aws_settings aws;
};
extern const struct settings store_settings_table;

#define STORE_VERSION 128

struct store_object {
	int64_t size;
	char sha256[SHA256_TEXT];    /* of the bytes when they were read or written here; for
	                                store_head() the metadata, "" if it has none */
	char version[STORE_VERSION]; /* names these bytes among all that the key ever held (S3:
	                                the ETag); "" where the store has no such thing */
};

struct store_put {
	bool once; /* must not replace: FAILURE_EXISTS if the key is taken, whoever came first */
	const char *replaces; /* must replace this version: FAILURE_EXISTS if the key holds another
	                         by now, where the store can tell; NULL or "": whatever it holds */
	const char
	    *sha256; /* what the bytes hash to, where it is known before; checked; NULL otherwise */
	const struct strings *earlier; /* keys of attempts that are over: uploads of them that were
	                                  begun and not finished are ended; or NULL */
};

struct store;
struct store_upload;

/* Do the settings of its type fit together? FAILURE_CONFIGURATION. */
bool must_check store_check(const struct store_settings *settings, struct failure *why);
/* Address of the server that looks at our clock; NULL: there is none. malloc'd. */
char *store_server(const struct store_settings *settings);
/* settings are borrowed. Nothing is asked of a server yet. */
bool must_check store_open(const struct store_settings *settings, struct store **ret,
                           struct failure *why);
void store_close(struct store **store);
/* Asked while a call waits that is given no tick of its own; copied. */
void store_set_tick(struct store *store, const struct tick *tick);
/* For logs: "directory /var/lib/...". Valid as long as the store. */
const char *store_describe(const struct store *store);
/* On this machine, so that caching what it holds gains nothing? */
bool store_is_local(const struct store *store);

bool must_check store_head(struct store *store, const char *key, struct store_object *ret_object,
                           struct failure *why);
/* Writes the object to fd, hashing on the way: compare ret_object->sha256 with what it must be.
 * FAILURE_NOT_FOUND. */
bool must_check store_get(struct store *store, const char *key, int fd, const struct tick *tick,
                          struct store_object *ret_object, struct failure *why);
/* The object opened for reading, for the dashboard's downloads; from afar it is fetched first. */
bool must_check store_open_object(struct store *store, const char *key, const struct tick *tick,
                                  int *ret_fd, struct failure *why);
/* Stores what fd, a file, holds from its start. Visible under the key only when whole. A store far
 * away gets to know its hash before; a file that changes meanwhile is FAILURE_HASH_MISMATCH. */
bool must_check store_put_fd(struct store *store, const char *key, int fd,
                             const struct store_put *put, const struct tick *tick,
                             struct store_object *ret_object, struct failure *why);
/* The object exists without metadata: it gets this SHA-256. FAILURE_EXISTS if it has another by
 * now. */
bool must_check store_set_sha256(struct store *store, const char *key, const char *sha256,
                                 struct failure *why);

/* A stream of unknown length: begin, write..., finish; what was not finished leaves nothing behind.
 */
bool must_check store_upload_begin(struct store *store, const char *key,
                                   const struct store_put *put, struct store_upload **ret,
                                   struct failure *why);
bool must_check store_upload_write(struct store_upload *upload, const void *bytes, size_t length,
                                   struct failure *why);
bool must_check store_upload_finish(struct store_upload **upload, struct store_object *ret_object,
                                    struct failure *why);
/* Ends the uploads of that key that were begun and not finished, also those of others. */
bool must_check store_end_uploads(struct store *store, const char *key, struct failure *why);
/* For scoped(): given up if not finished. */
void store_upload_drop(struct store_upload **upload);

#endif
