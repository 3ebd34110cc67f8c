/*
 * A job as the queue gave it: read from the message (contract: YAML of the existing dashboard, or
 * JSON), handed to the runner as JSON, const ever after.
 */
#ifndef WORK_JOB_H
#define WORK_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/log.h"

enum job_type { JOB_BUILD, JOB_RUN };

struct job {
	char *id; /* [A-Za-z0-9_-]{1,64}; on the wire a number if all digits */
	enum job_type type;
	char *commit;     /* 40 or 64 hex digits */
	char *model_id;   /* run: for populated models; may be NULL */
	char *jar_key;    /* run */
	char *jar_sha256; /* run: what the jar must hash to; NULL: ask the object's metadata */
	char *model_key;  /* run */
	char *algorithm;  /* run: GIA IGIA CGIA PGIA OGIA; NULL: moolloy's own choice */
	int attempt;      /* how often the queue gave it out, this time included */
};
#define JOB_INIT                                                                                   \
	{                                                                                          \
		.attempt = 1                                                                       \
	}

enum job_reading {
	JOB_OURS,    /* a whole job */
	JOB_INVALID, /* version 2, but a field is wrong: *why says which; ret_job->id and type are
	                what could be read (id may be NULL) */
	JOB_FOREIGN, /* readable, of another version: other workers'; ret_job is empty */
	JOB_UNREADABLE, /* no YAML mapping at all; ret_job is empty */
};
/* Reads a message's body; ret_job is the caller's to job_done() in every case. */
enum job_reading job_read_message(const char *body, size_t length, struct job *ret_job,
                                  struct failure *why);

/* The runner's form: {"id":...,"type":"build",...}. malloc'd, pretty. */
char *job_write(const struct job *job);
bool must_check job_read(const char *bytes, size_t length, struct job *ret_job,
                         struct failure *why);
void job_done(struct job *job);

const char *job_type_name(enum job_type type); /* "build", "run" */

#endif
