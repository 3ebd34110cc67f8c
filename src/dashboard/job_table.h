/* Jobs as a table, and what several pages say of one. */
#ifndef DASHBOARD_JOB_TABLE_H
#define DASHBOARD_JOB_TABLE_H

#include "base/attributes.h"
#include "base/failure.h"
#include "database.h"
#include "html.h"

/* Reads all rows (columns as of lists.h) into a table; "none yet" if there are none. */
bool must_check job_table_add(struct text *page, struct rows *rows, struct failure *why);
/* A link to the commit: its first seven digits. */
void job_table_add_commit(struct text *page, int64_t id, const char *sha);
/* The first line of a commit's message. */
void job_table_add_comment(struct text *page, const char *comment);

#endif
