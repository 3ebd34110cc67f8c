#include "engine/reconcile.h"

#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/settle.h"
#include "engine/verdict.h"
#include "outside/stray.h"
#include "work/workspace.h"

/* The outcome that the runner left in the job's directory; false if it left none. */
static bool
find_outcome(const char *directory, struct outcome *ret_outcome)
{
	scoped_fd int fd = -1;
	return directory_open(AT_FDCWD, directory, &fd, NULL)
	       && outcome_read(fd, ret_outcome, NULL);
}

static bool
settle_left_claim(const struct services *services, const struct claim *claim, struct failure *why)
{
	const char *state = services->config->state_directory;
	scoped_free char *name = workspace_name(claim->job.id, claim->job.attempt);
	scoped_free char *directory = workspace_path(state, name);
	scoped(outcome_done) struct outcome told = OUTCOME_INIT;
	scoped(outcome_done) struct outcome outcome = OUTCOME_INIT;
	struct subject about = {.job = claim->job.id, .attempt = claim->job.attempt};
	enum settled settled;
	/* One that says that it was stopped was so by a life that did not get to say why. */
	bool found = find_outcome(directory, &told) && told.why.code != FAILURE_CANCELLED;
	log_warning(&about, "claim left by an earlier life of this worker, %s",
	            found ? "with an outcome: reporting it" : "without an outcome");
	/* Nobody need wait: what was wrong was this worker. */
	if (!found && settle_may_try_again(services, claim))
		return settle_release(services, claim, 0, false, why);
	verdict_reach(found ? &told : NULL, STOP_NONE, NULL, &outcome);
	return settle_outcome(services, claim, &outcome, directory, &settled, why);
}

/* A crash between the last letter, or the next attempt's claim, and the claim's removal leaves
 * both.
 */
static bool
was_settled(const struct services *services, const struct claim *claim)
{
	return outbox_ends(services->outbox, claim->job.id, claim->job.attempt)
	       || claim_was_renewed(services->config->state_directory, claim);
}

/* A kept claim of an attempt that never began: it has no directory yet. */
static bool
is_waiting(const struct services *services, const struct claim *claim)
{
	scoped_free char *name = workspace_name(claim->job.id, claim->job.attempt);
	scoped_free char *directory = workspace_path(services->config->state_directory, name);
	return claim->kept && !file_exists(AT_FDCWD, directory);
}

static bool
reconcile_claim(const struct services *services, const char *name, struct failure *why)
{
	const char *state = services->config->state_directory;
	scoped(claim_done) struct claim claim = CLAIM_INIT;
	scoped(failure_done) struct failure unreadable = FAILURE_INIT;
	if (!claim_read(state, name, &claim, &unreadable)) {
		log_failure(LEVEL_ERROR, NULL, &unreadable, "parked a claim that cannot be read");
		return claim_park(state, name, why) && outbox_count_parked(services->outbox, why);
	}
	if (was_settled(services, &claim))
		return claim_remove(state, &claim, why);
	if (is_waiting(services, &claim))
		return true;
	return settle_left_claim(services, &claim, why);
}

static bool
reconcile_claims(const struct services *services, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!claim_list(services->config->state_directory, &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++)
		if (!reconcile_claim(services, names.items[i], why))
			return false;
	return true;
}

/* A job that went well and was settled leaves nothing to look at; the crash came before its
 * directory was removed. Those of other jobs stay for people, as long as keep-failed says. */
static void
remove_if_done(const char *directory)
{
	scoped(outcome_done) struct outcome outcome = OUTCOME_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (!find_outcome(directory, &outcome) || !outcome.success)
		return;
	if (tree_remove(AT_FDCWD, directory, &why))
		log_info(NULL, "removed %s, whose job is done", directory);
	else
		log_failure(LEVEL_WARNING, NULL, &why, "%s stays", directory);
}

static bool
remove_done_directories(const struct services *services, struct failure *why)
{
	const char *state = services->config->state_directory;
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_free char *jobs = format("%s/jobs", state);
	if (!directory_list(AT_FDCWD, jobs, &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped_free char *directory = workspace_path(state, names.items[i]);
		scoped_free char *claim = format("%s/claims/%s.json", state, names.items[i]);
		if (!file_exists(AT_FDCWD, claim))
			remove_if_done(directory);
	}
	return true;
}

/* Jobs go back to the queue when nobody is at work on them any more. */
static void
end_strays(const struct services *services)
{
	int strays = stray_end_all(services->config->state_directory);
	if (strays)
		log_warning(NULL, "ended %d processes that outlived an earlier life of this worker",
		            strays);
}

bool
reconcile(const struct services *services, struct failure *why)
{
	end_strays(services);
	return reconcile_claims(services, why) && remove_done_directories(services, why);
}
