/*
 * Writing an object of an S3 bucket: the functions of struct store_body.
 *
 * A stream's bytes are gathered in a few slots of store.part-size that lie side by side. What ends
 * below 16 MiB goes as one PUT straight from them; of more, each full slot goes as a part,
 * store.concurrency of them at a time, while the next one is filled. Every request's bytes are
 * hashed for its signature, so the server checks them; the whole is hashed as it comes.
 *
 * A file is hashed before, for its metadata, and then read as it goes, so that it takes no memory
 * and its parts may be larger (s3_upload_file.c).
 *
 * An upload's random name is in the object's metadata: whoever hears no answer, or that the key is
 * taken, sees there whether the object is his.
 */
#ifndef REMOTE_S3_UPLOAD_H
#define REMOTE_S3_UPLOAD_H

#include "s3_object.h"

bool must_check s3_upload_begin(struct store *store, const char *key, const struct store_put *put,
                                struct store_upload **ret, struct failure *why);
bool must_check s3_upload_write(struct store_upload *upload, const void *bytes, size_t length,
                                struct failure *why);
bool must_check s3_upload_send(struct store_upload *upload, int fd, int64_t size,
                               struct failure *why);
bool must_check s3_upload_finish(struct store_upload *upload, struct store_object *ret_object,
                                 struct failure *why);
void s3_upload_drop(struct store_upload *upload);

#endif
