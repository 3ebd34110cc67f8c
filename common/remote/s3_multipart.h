/*
 * What multipart uploads need but for their parts (Amazon S3 User Guide, "Uploading and copying
 * objects using multipart upload"): begun, completed, ended.
 */
#ifndef REMOTE_S3_MULTIPART_H
#define REMOTE_S3_MULTIPART_H

#include "s3_object.h"

struct s3_multipart {
	struct s3_store *store;
	const char *key;
	char *id;             /* NULL: not begun, or over */
	struct strings etags; /* of the parts, from the first on; "": not there yet */
	unsigned asked;       /* how often it was to be begun: one each may lie there */
	bool fresh;           /* the last connection broke */
};
void s3_multipart_done(struct s3_multipart *multipart);

bool must_check s3_multipart_create(struct s3_multipart *multipart, const struct strings *headers,
                                    struct failure *why);
/* The query of part `number`; 0: of the upload itself. malloc'd. */
char *s3_multipart_query(const struct s3_multipart *multipart, size_t number);
/* Asks once, so that who hears nothing can look first. ret_answer (empty) is the caller's, always.
 */
bool must_check s3_multipart_complete(struct s3_multipart *multipart, const struct strings *headers,
                                      char ret_etag[STORE_VERSION], struct http_answer *ret_answer,
                                      struct failure *why);
/* Until it is gone, within 5 s; its parts must not be under way any more. What cannot be ended is
 * left to the bucket's lifecycle rules. */
void s3_multipart_abort(struct s3_multipart *multipart);
/* Ends all uploads of that key, within 5 s together. */
bool must_check s3_multipart_end_all(struct s3_store *store, const char *key, struct failure *why);
/* As far as that can be done. */
void s3_multipart_abort_all(struct s3_store *store, const char *key);

/* An ETag fit for a header and a document, into ret; FAILURE_BAD_ANSWER. */
bool must_check s3_etag_copy(const char *etag, char ret[STORE_VERSION], struct failure *why);

#endif
