/*
 * What the pages show, as JSON. Commits, builds and runs come from the newest to the oldest, in
 * pieces: ?limit= (100) and ?before=ID; all models by path, all workers by name.
 */
#ifndef DASHBOARD_API_H
#define DASHBOARD_API_H

#include "site.h"

handler api_overview; /* GET /api/overview */
handler api_commits;  /* GET /api/commits */
handler api_commit;   /* GET /api/commits/ID, or its SHA */
handler api_builds;   /* GET /api/builds */
handler api_runs;     /* GET /api/runs */
handler api_job;      /* GET /api/jobs/ID: also error_details */
handler api_models;   /* GET /api/models */
handler api_model;    /* GET /api/models/ID */
handler api_workers;  /* GET /api/workers */

#endif
