#include "routes.h"

#include <string.h>

#include "access.h"
#include "api.h"
#include "base/log.h"
#include "contract.h"
#include "desk.h"
#include "downloads.h"
#include "forms.h"
#include "hook.h"
#include "pages.h"
#include "upload.h"

enum access {
	OPEN,    /* whoever can reach us */
	GUARDED, /* name and password; no other site's page */
	BY_HOOK, /* by the secrets of the hook */
};

struct route {
	const char *method;
	/* "/jobs/:/start": ':' stands for one part that is not empty; what stood there is
	 * request->parameter. */
	const char *pattern;
	enum access access;
	int64_t body; /* most bytes it may have; FILE_BODY: a form with a file */
	handler *handle;
};

#define FILE_BODY (-1)
#define KIB(N)    ((int64_t)(N) << 10)
#define MIB(N)    ((int64_t)(N) << 20)

static const struct route routes[] = {
    /* What the existing dashboard has. */
    {"POST", "/workers/register", GUARDED, KIB(64), contract_register},
    {"POST", "/workers/:/heartbeat", GUARDED, KIB(64), contract_heartbeat},
    {"POST", "/workers/:/unregister", GUARDED, KIB(64), contract_unregister},
    {"POST", "/jobs/:/start", GUARDED, KIB(64), contract_start},
    {"POST", "/jobs/:/finish", GUARDED, MIB(8), contract_finish},
    {"POST", "/models/:/upload", GUARDED, FILE_BODY, upload_model},
    {"POST", "/repo/post_commit/:", BY_HOOK, MIB(25), hook_push},

    /* The queue. */
    {"POST", "/queue/receive", GUARDED, KIB(64), desk_receive},
    {"POST", "/queue/cancel", GUARDED, KIB(64), desk_cancel},
    {"POST", "/queue/extend", GUARDED, KIB(64), desk_extend},
    {"POST", "/queue/acknowledge", GUARDED, KIB(64), desk_acknowledge},
    {"POST", "/queue/release", GUARDED, KIB(64), desk_release},

    /* What people look at. */
    {"GET", "/", OPEN, 0, page_overview},
    {"GET", "/commits", OPEN, 0, page_commits},
    {"GET", "/commits/:", OPEN, 0, page_commit},
    {"GET", "/builds", OPEN, 0, page_builds},
    {"GET", "/runs", OPEN, 0, page_runs},
    {"GET", "/jobs/:", OPEN, 0, page_job},
    {"GET", "/models", OPEN, 0, page_models},
    {"GET", "/models/:", OPEN, 0, page_model},
    {"GET", "/workers", OPEN, 0, page_workers},

    /* What they take home: jars and results want the password, as of old. */
    {"GET", "/commits/:/download", GUARDED, 0, download_jar},
    {"GET", "/jobs/:/result", GUARDED, 0, download_result},
    {"GET", "/models/:/download", GUARDED, 0, download_model},

    /* What they ask for. */
    {"POST", "/commits/:/build", GUARDED, KIB(64), form_build},
    {"POST", "/models", GUARDED, FILE_BODY, form_model},
    {"POST", "/models/:/run", GUARDED, KIB(64), form_run},
    {"POST", "/models/:/ci", GUARDED, KIB(64), form_ci},

    /* The same as the pages, for programs. */
    {"GET", "/api/overview", OPEN, 0, api_overview},
    {"GET", "/api/commits", OPEN, 0, api_commits},
    {"GET", "/api/commits/:", OPEN, 0, api_commit},
    {"GET", "/api/builds", OPEN, 0, api_builds},
    {"GET", "/api/runs", OPEN, 0, api_runs},
    {"GET", "/api/jobs/:", OPEN, 0, api_job},
    {"GET", "/api/models", OPEN, 0, api_models},
    {"GET", "/api/models/:", OPEN, 0, api_model},
    {"GET", "/api/workers", OPEN, 0, api_workers},
};

/* ---- which one ---- */

/* Does the path fit, and what stands for the open part? */
static bool
match(const char *pattern, const char *path, char **parameter)
{
	size_t fixed = strcspn(pattern, ":");
	if (strncmp(pattern, path, fixed) != 0)
		return false;
	if (!pattern[fixed])
		return path[fixed] == '\0';
	const char *open = path + fixed;
	size_t length = strcspn(open, "/");
	if (length == 0 || strcmp(open + length, pattern + fixed + 1) != 0)
		return false;
	*parameter = format("%.*s", (int)length, open);
	return true;
}

static const struct route *
find(struct request *request)
{
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
		if (strcmp(routes[i].method, request->method) == 0
		    && match(routes[i].pattern, request->path, &request->parameter))
			return &routes[i];
	return NULL;
}

/* ---- who may ---- */

static void
answer_unauthorized(struct request *request)
{
	static const char text[] = "Not authorized\n";
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	strings_add(&headers, "WWW-Authenticate: Basic realm=\"Restricted Area\"");
	const struct answer answer = {
	    .status = 401, .headers = &headers, .bytes = text, .length = strlen(text)};
	request_answer(request, &answer);
}

/* Whoever set up the hook sees the answer at best; the log is for whoever set up the secrets. */
static void
refuse_push(struct request *request, const struct dashboard_config *config)
{
	const char *why = config->hook_secret.value
	                      ? "wrong secret in the path"
	                      : "a password is set, and neither github-secret-file nor "
	                        "hook-secret-file";
	log_warning(NULL, "hook: a push was refused: %s", why);
	request_answer_text(request, 403, "403 - Forbidden: %s", why);
}

/* False, and answered, if it may not. */
static bool
admit(struct request *request, const struct route *route, const struct site *site)
{
	if (route->access == GUARDED && !access_is_authorized(request, site->config)) {
		answer_unauthorized(request);
	} else if (route->access == GUARDED && access_is_cross_site(request, site->config)) {
		request_answer_text(request, 403, "403 - Forbidden: another site sent this");
	} else if (route->access == BY_HOOK && !access_is_hook_path(request, site->config)) {
		refuse_push(request, site->config);
	} else {
		return true;
	}
	return false;
}

void
routes_arrived(struct request *request, void *data)
{
	const struct site *site = data;
	const struct route *route = find(request);
	request->route = route;
	if (!route)
		request_answer_text(request, 404, "<h1>Not Found</h1>");
	else if (!admit(request, route, site))
		return;
	else if (route->body == FILE_BODY)
		request_take_file(request, site->config->model_max_bytes);
	else
		request_take_body(request, (size_t)route->body);
}

void
routes_complete(struct request *request, void *data)
{
	const struct route *route = request->route;
	struct site *site = data;
	/* Before anything is written about when a message is visible. */
	waits_follow_clock(site->waits);
	route->handle(request, site);
}
