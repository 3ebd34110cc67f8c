/*
 * Where an S3 bucket is and what its objects' addresses are (Amazon S3 User Guide, "Virtual hosting
 * of general purpose buckets"):
 *
 *	path style      https://HOST/BUCKET/PREFIX/KEY
 *	virtual host    https://BUCKET.HOST/PREFIX/KEY
 */
#ifndef REMOTE_S3_ADDRESS_H
#define REMOTE_S3_ADDRESS_H

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "remote/store.h"

/* Do store.bucket, store.region, store.endpoint, store.path-style and store.prefix name a bucket?
 * FAILURE_CONFIGURATION. */
bool must_check s3_address_check(const struct store_settings *settings, struct failure *why);

/* The rest is for settings that passed. All malloc'd. */

/* The bucket's own address, "http://127.0.0.1:8080/bucket". */
char *s3_bucket_url(const struct store_settings *settings);
/* What stands for a store's key in the bucket: "PREFIX/KEY". */
char *s3_full_key(const struct store_settings *settings, const char *key);
/* The address of a key (NULL: of the bucket), with that query ("uploads="; NULL: none). */
char *s3_url(const struct store_settings *settings, const char *key, const char *query);

/* Adds it percent-encoded as signatures want it: all but A-Z a-z 0-9 - . _ ~ and, if asked, /. */
void s3_encode(struct text *text, const char *string, bool keep_slashes);

#endif
