/* Objects of the store, for people: jars, results, models. */
#ifndef DASHBOARD_DOWNLOADS_H
#define DASHBOARD_DOWNLOADS_H

#include "site.h"

handler download_jar;    /* GET /commits/ID/download, or its SHA */
handler download_result; /* GET /jobs/ID/result: of a run the tarball, of a build its jar */
handler download_model;  /* GET /models/ID/download */

#endif
