/*
 * HTML, and the one place that escapes: html_addf() does it to every %s.
 *
 *	html_begin(&page, "Commits", "/commits");
 *	html_addf(&page, "<td><a href=\"/commits/%lld\">%s</a></td>", id, comment);
 *	html_answer(request, &page, made, found, &why);
 */
#ifndef DASHBOARD_HTML_H
#define DASHBOARD_HTML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/text.h"
#include "server.h"

/* Head, style and navigation; `place` is the navigation's entry that we are in. */
void html_begin(struct text *page, const char *title, const char *place);
/* Ends the page and answers the request with it, 200, if it could be made and its subject was
 * found; else the failure's answer, or 404. Nobody may keep a copy. */
void html_answer(struct request *request, struct text *page, bool made, bool found,
                 const struct failure *why);

/* A list of which only a piece is shown, sorted from the newest to the oldest. */
struct html_piece {
	bool later;           /* there is more before it */
	int64_t count, limit; /* rows shown, and how many may be */
	int64_t last;         /* id of the last of them */
};
/* Links from the piece to the newest and to the older ones. */
void html_add_pages(struct text *page, const char *place, struct html_piece piece);

/* Knows %s (escaped; NULL shows a dash), %d, %lld, %.1f and %%. */
void html_addf(struct text *page, const char *fmt, ...) printf_like(2, 3);

/* A moment, ms since 1970, as "2026-11-24 08:22:30" (UTC), or a dash for 0. */
void html_add_time(struct text *page, int64_t ms);
/* "00:12:07", as the existing dashboard shows times; below a minute "12.3 s". */
void html_add_seconds(struct text *page, double seconds);
/* A coloured word: "good", "bad", or what it is doing. finished: `good` counts. */
void html_add_state(struct text *page, const char *state, bool good);

#endif
