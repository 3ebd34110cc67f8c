#include "engine/intake.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "base/units.h"
#include "engine/settle.h"
#include "engine/state.h"
#include "outside/child.h"
#include "work/disk.h"

#define WAIT          20000
#define BRIEF         1000
#define LOOK_AGAIN    5000  /* at what stands against a claim */
#define PROBE_AGAIN   30000 /* at sandbox and tools, while they are missing */
#define FOREIGN_DELAY 30000 /* until others see what is not for us */
#define LONGEST_REST  600000

void
intake_init(struct intake *intake, const struct services *services, struct clock_watch *clock)
{
	*intake = (struct intake){.services = services,
	                          .clock = clock,
	                          .message = QUEUE_MESSAGE_INIT,
	                          .backoff = BACKOFF_INIT};
}

void
intake_done(struct intake *intake)
{
	queue_message_done(&intake->message);
	claim_done(&intake->again);
	failure_done(&intake->refused);
	failure_done(&intake->why);
	failure_done(&intake->tools);
	failure_done(&intake->ill);
}

/* ---- admission: what must be true before a job is claimed ---- */

static bool
is_registered(const struct membership *membership, struct failure *why)
{
	if (membership->worker_id)
		return true;
	if (membership->why.code != FAILURE_NONE)
		return fail(why, membership->why.code, "not registered with the dashboard: %s",
		            membership->why.message);
	return fail(why, FAILURE_NETWORK, "not registered with the dashboard yet");
}

static bool
has_clock(const struct intake *intake, const struct membership *membership, struct failure *why)
{
	return clock_is_near(membership->clock_offset, "the dashboard", why)
	       && clock_watch_check(intake->clock, why);
}

static bool
has_outbox_room(const struct services *services, struct failure *why)
{
	int64_t waiting = outbox_count(services->outbox);
	if (waiting < services->config->outbox_limit)
		return true;
	return fail(why, FAILURE_NETWORK,
	            "%" PRId64 " reports wait for the dashboard (outbox-limit)", waiting);
}

static bool
has_space_in(const char *directory, const struct worker_config *config, struct failure *why)
{
	int64_t bytes, inodes;
	if (!space_free(directory, &bytes, &inodes, why))
		return false;
	scoped_free char *left = size_rough(bytes);
	if (bytes < config->free_bytes)
		return fail(why, FAILURE_DISK_FULL, "only %s free in %s (disk.free-bytes)", left,
		            directory);
	return inodes >= config->free_inodes
	       || fail(why, FAILURE_DISK_FULL,
	               "only %" PRId64 " inodes free in %s (disk.free-inodes)", inodes, directory);
}

/* Both are filled by jobs; the first of them makes the cache. */
static bool
has_space(const struct worker_config *config, struct failure *why)
{
	const char *cache = config->cache_directory;
	bool cached = cache && file_exists(AT_FDCWD, cache);
	if (!has_space_in(config->state_directory, config, why)
	    || (cached && !has_space_in(cache, config, why)))
		return false;
	disk_make_reserve(config->state_directory);
	return true;
}

/* Costs a process or two: not before every job, but until it works. */
static bool
has_tools(struct intake *intake, int64_t now, struct failure *why)
{
	const struct services *services = intake->services;
	bool missing = intake->tools.code != FAILURE_NONE;
	if (!intake->probed || (missing && now - intake->probed >= PROBE_AGAIN)) {
		intake->probed = now;
		failure_clear(&intake->tools);
		bool good = services->program->check(services->config, true, &intake->tools);
		/* A probe of the box leaves the box's own first process to us. */
		child_end_descendants();
		if (good)
			return true;
	}
	if (intake->tools.code == FAILURE_NONE)
		return true;
	failure_copy(why, &intake->tools);
	return false;
}

/* A queue full of jobs must not fail one by one while the store is away. */
static bool
is_rested(const struct intake *intake, int64_t now, struct failure *why)
{
	if (now >= intake->rest)
		return true;
	failure_copy(why, &intake->ill);
	return false;
}

static bool
is_admitted(struct intake *intake, int64_t now, struct failure *why)
{
	const struct services *services = intake->services;
	return state_is_held(services->config->state_directory, services->state, why)
	       && has_tools(intake, now, why) && has_outbox_room(services, why)
	       && has_space(services->config, why) && is_rested(intake, now, why);
}

static int64_t
next_look(const struct intake *intake, int64_t now)
{
	bool sooner = intake->rest > now && intake->rest < now + LOOK_AGAIN;
	return sooner ? intake->rest : now + LOOK_AGAIN;
}

