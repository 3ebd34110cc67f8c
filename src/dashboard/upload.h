/* The archives of models, as forms bring them, into the store. */
#ifndef DASHBOARD_UPLOAD_H
#define DASHBOARD_UPLOAD_H

#include "models.h"
#include "site.h"

/* POST /models/ID/upload, multipart part `file` -> 303 to the model's page. */
handler upload_model;

/*
 * Puts the form's file into the store under a key made of its hash, and into the model's row.
 * FAILURE_REJECTED: no file, or one that is no archive by its name and first bytes;
 * FAILURE_NOT_FOUND: no such model.
 */
bool must_check upload_keep(struct site *site, const struct request_file *file, int64_t model_id,
                            struct failure *why);
/* The ending a model's key gets, ".tar.bz2"; NULL if name and first bytes are no archive's. */
const char *upload_ending(const char *filename, const unsigned char *magic, size_t length);

#endif
