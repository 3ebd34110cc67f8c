/* What people ask for by the pages' forms; each answers with the page where its result shows. */
#ifndef DASHBOARD_FORMS_H
#define DASHBOARD_FORMS_H

#include "site.h"

handler form_build; /* POST /commits/ID/build, or its SHA */
handler
    form_run; /* POST /models/ID/run: algorithm, test_type, commit (default: the newest good one) */
handler form_ci;    /* POST /models/ID/ci: enabled, 1 or 0 */
handler form_model; /* POST /models, multipart: path, file, ci */

#endif
