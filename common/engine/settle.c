#include "engine/settle.h"

#include <string.h>

#include "base/files.h"
#include "base/log.h"
#include "work/report.h"

static struct subject
subject_of(const struct claim *claim)
{
	return (struct subject){.job = claim->job.id, .attempt = claim->job.attempt};
}

static struct reporter
reporter_of(const struct services *services, const struct claim *claim)
{
	return (struct reporter){.worker = services->name, .secret = claim->message.id};
}

static struct outbox_letter
letter_of(enum outbox_kind kind, const struct claim *claim)
{
	const char *job = claim->job.id ? claim->job.id : OUTBOX_NO_JOB;
	return (struct outbox_letter){
	    .kind = kind, .job = copy_string(job), .attempt = claim->message.attempt};
}

static bool
add_report(const struct services *services, enum outbox_kind kind, const struct claim *claim,
           char *body, struct failure *why)
{
	scoped(outbox_letter_done) struct outbox_letter letter = letter_of(kind, claim);
	letter.path = format("/jobs/%s/%s", claim->job.id, outbox_kind_name(kind));
	letter.body = body;
	return outbox_add(services->outbox, &letter, why);
}

bool
settle_start(const struct services *services, const struct claim *claim, struct failure *why)
{
	struct reporter reporter = reporter_of(services, claim);
	return add_report(services, OUTBOX_START, claim, report_start(&reporter, &claim->job), why);
}

static bool
add_finish(const struct services *services, const struct claim *claim,
           const struct outcome *outcome, struct failure *why)
{
	struct reporter reporter = reporter_of(services, claim);
	/* A crash right after it was written must not report the job twice. */
	if (outbox_holds(services->outbox, OUTBOX_FINISH, claim->job.id, claim->message.attempt))
		return true;
	return add_report(services, OUTBOX_FINISH, claim,
	                  report_finish(&reporter, &claim->job, outcome), why);
}

static bool
add_acknowledge(const struct services *services, const struct claim *claim, struct failure *why)
{
	scoped(outbox_letter_done) struct outbox_letter letter = letter_of(OUTBOX_ACKNOWLEDGE,
	                                                                   claim);
	letter.receipt = copy_string(claim->message.receipt);
	return outbox_add(services->outbox, &letter, why);
}

static bool
add_release(const struct services *services, const struct claim *claim, int64_t delay_ms,
            bool handback, struct failure *why)
{
	scoped(outbox_letter_done) struct outbox_letter letter = letter_of(OUTBOX_RELEASE, claim);
	letter.receipt = copy_string(claim->message.receipt);
	letter.delay = delay_ms;
	letter.handback = handback;
	return outbox_add(services->outbox, &letter, why);
}

/* A populated model; one that is gone was put into the outbox before a crash. */
static bool
add_upload(const struct services *services, const struct claim *claim, const char *directory,
           const char *populated, struct failure *why)
{
	scoped(outbox_letter_done) struct outbox_letter letter = letter_of(OUTBOX_UPLOAD, claim);
	letter.model = copy_string(claim->job.model_id);
	letter.file = format("%s/%s", directory, populated);
	return !file_exists(AT_FDCWD, letter.file) || outbox_add(services->outbox, &letter, why);
}

bool
settle_refuse(const struct services *services, const struct claim *claim, int64_t delay_ms,
              struct failure *why)
{
	const struct claim nobodys = {.message = claim->message};
	return add_release(services, &nobodys, delay_ms, true, why);
}

bool
settle_release(const struct services *services, const struct claim *claim, int64_t delay_ms,
               bool handback, struct failure *why)
{
	if (claim->kept)
		return claim_renew(services->config->state_directory, claim, handback, why);
	/* Of a start that was not told yet nobody need hear any more: the queue hears at once. */
	outbox_forget(services->outbox, claim->job.id, claim->message.attempt);
	return add_release(services, claim, delay_ms, handback, why)
	       && claim_remove(services->config->state_directory, claim, why);
}

static bool
report(const struct services *services, const struct claim *claim, const struct outcome *outcome,
       const char *directory, struct failure *why)
{
	bool upload = outcome->populated && claim->job.model_id;
	return (!upload || add_upload(services, claim, directory, outcome->populated, why))
	       && add_finish(services, claim, outcome, why) && add_acknowledge(services, claim, why)
	       && claim_remove(services->config->state_directory, claim, why);
}

bool
settle_may_try_again(const struct services *services, const struct claim *claim)
{
	return claim->message.attempt - claim->message.handbacks < services->config->max_attempts;
}

