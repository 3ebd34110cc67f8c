/* The archives of models, as forms bring them, into the store. */
#ifndef DASHBOARD_UPLOAD_H
#define DASHBOARD_UPLOAD_H

#include "models.h"
#include "site.h"

/* POST /models/ID/upload, multipart part `file` -> 303 to the model's page. */
handler upload_model;

/* What is to be done once the archive is in the store; *ret_id: of its model. */
typedef bool upload_then(struct request *request, struct site *site,
                         const struct model_archive *archive, int64_t *ret_id, struct failure *why);
/*
 * Puts the form's file into the store under a key made of its hash, then answers with a redirect to
 * the model's page, or with the failure. No file, or one that is no archive by its name and first
 * bytes, is FAILURE_REJECTED.
 */
void upload_keep(struct request *request, struct site *site, upload_then *then);
/* The ending a model's key gets, ".tar.bz2"; NULL if name and first bytes are no archive's. */
const char *upload_ending(const char *filename, const unsigned char *magic, size_t length);

#endif
