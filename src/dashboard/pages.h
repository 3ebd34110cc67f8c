/* The pages people look at: server-rendered, no script, nothing from elsewhere. */
#ifndef DASHBOARD_PAGES_H
#define DASHBOARD_PAGES_H

#include "site.h"

handler page_overview; /* GET / */
handler page_commits;  /* GET /commits */
handler page_commit;   /* GET /commits/ID, or its SHA */
handler page_builds;   /* GET /builds */
handler page_runs;     /* GET /runs */
handler page_job;      /* GET /jobs/ID */
handler page_models;   /* GET /models */
handler page_model;    /* GET /models/ID */
handler page_workers;  /* GET /workers */

#endif