/* Says it once when it begins, changes or ends. */
static void
note(struct intake *intake, const struct failure *why)
{
	bool same = strings_equal(intake->why.message, why->message);
	if (!same && why->code != FAILURE_NONE)
		log_failure(LEVEL_WARNING, NULL, why, "no job is claimed");
	else if (!same)
		log_notice(NULL, "ready for jobs");
	failure_copy(&intake->why, why);
}

/* ---- kept claims: they are run again before anything is received ---- */

static bool
is_kept(const char *state_directory, const char *name, struct claim *ret_claim)
{
	scoped(claim_done) struct claim claim = CLAIM_INIT;
	if (!claim_read(state_directory, name, &claim, NULL) || !claim.kept)
		return false;
	*ret_claim = claim;
	claim = (struct claim)CLAIM_INIT;
	return true;
}

/* Looks until there are none. */
static bool
find_kept(struct intake *intake)
{
	const char *state = intake->services->config->state_directory;
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (intake->again_due < 0 || clock_ms() < intake->again_due)
		return false;
	intake->again_due = -1;
	if (!claim_list(state, &names, &why))
		log_failure(LEVEL_ERROR, NULL, &why, "cannot look for claims that are kept");
	for (size_t i = 0; i < names.count && !intake->again.job.id; i++)
		if (is_kept(state, names.items[i], &intake->again))
			intake->again_due = 0;
	return intake->again.job.id;
}

void
intake_run_again(struct intake *intake, int64_t delay_ms)
{
	intake->again_due = clock_ms() + delay_ms;
}

static enum intake_result
take_again(struct intake *intake, bool stopping, struct claim *ret_claim)
{
	scoped(claim_done) struct claim claim = intake->again;
	intake->again = (struct claim)CLAIM_INIT;
	if (stopping)
		return INTAKE_NOTHING;
	*ret_claim = claim;
	claim = (struct claim)CLAIM_INIT;
	return INTAKE_JOB;
}

/* ---- receiving ---- */

static void
received(void *data, struct queue_message *message, const struct failure *why)
{
	struct intake *intake = data;
	intake->receiving = false;
	if (why) {
		bool news = intake->backoff.tries == 0 || why->code != intake->refused.code;
		log_failure(news ? LEVEL_WARNING : LEVEL_DEBUG, NULL, why,
		            "cannot receive from the queue");
		intake->due = clock_ms() + backoff_next(&intake->backoff);
		failure_copy(&intake->refused, why);
		failure_copy(&intake->why, why);
		clock_watch_queue(intake->clock, why);
		return;
	}
	backoff_reset(&intake->backoff);
	failure_clear(&intake->refused);
	note(intake, &intake->refused);
	/* A queue that does not wait must not make us turn in circles. */
	if (!message && clock_ms() - intake->asked < BRIEF)
		intake->due = clock_ms() + BRIEF;
	if (!message)
		return;
	intake->message = *message;
	*message = (struct queue_message)QUEUE_MESSAGE_INIT;
}

/* Not beyond the time at which a kept claim is to be run again. */
static int64_t
wait_of(const struct intake *intake, int64_t now)
{
	bool sooner = intake->again_due >= 0 && intake->again_due < now + WAIT;
	return sooner ? intake->again_due - now : WAIT;
}

/* That we are registered, and that clocks agree again, are events that bring the next turn; the
 * rest must be looked at again. */
static bool
is_ready(struct intake *intake, const struct membership *membership)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (!is_registered(membership, &why)) {
		failure_copy(&intake->why, &why);
		return false;
	}
	if (has_clock(intake, membership, &why))
		return true;
	note(intake, &why);
	return false;
}

void
intake_turn(struct intake *intake, const struct membership *membership, const struct slot *slot,
            int64_t now)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (slot->state != SLOT_IDLE || intake->receiving || intake->message.body
	    || intake->again.job.id)
		return;
	intake->unready = !is_ready(intake, membership);
	if (intake->unready)
		return;
	if (now < intake->due)
		return;
	bool admitted = is_admitted(intake, now, &why);
	if (admitted && intake->refused.code == FAILURE_CLOCK)
		failure_clear(&intake->refused);
	note(intake, admitted ? &intake->refused : &why);
	if (!admitted) {
		intake->due = next_look(intake, now);
		return;
	}
	if (find_kept(intake))
		return;
	intake->receiving = true;
	intake->asked = now;
	queue_receive(intake->services->queue, wait_of(intake, now), received, intake);
}

void
intake_stop(struct intake *intake)
{
	if (intake->receiving)
		queue_stop_receiving(intake->services->queue);
}

