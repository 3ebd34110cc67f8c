/* Workers as a table, for their own page and the overview, and what they do. */
#ifndef DASHBOARD_PAGE_WORKERS_H
#define DASHBOARD_PAGE_WORKERS_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "database.h"

bool must_check workers_table_add(struct text *page, struct database *db, struct failure *why);
/* The step and progress of a job, terms of a <dl>, as the workers that are at it told. */
bool must_check workers_add_progress(struct text *page, struct database *db, int64_t job,
                                     struct failure *why);

#endif
