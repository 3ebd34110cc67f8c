/* The tables, and how a database of an earlier version becomes one of today. */
#ifndef DASHBOARD_SCHEMA_H
#define DASHBOARD_SCHEMA_H

#include "base/attributes.h"
#include "base/failure.h"
#include "database.h"

/* In one transaction. A database of a later version than this program's is refused. */
bool must_check schema_update(struct database *db, struct failure *why);

#endif
