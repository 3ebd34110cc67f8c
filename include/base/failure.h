/*
 * The one type for "it did not work".
 *
 * A function that can fail returns bool and takes `struct failure *why` as its last parameter.
 * true: done, its ret_ parameters are set. false: *why is set, ret_ parameters are untouched.
 * Leaving is one line:
 *
 *	return fail(why, FAILURE_HASH_MISMATCH, "%s hashes to %s, not to %s", key, got, wanted);
 *
 * Who sees what went wrong sets code and message; steps stamps the step; whether it is worth trying
 * again is a column of failure.def, never a caller's opinion.
 */
#ifndef BASE_FAILURE_H
#define BASE_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"

enum failure_code {
#define FAILURE(id, name, retryable, meaning) FAILURE_##id,
#include "base/failure.def"
#undef FAILURE
	FAILURE_CODES /* how many there are */
};

struct failure {
	enum failure_code code; /* FAILURE_NONE until something failed */
	bool retryable;         /* from the code's row */
	bool unanswered;        /* of a request: it was sent whole, so it may have been done */
	const char *step;       /* in which step of a job; a string constant, stamped by steps */
	char message[512];      /* one line for a person, with the names that matter */
	char *details; /* optional evidence, owned: last lines of a log, a server's answer */
};
#define FAILURE_INIT                                                                               \
	{                                                                                          \
	}

/* Sets code, retryable and message; details are dropped. Always false. why may be NULL (the caller
 * does not care). */
bool fail(struct failure *why, enum failure_code code, const char *fmt, ...) printf_like(3, 4);
/* The same with the code that fits errno, and ": strerror(errno)" after the message. Always false.
 */
bool fail_errno(struct failure *why, const char *fmt, ...) printf_like(2, 3);
/* Puts "prefix: " before the message, for context only the caller knows. Always false. */
bool fail_within(struct failure *why, const char *fmt, ...) printf_like(2, 3);
/* Evidence, copied; at most the last 64 KiB are kept. */
void failure_set_details(struct failure *why, const char *bytes, size_t length);
/* *to gets a copy of *from, its own details included. */
void failure_copy(struct failure *to, const struct failure *from);
/* Forgets it all; usable again. */
void failure_clear(struct failure *why);
/* For scoped(failure_done). */
void failure_done(struct failure *why);

const char *failure_name(enum failure_code code); /* as on the wire: "hash-mismatch" */
const char *failure_meaning(
    enum failure_code code); /* a sentence for `workerctl explain` and the manual */
bool failure_retryable(enum failure_code code);
/* false if no row has that wire name. */
bool failure_from_name(const char *name, enum failure_code *ret_code);
enum failure_code failure_from_errno(int number);
/*
 * What a program exits with (sysexits.h): 0 for NONE, EX_USAGE 64, EX_CONFIG 78, EX_SOFTWARE 70 for
 * INTERNAL, else EX_TEMPFAIL 75.
 */
int failure_exit_status(const struct failure *why);

#endif
