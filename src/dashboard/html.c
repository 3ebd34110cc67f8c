#include "html.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "escape.h"

static const char style[] =
    ":root{color-scheme:light dark;--line:#8884;--soft:#8882;--good:#1a7f37;--bad:#cf222e;"
    "--busy:#9a6700}"
    "@media(prefers-color-scheme:dark){:root{--good:#3fb950;--bad:#f85149;--busy:#d29922}}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:75rem;padding:0 1rem 3rem}"
    "nav{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;align-items:baseline;padding:.8rem 0;"
    "border-bottom:1px solid var(--line)}nav b{font-size:1.1rem}"
    "nav a{text-decoration:none}nav a.here{font-weight:600;text-decoration:underline}"
    "h1{font-size:1.4rem;margin:1.2rem 0 .6rem}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);"
    "vertical-align:top;white-space:nowrap}td.text{white-space:normal;min-width:9rem}"
    "th{font-weight:600;font-size:.85rem;opacity:.75}td.number{font-variant-numeric:tabular-nums}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem;margin:0}"
    "dt{opacity:.75}dd{margin:0;overflow-wrap:anywhere}"
    "code,pre{font:13px/1.45 ui-monospace,monospace}"
    "pre{background:var(--soft);padding:.8rem;overflow:auto;max-height:32rem;border-radius:.4rem}"
    /* Reversed, so that without a script one sees the end first. */
    ".log{display:flex;flex-direction:column-reverse;overflow:auto;max-height:32rem;"
    "background:var(--soft);border-radius:.4rem;margin:.6rem 0}"
    ".log pre{background:none;margin:0;max-height:none;overflow:visible;min-width:max-content}"
    "table.narrow{width:auto}.forms{margin:.8rem 0}"
    ".failed td{border-bottom:0}.why{max-width:calc(100vw - 8rem)}"
    ".good{color:var(--good)}.bad{color:var(--bad)}.busy{color:var(--busy)}"
    ".state{font-weight:600}form{display:inline-flex;flex-wrap:wrap;gap:.5rem;"
    "align-items:center;margin:.2rem .8rem .2rem 0}"
    "footer{margin-top:2rem;opacity:.6}button,select,input{font:inherit;padding:.15rem "
    ".5rem}.none{opacity:.6}"
    ".boxes{display:flex;flex-wrap:wrap;gap:.8rem}"
    ".boxes div{border:1px solid var(--line);border-radius:.4rem;padding:.4rem .9rem}"
    ".boxes b{display:block;font-size:1.3rem}";

static const struct {
	const char *path, *name;
} places[] = {{"/", "Overview"},     {"/commits", "Commits"}, {"/builds", "Builds"},
              {"/models", "Models"}, {"/runs", "Runs"},       {"/workers", "Workers"}};

/* ---- escaping ---- */

/* Text from outside may hold what no page may: control characters, broken UTF-8. */
static void
add_text(struct text *page, const char *text)
{
	scoped(text_done) struct text printable = TEXT_INIT;
	text_add_printable(&printable, text ? text : "–", strlen(text ? text : "–"), true);
	escape_add(page, text_string(&printable));
}

void
html_addf(struct text *page, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	while (*fmt) {
		size_t plain = strcspn(fmt, "%");
		text_add(page, fmt, plain);
		fmt += plain;
		if (starts_with(fmt, "%s"))
			add_text(page, va_arg(args, const char *));
		else if (starts_with(fmt, "%d"))
			text_addf(page, "%d", va_arg(args, int));
		else if (starts_with(fmt, "%lld"))
			text_addf(page, "%lld", va_arg(args, long long));
		else if (starts_with(fmt, "%.1f"))
			text_addf(page, "%.1f", va_arg(args, double));
		else if (starts_with(fmt, "%%"))
			text_add(page, "%", 1);
		fmt += starts_with(fmt, "%lld") || starts_with(fmt, "%.1f") ? 4 : *fmt ? 2 : 0;
	}
	va_end(args);
}

/* ---- the frame ---- */

void
html_begin(struct text *page, const char *title, const char *place)
{
	html_addf(page,
	          "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
	          "<title>%s - moolloy</title><style>",
	          title);
	text_add_string(page, style);
	html_addf(page, "</style></head>\n<body><nav><b>moolloy</b>");
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		html_addf(page,
		          strings_equal(place, places[i].path)
		              ? " <a class=\"here\" href=\"%s\">%s</a>"
		              : " <a href=\"%s\">%s</a>",
		          places[i].path, places[i].name);
	html_addf(page, "</nav>\n<h1>%s</h1>\n", title);
}

static void
finish(struct request *request, struct text *page)
{
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	text_add_string(page, "<footer>Times are UTC.</footer></body></html>\n");
	strings_add(&headers, "Cache-Control: no-store");
	strings_add(
	    &headers,
	    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action "
	    "'self'; base-uri 'none'; frame-ancestors 'self'");
	const struct answer answer = {
	    .status = 200, .headers = &headers, .bytes = text_string(page), .length = page->length};
	request_answer(request, &answer);
}

void
html_answer(struct request *request, struct text *page, bool made, bool found,
            const struct failure *why)
{
	if (!made)
		request_answer_failure(request, why);
	else if (!found)
		request_answer_text(request, 404, "404 - Page not found.");
	else
		finish(request, page);
}

void
html_add_pages(struct text *page, const char *place, struct html_piece piece)
{
	html_addf(page, "<p>");
	if (piece.later)
		html_addf(page, "<a href=\"%s\">Newest</a> ", place);
	if (piece.count == piece.limit)
		html_addf(page, "<a href=\"%s?before=%lld&amp;limit=%lld\">Older</a>", place,
		          (long long)piece.last, (long long)piece.limit);
	html_addf(page, "</p>\n");
}

/* ---- values ---- */

void
html_add_time(struct text *page, int64_t ms)
{
	char text[WALL_TEXT_SIZE];
	if (!ms) {
		text_add_string(page, "<span class=\"none\">–</span>");
		return;
	}
	wall_text(ms, text);
	html_addf(page, "<time datetime=\"%s\">", text);
	text_addf(page, "%.10s %.8s</time>", text, text + 11);
}

void
html_add_seconds(struct text *page, double seconds)
{
	if (seconds >= 0 && seconds < 60) {
		text_addf(page, "%.1f s", seconds);
		return;
	}
	long long whole = seconds < 0 ? 0 : (long long)seconds;
	text_addf(page, "%02lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
}

void
html_add_state(struct text *page, const char *state, bool good)
{
	bool finished = strings_equal(state, "finished");
	const char *look = !finished ? "busy" : good ? "good" : "bad";
	if (!state)
		text_add_string(page, "<span class=\"none\">–</span>");
	else
		html_addf(page, "<span class=\"state %s\">%s</span>", look,
		          !finished ? state
		          : good    ? "✔ good"
		                    : "✘ failed");
}
