/* An S3 bucket as a store, and what its bodies share: an object's head. */
#ifndef REMOTE_S3_OBJECT_H
#define REMOTE_S3_OBJECT_H

#include "remote/store_body.h"
#include "s3.h"

/* Metadata of ours. */
#define S3_META_SHA256 "x-amz-meta-sha256" /* of the bytes, where it was known before they went */
#define S3_META_UPLOAD "x-amz-meta-upload" /* random: which upload they came by */

struct s3_store {
	struct store store;
	struct s3 *s3;
	bool unconditional; /* the server refuses If-Match and If-None-Match */
};

static inline struct s3_store *
s3_store_of(struct store *store)
{
	return (struct s3_store *)store;
}

/* Does the failure, with the answer's status, say that the server knows no If-Match and
 * If-None-Match? */
bool s3_refuses_conditions(int status, const struct failure *why);

/* What a HEAD says of an object. */
struct s3_head {
	int64_t size;
	char sha256[SHA256_TEXT];   /* "": none, or none that can be understood */
	char etag[STORE_VERSION];   /* with its quotes */
	char upload[STORE_VERSION]; /* "": none */
	char type[STORE_VERSION];   /* Content-Type; "": none */
};
#define S3_HEAD_INIT                                                                               \
	{                                                                                          \
	}

/* FAILURE_NOT_FOUND. */
bool must_check s3_head_object(struct s3_store *store, const char *key, const struct tick *tick,
                               struct s3_head *head, struct failure *why);
/* The same where none is expected: that there is no bucket is FAILURE_NOT_FOUND too, and comes out
 * when something is put there. */
bool must_check s3_look_for_object(struct s3_store *store, const char *key, const struct tick *tick,
                                   struct s3_head *head, struct failure *why);
/* The answer's size, ETag and metadata; FAILURE_BAD_ANSWER without an ETag or a length. */
bool must_check s3_head_read(const struct http_answer *answer, struct s3_head *head,
                             struct failure *why);

#endif
