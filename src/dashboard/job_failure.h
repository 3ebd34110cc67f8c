/* Why a job failed, as a person wants it at 3 a.m.: in a line, and with the end of its log. */
#ifndef DASHBOARD_JOB_FAILURE_H
#define DASHBOARD_JOB_FAILURE_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "database.h"
#include "html.h"
#include "lists.h"

/* Is there a failure to tell of the job (a row, columns as of lists.h)? Also of a good one, whose
 * result could not be packaged, say. */
bool job_has_failure(struct rows *row);
/* What went wrong, in which step, on which worker, in which attempt. */
void job_failure_add_line(struct text *page, struct rows *row);
/* The end of the job's log, from the bottom up; nothing if there is none. */
bool must_check job_failure_add_log(struct text *page, struct database *db, int64_t id,
                                    struct failure *why);
/* If the latest finished job that the filter lets through has a failure: its line and its log. */
bool must_check job_failure_add_latest(struct text *page, struct database *db,
                                       const struct job_filter *filter, struct failure *why);

#endif
