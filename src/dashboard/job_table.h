/* Jobs as a table, and what several pages say of one. */
#ifndef DASHBOARD_JOB_TABLE_H
#define DASHBOARD_JOB_TABLE_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "database.h"
#include "html.h"

struct job_table {
	bool runs;                  /* of runs, else of builds */
	bool one_commit, one_model; /* all rows have the same, which the page tells already */
	int64_t count;              /* of rows, and the last one's id: job_table_add() sets them */
	int64_t last;
};

/* Reads all rows (columns as of lists.h) into a table; "none yet" if there are none. What failed
 * has a second line that says why. */
bool must_check job_table_add(struct text *page, struct rows *rows, struct job_table *table,
                              struct failure *why);
/* A link to the commit: its first seven digits. */
void job_table_add_commit(struct text *page, int64_t id, const char *sha);
/* The first line of a commit's message. */
void job_table_add_comment(struct text *page, const char *comment);

#endif
