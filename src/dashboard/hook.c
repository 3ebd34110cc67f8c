#include "hook.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#include "access.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "commits.h"
#include "jobs.h"
#include "outside/json.h"

#define COMMITS 4096 /* of one push; GitHub sends 2048 at most */

/* ---- the payload ---- */

static bool
is_json(struct request *request)
{
	const char *type = request_header(request, "Content-Type");
	return type && strncasecmp(type, "application/json", strlen("application/json")) == 0;
}

static bool
read_payload(struct request *request, struct json_t **ret, struct failure *why)
{
	const char *text = text_string(&request->body);
	size_t length = request->body.length;
	if (!is_json(request)) {
		text = request_field(request, "payload");
		length = text ? strlen(text) : 0;
	}
	if (!text)
		return fail(why, FAILURE_REJECTED, "the form has no payload");
	struct failure inner = FAILURE_INIT;
	if (!js_parse(text, length, ret, &inner))
		return fail(why, FAILURE_REJECTED, "payload: %s", inner.message);
	return true;
}

bool
hook_parse_time(const char *text, int64_t *ret_ms)
{
	/* The second one is of hooks of 2014. */
	static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S%z", "%Y/%m/%d %H:%M:%S %z"};
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		struct tm parts = {};
		const char *end = strptime(text, formats[i], &parts);
		if (!end || *end)
			continue;
		long offset = parts.tm_gmtoff; /* timegm() forgets it */
		*ret_ms = ((int64_t)timegm(&parts) - offset) * 1000;
		return true;
	}
	return false;
}

static char *
lower(const char *text)
{
	char *copy = copy_string(text);
	for (char *c = copy; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

/* ---- the push ---- */

/* Adds the commit and its build, if it is news, and its id to *built. */
static bool
take_commit(struct site *site, const struct json_t *item, struct text *built, struct failure *why)
{
	scoped_free char *sha = lower(js_string(item, "id") ? js_string(item, "id") : "");
	const char *time = js_string(item, "timestamp");
	const char *message = js_string(item, "message");
	struct commit commit = {.sha = sha, .comment = message ? message : ""};
	int64_t commit_id, job_id;
	if (!commits_is_sha(sha))
		return fail(why, FAILURE_REJECTED, "a commit's id is not 40 or 64 hex digits");
	if (!time)
		return fail(why, FAILURE_REJECTED, "commit %s has no timestamp", sha);
	if (!hook_parse_time(time, &commit.time))
		commit.time = wall_ms();
	if (!commits_add(site->db, &commit, &commit_id, why))
		return false;
	if (commit_id == 0)
		return true;
	text_addf(built, "%s\n", sha);
	return jobs_request_build(site->db, commit_id, &job_id, why);
}

static bool
take_push(struct site *site, const struct json_t *payload, struct text *built, struct failure *why)
{
	scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
	const struct json_t *commits = js_member(payload, "commits");
	size_t count = js_size(commits);
	if (!js_is_array(commits))
		return fail(why, FAILURE_REJECTED, "payload has no commits");
	if (count > COMMITS)
		return fail(why, FAILURE_REJECTED, "payload has more than %d commits", COMMITS);
	if (!transaction_begin(&change, site->db, why))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!take_commit(site, js_item(commits, i), built, why))
			return false;
	return transaction_commit(&change, why);
}

/* Does the event, as GitHub names it, tell of commits? Other senders name none. */
static bool
is_push(struct request *request)
{
	const char *event = request_header(request, "X-GitHub-Event");
	return !event || strcmp(event, "push") == 0;
}

static void
log_built(const struct text *built)
{
	for (const char *line = text_string(built); *line; line += strcspn(line, "\n") + 1)
		log_info(NULL, "hook: commit %.*s is to be built", (int)strcspn(line, "\n"), line);
}

void
hook_push(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(js_drop) struct json_t *payload = NULL;
	scoped(text_done) struct text built = TEXT_INIT;
	if (!access_is_signed(request, site->config)) {
		fail(&why, FAILURE_FORBIDDEN, "the signature is missing or wrong");
		log_warning(NULL, "hook: a push without a good signature was refused");
		request_answer_failure(request, &why);
	} else if (!is_push(request)) {
		request_answer_text(request, 200, "%s", "");
	} else if (!read_payload(request, &payload, &why)
	           || !take_push(site, payload, &built, &why)) {
		log_failure(LEVEL_WARNING, NULL, &why, "hook: a push was refused");
		request_answer_failure(request, &why);
	} else {
		log_built(&built);
		request_answer_text(request, 200, "%s", text_string(&built));
	}
}