static bool
lose(const struct services *services, const struct claim *claim, struct failure *why)
{
	outbox_forget(services->outbox, claim->job.id, claim->message.attempt);
	return claim_remove(services->config->state_directory, claim, why);
}

/* Says nothing about the job: another worker, or a host whose clock was set, does it. */
static bool
is_untried(const struct outcome *outcome)
{
	return outcome->why.code == FAILURE_HANDED_BACK || outcome->why.code == FAILURE_CLOCK;
}

static enum settled
decide(const struct services *services, const struct claim *claim, const struct outcome *outcome)
{
	if (outcome->success)
		return SETTLED_SUCCEEDED;
	if (outcome->why.code == FAILURE_LEASE_LOST)
		return SETTLED_LOST;
	if (is_untried(outcome)
	    || (outcome->why.retryable && settle_may_try_again(services, claim)))
		return SETTLED_HANDED_BACK;
	return SETTLED_FAILED;
}

static bool
carry_out(const struct services *services, const struct claim *claim, const struct outcome *outcome,
          const char *directory, enum settled settled, struct failure *why)
{
	bool at_once = outcome->why.code == FAILURE_HANDED_BACK;
	switch (settled) {
	case SETTLED_SUCCEEDED:
	case SETTLED_FAILED:
		return report(services, claim, outcome, directory, why);
	case SETTLED_HANDED_BACK:
		return settle_release(services, claim, at_once ? 0 : services->config->retry_delay,
		                      is_untried(outcome), why);
	case SETTLED_LOST:
		return lose(services, claim, why);
	}
	return false;
}

static void
log_settled(const struct claim *claim, const struct outcome *outcome, enum settled settled)
{
	struct subject about = subject_of(claim);
	about.step = outcome->why.step;
	if (settled == SETTLED_LOST)
		log_failure(LEVEL_WARNING, &about, &outcome->why, "dropped");
	else if (settled == SETTLED_HANDED_BACK)
		log_failure(LEVEL_WARNING, &about, &outcome->why, "%s",
		            claim->kept ? "to be run again here" : "handed back to the queue");
	else if (settled == SETTLED_FAILED)
		log_failure(LEVEL_WARNING, &about, &outcome->why, "failed");
	else if (outcome->why.code != FAILURE_NONE)
		log_failure(LEVEL_NOTICE, &about, &outcome->why, "done, with a bad result");
	else
		log_notice(&about, "done%s%s", outcome->result_key ? ": " : "",
		           outcome->result_key ? outcome->result_key : "");
}

/* What the runner left of a success is small; a failed job's directory is for people to look at.
 * One that cannot be removed changes nothing about the job: it is swept some day. */
static void
remove_directory(const struct claim *claim, const char *directory)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct subject about = subject_of(claim);
	if (!tree_remove(AT_FDCWD, directory, &why))
		log_failure(LEVEL_WARNING, &about, &why, "the job's directory stays");
}

bool
settle_outcome(const struct services *services, const struct claim *claim,
               const struct outcome *outcome, const char *directory, enum settled *ret_settled,
               struct failure *why)
{
	enum settled settled = decide(services, claim, outcome);
	if (!carry_out(services, claim, outcome, directory, settled, why))
		return false;
	log_settled(claim, outcome, settled);
	*ret_settled = settled;
	if (settled == SETTLED_SUCCEEDED)
		remove_directory(claim, directory);
	return true;
}

/* It is kept for people to look at. */
static bool
park_message(const struct services *services, const struct queue_message *message,
             const struct failure *why_not, struct failure *why)
{
	scoped(text_done) struct text body = TEXT_INIT;
	scoped(failure_done) struct failure reason = FAILURE_INIT;
	text_add_string(&body, message->body);
	failure_copy(&reason, why_not);
	fail_within(&reason, "of queue %s", message->queue);
	return outbox_park_bytes(services->outbox, "message", &body, &reason, why);
}

bool
settle_bad_message(const struct services *services, const struct claim *claim,
                   const struct failure *why_not, struct failure *why)
{
	struct subject about = subject_of(claim);
	const struct queue_message *message = &claim->message;
	/* Its id is the job's secret: never in a log. */
	log_failure(LEVEL_ERROR, &about, why_not, "a message of queue %s cannot be done, and is %s",
	            message->queue, claim->job.id ? "reported as failed" : "parked");
	scoped(outcome_done) struct outcome outcome = OUTCOME_INIT;
	failure_copy(&outcome.why, why_not);
	bool told = claim->job.id ? add_finish(services, claim, &outcome, why)
	                          : park_message(services, message, why_not, why);
	return told && add_acknowledge(services, claim, why);
}