/* Is it this worker's, or its surroundings', rather than the job's? */
static bool
is_ill(enum failure_code code)
{
	switch (code) {
	case FAILURE_PERMISSION:
	case FAILURE_SANDBOX:
	case FAILURE_NETWORK:
	case FAILURE_STALLED:
	case FAILURE_TLS:
	case FAILURE_SERVER:
	case FAILURE_UNAUTHORIZED:
	case FAILURE_CREDENTIALS:
	case FAILURE_ACCESS_DENIED:
	case FAILURE_NO_BUCKET:
	case FAILURE_WRONG_REGION:
	case FAILURE_REFUSED:
	case FAILURE_BAD_ANSWER:
		return true;
	default:
		return false;
	}
}

static int64_t
rest_after(int64_t delay, int ills)
{
	for (int i = 1; i < ills && delay < LONGEST_REST; i++)
		delay *= 2;
	return delay < LONGEST_REST ? delay : LONGEST_REST;
}

/* delay: of the first rest; doubled each time. */
static void
rest(struct intake *intake, int64_t delay, const struct job *job, const struct failure *why)
{
	char until[WALL_TEXT_SIZE];
	int64_t takes = rest_after(delay, ++intake->ills);
	intake->rest = clock_ms() + takes;
	fail(&intake->ill, why->code,
	     "the next would fail as job %s.%d did, and is tried at %s: %s", job->id, job->attempt,
	     wall_text(wall_ms() + takes, until), why->message);
}

void
intake_heed(struct intake *intake, const struct job *job, const struct failure *why)
{
	if (is_ill(why->code))
		rest(intake, intake->services->config->retry_delay, job, why);
	else
		intake->ills = 0;
}

/* It goes back at once: without a rest it would come again at once, too. */
void
intake_rest(struct intake *intake, const struct job *job, const struct failure *why)
{
	int64_t delay = intake->services->config->retry_delay;
	rest(intake, delay < BRIEF ? BRIEF : delay, job, why);
}

void
intake_probe_again(struct intake *intake)
{
	intake->probed = intake->rest = intake->due = 0;
	clock_watch_soon(intake->clock);
}

int64_t
intake_due(const struct intake *intake)
{
	if (intake->receiving || intake->unready)
		return -1;
	return intake->again.job.id ? 0 : intake->due;
}

/* ---- taking what came ---- */

static enum intake_result
result_of(bool dealt_with)
{
	return dealt_with ? INTAKE_NOTHING : INTAKE_BROKEN;
}

static enum intake_result
not_for_us(const struct intake *intake, const struct claim *claim, struct failure *why)
{
	log_info(NULL, "a message of queue %s is not for this worker: left to others",
	         claim->message.queue);
	return result_of(settle_refuse(intake->services, claim, FOREIGN_DELAY, why));
}

static enum intake_result
take_ours(struct intake *intake, struct claim *claim, struct claim *ret_claim, struct failure *why)
{
	const struct services *services = intake->services;
	scoped(failure_done) struct failure full = FAILURE_INIT;
	if (claim->job.type != services->program->type)
		return not_for_us(intake, claim, why);
	if (!claim_write(services->config->state_directory, claim, &full)) {
		const struct subject about = {.job = claim->job.id, .attempt = claim->job.attempt};
		log_failure(LEVEL_ERROR, &about, &full, "it cannot be claimed, and goes back");
		intake_rest(intake, &claim->job, &full);
		return result_of(settle_release(services, claim, 0, true, why));
	}
	*ret_claim = *claim;
	*claim = (struct claim)CLAIM_INIT;
	return INTAKE_JOB;
}

enum intake_result
intake_take(struct intake *intake, bool stopping, struct claim *ret_claim, struct failure *why)
{
	if (intake->again.job.id)
		return take_again(intake, stopping, ret_claim);
	if (!intake->message.body)
		return INTAKE_NOTHING;
	scoped(claim_done) struct claim claim = {.message = intake->message};
	scoped(failure_done) struct failure why_not = FAILURE_INIT;
	intake->message = (struct queue_message)QUEUE_MESSAGE_INIT;
	enum job_reading reading = job_read_message(claim.message.body, strlen(claim.message.body),
	                                            &claim.job, &why_not);
	claim.job.attempt = claim.message.attempt;
	if (stopping)
		return result_of(settle_refuse(intake->services, &claim, 0, why));
	switch (reading) {
	case JOB_OURS:
		return take_ours(intake, &claim, ret_claim, why);
	case JOB_FOREIGN:
		return not_for_us(intake, &claim, why);
	case JOB_INVALID:
	case JOB_UNREADABLE:
		return result_of(settle_bad_message(intake->services, &claim, &why_not, why));
	}
	return INTAKE_NOTHING;
}
