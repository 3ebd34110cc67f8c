/* Forms, urlencoded or multipart, read as they come: their fields, and a file. A part of server.c.
 */
#ifndef DASHBOARD_SERVER_FORM_H
#define DASHBOARD_SERVER_FORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"
#include "outside/digest.h"

#define FORM_BYTES ((size_t)64 * 1024) /* of all fields beside a file */

struct MHD_Connection;
struct MHD_PostProcessor;

/* A file, kept in a temporary file without a name. */
struct request_file {
	int fd;         /* -1: no file came. Its position is at its end */
	char *filename; /* as the client says */
	int64_t size;
	char sha256[SHA256_TEXT];
};

/* Zeroed it takes no file, and no fields. */
struct form_reader {
	size_t limit;              /* bytes of all fields; what comes then is not read */
	struct request_file *file; /* where the part `file` goes; NULL: nowhere. Borrowed */
	int temporary;             /* directory fd for it; borrowed */

	struct MHD_PostProcessor *reader;
	struct form_field *fields; /* the last one first */
	size_t count, bytes;       /* of the fields */
	bool in_file;              /* the part that comes now is the file that is kept */
	struct digest *digest;     /* of the file, while it comes */
	struct failure trouble;    /* making or writing the file */
};

/* What comes next of the body. What is no form has no fields; of a broken one there are those
 * before the break. */
void form_reader_take(struct form_reader *form, struct MHD_Connection *connection,
                      const char *bytes, size_t length);
/* All of it came; again: nothing. */
void form_reader_end(struct form_reader *form);
/* The value of the last field of that name, the form's; or NULL. */
const char *form_reader_value(const struct form_reader *form, const char *name);
void form_reader_done(struct form_reader *form);

#endif
