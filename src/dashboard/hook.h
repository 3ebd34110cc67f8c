/*
 * GitHub's push hook: every commit that was not known yet becomes a build job. The payload is the
 * body itself (application/json, GitHub's default of today) or the field `payload` of a form.
 */
#ifndef DASHBOARD_HOOK_H
#define DASHBOARD_HOOK_H

#include "site.h"

/* -> 200, the ids of the commits that are built, one a line. Nothing is stored of a push that is
 * refused. */
handler hook_push;

/* ISO 8601 with its offset ("2014-03-01T12:00:00-05:00"), in ms since 1970. */
bool hook_parse_time(const char *text, int64_t *ret_ms);

#endif
