/* Workers as a table, for their own page and the overview. */
#ifndef DASHBOARD_PAGE_WORKERS_H
#define DASHBOARD_PAGE_WORKERS_H

#include "base/attributes.h"
#include "base/failure.h"
#include "base/text.h"
#include "database.h"

bool must_check workers_table_add(struct text *page, struct database *db, struct failure *why);

#endif
