/* Between s3_upload.c and s3_upload_publish.c: an upload, and how its object comes to lie in the
 * bucket for all to see. */
#ifndef REMOTE_S3_UPLOAD_PRIVATE_H
#define REMOTE_S3_UPLOAD_PRIVATE_H

#include "s3_multipart.h"
#include "s3_upload.h"

#define SINGLE_LIMIT ((size_t)16 << 20) /* up to here an object goes as one PUT */

/* A part under way, or room for one. */
struct slot {
	struct s3_upload *upload;
	struct s3_call *call;  /* NULL: free */
	size_t number;         /* of the part, from 1 */
	struct digest *digest; /* of what is in it, while it is filled */

	/* The part's bytes. */
	const char *bytes;      /* in memory; NULL: in the file */
	struct http_range file; /* there */
	size_t length;
	char sha256[SHA256_TEXT];
};

struct s3_upload {
	struct store_upload upload; /* must stay first */
	struct s3_store *store;
	char *key;
	bool once;
	char *replaces, *sha256; /* or NULL */
	char *name;              /* S3_META_UPLOAD */
	struct digest *digest;   /* of the whole; NULL: sha256 is it */
	int64_t size;
	struct http_range file; /* the whole; -1: a stream */
	int64_t gone;           /* of a file: bytes of parts that are over */

	char *memory; /* slots side by side */
	size_t part_size, slots;
	size_t concurrency; /* parts under way at a time */
	struct slot *slot;
	size_t current; /* slot that is filled */
	size_t filled;  /* bytes in it; before there is a multipart upload: in all of them */
	struct s3_multipart multipart;
	bool in_doubt;      /* of several multipart uploads asked for only one is known */
	struct failure why; /* of the first part that failed for good */
};

static inline const struct tick *
upload_tick(const struct s3_upload *upload)
{
	return &upload->store->store.tick;
}

/* The last request of an upload, which makes its object. */
struct publishing {
	struct s3_upload *upload;
	char etag[STORE_VERSION]; /* "": made, but not heard of */
	int status;               /* of the last answer; 0: none */
	struct s3_turns turns;
	bool (*ask)(struct publishing *publishing, struct http_answer *ret_answer,
	            struct failure *why);
};

/* Begins the multipart upload. */
bool must_check upload_create(struct s3_upload *upload, struct failure *why);
/* Sends the slot's bytes as the next part, once fewer than upload->concurrency are under way. */
bool must_check upload_send_part(struct slot *slot, struct failure *why);
/* The next slot that is free becomes upload->current: there are more than parts under way. */
void upload_find_slot(struct s3_upload *upload);
/* Lets the parts go on; does not wait if `due` is past. */
bool must_check upload_go_on(struct s3_upload *upload, int64_t due, struct failure *why);
/* Waits until no more than `most` parts are under way. */
bool must_check upload_wait(struct s3_upload *upload, size_t most, struct failure *why);

void upload_add_metadata(const struct s3_upload *upload, struct strings *headers);
/* If-Match or If-None-Match, where the server knows them. */
void upload_add_condition(const struct s3_upload *upload, struct strings *headers);
/* For servers that take no notice of conditions: what must not be replaced is not sent.
 * FAILURE_EXISTS. *ret_ours: this upload's object lies there already. */
bool must_check upload_look_first(const struct s3_upload *upload, bool *ret_ours,
                                  struct failure *why);
/* Asks until the object is there or will not be. */
bool must_check upload_publish(struct publishing *publishing, struct failure *why);
/* Does the object lie there as it was sent? etag: as the writing was answered; "" where it was not.
 * Gives object its version. */
bool must_check upload_verify(const struct s3_upload *upload, const char *etag,
                              struct store_object *object, struct failure *why);
/* What FAILURE_NOT_FOUND means of an upload; others stay. Always false. */
bool upload_explain_absence(const struct s3_upload *upload, struct failure *why);

#endif
