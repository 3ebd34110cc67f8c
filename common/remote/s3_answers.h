/* What S3's answers hold (Amazon S3 API Reference): errors, multipart uploads. */
#ifndef REMOTE_S3_ANSWERS_H
#define REMOTE_S3_ANSWERS_H

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"

/* An error document; all "" where the body is none. */
struct s3_error {
	struct text code, message, region;
};
#define S3_ERROR_INIT                                                                              \
	{                                                                                          \
	}
/* Is the body an error document? */
bool s3_error_read(struct s3_error *error, const struct text *body);
void s3_error_done(struct s3_error *error);

/* The text of the first element of that path ("CompleteMultipartUploadResult/ETag"); malloc'd.
 * FAILURE_BAD_ANSWER: none, or no document. */
bool must_check s3_answer_text(const struct text *body, const char *path, char **ret,
                               struct failure *why);

/* A multipart upload that was neither completed nor aborted. */
struct s3_found {
	const char *key, *id; /* key: the full one */
};
/* Calls visit for each upload of a ListMultipartUploads answer. */
bool must_check s3_each_upload(const struct text *body,
                               void (*visit)(const struct s3_found *found, void *data), void *data,
                               struct failure *why);

#endif
