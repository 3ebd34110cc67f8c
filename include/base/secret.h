/* Secrets in files: what stands in a configuration is where, never what. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"

/* A secret by reference, as the setting names it. */
struct secret {
	char
	    *path; /* or the name of a systemd credential, without a slash; NULL: none configured */
	char *value; /* as it was when the configuration was read */
};

/* The file's first line, at most 4 KiB, malloc'd; NULL if none is configured. FAILURE_CREDENTIALS:
 * it cannot be read, is empty, or everyone may read it. */
bool must_check secret_read(const struct secret *secret, char **ret_value, struct failure *why);
/* All of a file of secrets, at most `limit` bytes; fails likewise. The caller wipes the text. */
bool must_check secret_file_read(const char *path, size_t limit, struct text *text,
                                 struct failure *why);
/* The directory of credentials given by LoadCredential= (systemd.exec(5)), or NULL. */
const char *service_credentials(void);

#endif
