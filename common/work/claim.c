#include "work/claim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/json.h"
#include "work/workspace.h"

#define CLAIM_LIMIT (256 * 1024)

void
claim_done(struct claim *claim)
{
	job_done(&claim->job);
	queue_message_done(&claim->message);
}

static char *
name_of(const struct claim *claim)
{
	scoped_free char *name = workspace_name(claim->job.id, claim->message.attempt);
	return format("%s.json", name);
}

static char *
path_of(const char *state_directory, const struct claim *claim)
{
	scoped_free char *name = name_of(claim);
	return format("%s/claims/%s", state_directory, name);
}

bool
claim_write(const char *state_directory, const struct claim *claim, struct failure *why)
{
	const struct queue_message *message = &claim->message;
	scoped(js_drop) struct json_t *object = js_object();
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *path = path_of(state_directory, claim);
	char now[WALL_TEXT_SIZE];
	js_set_string(object, "body", message->body);
	js_set_string(object, "id", message->id);
	js_set_string(object, "receipt", message->receipt);
	js_set_string(object, "queue", message->queue);
	js_set_integer(object, "attempt", message->attempt);
	js_set_integer(object, "handbacks", message->handbacks);
	js_set_string(object, "received", wall_text(wall_ms(), now));
	if (claim->kept)
		js_set_bool(object, "kept", true);
	scoped_free char *pretty = js_pretty(object);
	text_add_string(&text, pretty);
	return file_replace(AT_FDCWD, path, &text, 0600, why);
}

bool
claim_remove(const char *state_directory, const struct claim *claim, struct failure *why)
{
	scoped_free char *path = path_of(state_directory, claim);
	return file_remove(AT_FDCWD, path, why);
}

bool
claim_list(const char *state_directory, struct strings *names, struct failure *why)
{
	scoped_free char *path = format("%s/claims", state_directory);
	scoped(strings_done) struct strings all = STRINGS_INIT;
	if (!directory_list(AT_FDCWD, path, &all, why))
		return false;
	for (size_t i = 0; i < all.count; i++) {
		scoped_free char *written = format("%s/%s", path, all.items[i]);
		if (all.items[i][0] != '.')
			strings_add(names, all.items[i]);
		else if (!file_remove(AT_FDCWD, written, why))
			return false;
	}
	return true;
}

static bool
read_message(const struct json_t *object, struct queue_message *message, struct failure *why)
{
	int64_t attempt = 0, handbacks = 0;
	js_integer(object, "handbacks", &handbacks);
	message->body = copy_string(js_string(object, "body"));
	message->id = copy_string(js_string(object, "id"));
	message->receipt = copy_string(js_string(object, "receipt"));
	message->queue = copy_string(js_string(object, "queue"));
	message->handbacks = (int)handbacks;
	if (!js_integer(object, "attempt", &attempt) || attempt < 1 || attempt > INT32_MAX
	    || !message->body || !message->id || !message->receipt)
		return fail(why, FAILURE_BAD_MESSAGE, "a field is missing or wrong");
	message->attempt = (int)attempt;
	return true;
}

bool
claim_read(const char *state_directory, const char *name, struct claim *ret_claim,
           struct failure *why)
{
	scoped_free char *path = format("%s/claims/%s", state_directory, name);
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(js_drop) struct json_t *object = NULL;
	scoped(claim_done) struct claim claim = CLAIM_INIT;
	if (!file_read(AT_FDCWD, path, CLAIM_LIMIT, &text, why)
	    || !js_parse(text_string(&text), text.length, &object, why)
	    || !read_message(object, &claim.message, why))
		return fail_within(why, "claim %s", name);
	if (job_read_message(claim.message.body, strlen(claim.message.body), &claim.job, why)
	    != JOB_OURS)
		return fail_within(why, "claim %s", name);
	claim.job.attempt = claim.message.attempt;
	claim.kept = js_true(object, "kept");
	scoped_free char *own = name_of(&claim);
	if (!strings_equal(own, name))
		return fail(why, FAILURE_BAD_MESSAGE, "claim %s is that of %s", name, own);
	*ret_claim = claim;
	claim = (struct claim)CLAIM_INIT;
	return true;
}

/* A look at the other: what both point to stays the first one's. */
static struct claim
next_attempt(const struct claim *claim, bool untried)
{
	struct claim next = *claim;
	next.message.attempt++;
	next.message.handbacks += untried;
	return next;
}

bool
claim_renew(const char *state_directory, const struct claim *claim, bool untried,
            struct failure *why)
{
	const struct claim next = next_attempt(claim, untried);
	return claim_write(state_directory, &next, why)
	       && claim_remove(state_directory, claim, why);
}

bool
claim_was_renewed(const char *state_directory, const struct claim *claim)
{
	const struct claim next = next_attempt(claim, false);
	scoped_free char *path = path_of(state_directory, &next);
	return claim->kept && file_exists(AT_FDCWD, path);
}

bool
claim_park(const char *state_directory, const char *name, struct failure *why)
{
	scoped_free char *from = format("%s/claims/%s", state_directory, name);
	scoped_free char *to = format("%s/parked/claim-%s", state_directory, name);
	if (rename(from, to) < 0)
		return fail_errno(why, "cannot move %s to %s", from, to);
	return true;
}
