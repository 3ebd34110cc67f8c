/*
 * What must be told to dashboard and queue, on disk until it was:
 * <state>/outbox/<sequence>-<job>-<attempt>-<kind>.json.
 *
 * Entries of one job are told in the order they were added; jobs are independent of each other. An
 * entry that can never be told is parked (<state>/parked) and the job's next one follows. Every
 * change is durable when the call returns.
 */
#ifndef WORK_OUTBOX_H
#define WORK_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/backoff.h"
#include "base/failure.h"
#include "base/text.h"

enum outbox_kind {
	OUTBOX_START,       /* POST /jobs/ID/start */
	OUTBOX_UPLOAD,      /* POST /models/ID/upload, with a file that the outbox owns */
	OUTBOX_FINISH,      /* POST /jobs/ID/finish */
	OUTBOX_ACKNOWLEDGE, /* the queue's message goes away */
	OUTBOX_RELEASE,     /* the queue's message goes back */
};
const char *outbox_kind_name(enum outbox_kind kind); /* "start", ... */

/* The job of a letter about a message that was not taken, or of which no job's id could be read: no
 * id looks so. Such letters are independent of each other. */
#define OUTBOX_NO_JOB "(none)"

/* What is to be told. Strings are owned. */
struct outbox_letter {
	enum outbox_kind kind;
	char *job; /* or OUTBOX_NO_JOB */
	int attempt;
	char *path;    /* START, FINISH: of the URL */
	char *body;    /* START, FINISH */
	char *model;   /* UPLOAD: id of the model */
	char *file;    /* UPLOAD: path of the tarball; moved into the outbox by outbox_add() */
	char *receipt; /* ACKNOWLEDGE, RELEASE */
	int64_t delay; /* RELEASE: ms */
	bool handback; /* RELEASE */
	int64_t added; /* wall ms; set by outbox_add() */
};
void outbox_letter_done(struct outbox_letter *letter);

/* An entry as the outbox keeps it in memory: the letter itself stays on disk. */
struct outbox_entry {
	char *name; /* of its file */
	enum outbox_kind kind;
	char *job;
	int attempt;
	bool under_way;      /* being told just now */
	int64_t due;         /* clock_ms() from when it may be told */
	int64_t first_tried; /* clock_ms() of the first try in this life, 0 before */
	int64_t waited;      /* ms before that, as the wall clock says: there is no other over
	                        restarts */
	struct backoff backoff;
	int64_t
	    hold_at; /* ACKNOWLEDGE: clock_ms() when its message must be kept from others again */
	bool let_go; /* ACKNOWLEDGE: by taking it off the queue */
};

struct outbox;
/* Makes the directories if need be and reads what is there. */
bool must_check outbox_open(const char *state_directory, struct outbox **ret, struct failure *why);
void outbox_close(struct outbox **outbox);

/* Durably; the file of an UPLOAD is moved. The letter stays the caller's. */
bool must_check outbox_add(struct outbox *outbox, const struct outbox_letter *letter,
                           struct failure *why);
/* The entry that is its job's first, not under way, and due for the longest; NULL if there is none.
 * So those that were never tried go before those that failed. */
struct outbox_entry *outbox_next(struct outbox *outbox, int64_t now);
/* When outbox_next() should be asked again: clock_ms(), or -1 for not before something changes. */
int64_t outbox_next_due(const struct outbox *outbox);
/* The acknowledgement that waits for other letters of its job and whose hold_at is the soonest;
 * NULL if there is none. */
struct outbox_entry *outbox_held(struct outbox *outbox);
/* The entry of that name; NULL if it was told meanwhile. */
struct outbox_entry *outbox_find(struct outbox *outbox, const char *name);
bool must_check outbox_read(const struct outbox *outbox, const struct outbox_entry *entry,
                            struct outbox_letter *ret_letter, struct failure *why);
/* It was told: gone, with its file. Frees entry. */
bool must_check outbox_drop(struct outbox *outbox, struct outbox_entry *entry, struct failure *why);
/* It never can be: moved to parked with the reason beside it (<name>.why). Frees entry. */
bool must_check outbox_park(struct outbox *outbox, struct outbox_entry *entry,
                            const struct failure *reason, struct failure *why);
/* Drops the letters of that attempt which were not told yet and are not under way: it is another's,
 * or goes back. */
void outbox_forget(struct outbox *outbox, const char *job, int attempt);
/* Does it hold a letter of that kind about the attempt? */
bool outbox_holds(const struct outbox *outbox, enum outbox_kind kind, const char *job, int attempt);
/* Does it hold the letter that ends the attempt: its acknowledgement or release? */
bool outbox_ends(const struct outbox *outbox, const char *job, int attempt);

int64_t outbox_count(const struct outbox *outbox);
int64_t outbox_parked(const struct outbox *outbox);
/* Counts them anew, after somebody else put something into parked. */
bool must_check outbox_count_parked(struct outbox *outbox, struct failure *why);
/* Puts bytes that could not be understood (a queue's message) into parked, under a new name that
 * begins with `kind`, with the reason beside them. */
bool must_check outbox_park_bytes(struct outbox *outbox, const char *kind, const struct text *bytes,
                                  const struct failure *reason, struct failure *why);

#endif
