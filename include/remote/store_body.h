/* What a kind of store must bring; for the bodies only. A body's struct begins with struct store.
 */
#ifndef REMOTE_STORE_BODY_H
#define REMOTE_STORE_BODY_H

#include "remote/store.h"

struct store_body {
	const char *type; /* value of store.type */
	bool local;       /* see store_is_local() */
	bool (*check)(const struct store_settings *settings, struct failure *why);
	char *(*server)(const struct store_settings *settings); /* see store_server(); NULL: none */
	bool (*open)(const struct store_settings *settings, struct store **ret,
	             struct failure *why);
	void (*close)(struct store *store);
	bool (*head)(struct store *store, const char *key, struct store_object *ret_object,
	             struct failure *why);
	bool (*get)(struct store *store, const char *key, int fd, const struct tick *tick,
	            struct store_object *ret_object, struct failure *why);
	bool (*open_object)(struct store *store, const char *key, const struct tick *tick,
	                    int *ret_fd, struct failure *why);
	bool (*set_sha256)(struct store *store, const char *key, const char *sha256,
	                   struct failure *why);
	bool (*begin)(struct store *store, const char *key, const struct store_put *put,
	              struct store_upload **ret, struct failure *why);
	bool (*write)(struct store_upload *upload, const void *bytes, size_t length,
	              struct failure *why);
	/* Instead of writing: the upload is `size` bytes of the file fd, which stays open until it
	 * is finished. NULL: there is no such way. */
	bool (*send)(struct store_upload *upload, int fd, int64_t size, struct failure *why);
	bool (*finish)(struct store_upload *upload, struct store_object *ret_object,
	               struct failure *why);
	void (*drop)(struct store_upload *upload); /* frees it, finished or not */
	/* NULL: none is ever left. */
	bool (*end_uploads)(struct store *store, const char *key, struct failure *why);
};

struct store {
	const struct store_body *body;
	char *description;
	struct tick tick; /* see store_set_tick() */
};

struct store_upload {
	struct store *store;
};

extern const struct store_body store_directory, store_s3;

#endif
