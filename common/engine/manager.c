#include "engine/manager.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/log.h"
#include "base/text.h"
#include "engine/announce.h"
#include "engine/control.h"
#include "engine/delivery.h"
#include "engine/hold.h"
#include "engine/intake.h"
#include "engine/lease.h"
#include "engine/membership.h"
#include "engine/pulse.h"
#include "engine/reconcile.h"
#include "engine/services.h"
#include "engine/settle.h"
#include "engine/slot.h"
#include "engine/verdict.h"
#include "outside/child.h"
#include "outside/json.h"
#include "work/config.h"
#include "work/status.h"
#include "work/workspace.h"

/* How long the last letters, and then the farewell, may take once no job runs. */
#define FAREWELL 1500

/* Until an outcome that could not be put on disk is tried again. */
#define COLLECT_AGAIN 5000

/* How we are to stop; each wins over those before it. */
enum stopping {
	STOPPING_NOT,
	STOPPING_FINISH, /* SIGUSR1: the job ends by itself, however long it takes */
	STOPPING_DRAIN,  /* SIGTERM: until drain_deadline */
	STOPPING_NOW,    /* SIGTERM again: the job goes back at once */
};

struct manager {
	const struct worker_program *program;
	void *config; /* the program's; begins with struct worker_config */
	manager_load *load;
	void *load_data;

	struct services services;
	struct control *control;
	struct loop_source *signals[5], *wake, *post;

	struct slot slot;
	struct clock_watch clock;
	struct membership membership;
	struct intake intake;
	struct lease lease;
	struct delivery delivery;
	struct hold hold;
	struct pulse pulse;

	int64_t collect_at; /* clock_ms(): before, the outcome could not be put on disk */
	enum stopping stopping;
	int64_t drain_deadline; /* clock_ms(); of STOPPING_DRAIN */
	int64_t gone_at;        /* clock_ms() when the farewell is over, 0: not begun */
	bool stopped;           /* as told */

	int64_t settled[SETTLED_LOST + 1]; /* jobs since the start, by how */
	struct announcement announced;
};

static const struct worker_config *
settings(const struct manager *m)
{
	return m->config;
}

/* ---- the turn: what each duty does with what happened ---- */

/* A runner that ended: its outcome becomes letters. */
static void
manager_collect(struct manager *m)
{
	struct slot *slot = &m->slot;
	scoped_fd int directory = -1;
	scoped(outcome_done) struct outcome told = OUTCOME_INIT;
	scoped(outcome_done) struct outcome outcome = OUTCOME_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	enum settled settled;
	if (!slot->ended || clock_ms() < m->collect_at)
		return;
	if (slot->how.si_code != CLD_EXITED)
		child_end_descendants();
	bool found = directory_open(AT_FDCWD, slot->directory, &directory, NULL)
	             && outcome_read(directory, &told, NULL);
	verdict_reach(found ? &told : NULL, slot->reason, &slot->how, &outcome);
	clock_watch_store(&m->clock, &outcome.why);
	if (settle_outcome(&m->services, &slot->claim, &outcome, slot->directory, &settled, &why)) {
		m->settled[settled]++;
		intake_heed(&m->intake, &slot->claim.job, &outcome.why);
		if (settled == SETTLED_HANDED_BACK && slot->claim.kept)
			intake_run_again(&m->intake, settings(m)->retry_delay);
	} else {
		struct subject about = slot_subject(slot);
		log_failure(LEVEL_ERROR, &about, &why, "the outcome could not be put on disk");
		m->collect_at = clock_ms() + COLLECT_AGAIN;
		/* If that stops us as well, the claim stays and the next start settles it. */
		if (m->stopping == STOPPING_NOT)
			return;
	}
	slot_clear(slot);
	/* Idle is how most of the time passes: what the job's letters needed goes back to the
	 * system. */
	malloc_trim(0);
}

/* Past the drain deadline the job goes back; past its grace a runner is killed. */
static void
manager_enforce(struct manager *m, int64_t now)
{
	if (m->stopping == STOPPING_NOW
	    || (m->stopping == STOPPING_DRAIN && now >= m->drain_deadline))
		slot_stop(&m->slot, STOP_HANDBACK);
	slot_enforce(&m->slot, now);
}

static bool
start_job(struct manager *m, struct claim *claim, struct failure *why)
{
	scoped_free char *directory = NULL;
	struct subject about = {.job = claim->job.id, .attempt = claim->job.attempt};
	log_notice(&about, "%s of commit %s begins%s%s", job_type_name(claim->job.type),
	           claim->job.commit, claim->job.model_key ? ", model " : "",
	           claim->job.model_key ? claim->job.model_key : "");
	return workspace_make(settings(m)->state_directory, &claim->job, &directory, why)
	       && settle_start(&m->services, claim, why)
	       && slot_start(&m->slot, m->program, m->config, claim, directory, why);
}

/* The message that came is claimed and its job started; what cannot be started goes back. */
static void
manager_claim(struct manager *m)
{
	scoped(claim_done) struct claim claim = CLAIM_INIT;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool stopping = m->stopping != STOPPING_NOT;
	enum intake_result result = intake_take(&m->intake, stopping, &claim, &why);
	if (result == INTAKE_BROKEN)
		log_failure(LEVEL_ERROR, NULL, &why, "a message could not be claimed");
	if (result != INTAKE_JOB || start_job(m, &claim, &why))
		return;
	struct subject about = {.job = claim.job.id, .attempt = claim.job.attempt};
	log_failure(LEVEL_ERROR, &about, &why, "the job could not be started");
	intake_rest(&m->intake, &claim.job, &why);
	if (!settle_release(&m->services, &claim, 0, true, &why))
		log_failure(LEVEL_ERROR, &about, &why, "nor handed back: the next start will");
}

static const char *
state_name(const struct manager *m)
{
	if (m->stopped)
		return "stopped";
	return m->stopping != STOPPING_NOT ? "draining" : slot_state_name(m->slot.state);
}

static void
describe(const struct manager *m, struct status *status)
{
	const struct slot *slot = &m->slot;
	const struct failure *why = &m->intake.why, *unheard = &m->membership.why;
	*status = (struct status){
	    .worker = settings(m)->worker,
	    .name = m->services.name,
	    .state = state_name(m),
	    .waiting = why->code != FAILURE_NONE && !m->stopped ? why->message : NULL,
	    .worker_id = m->stopped ? NULL : m->membership.worker_id,
	    .unheard = unheard->code != FAILURE_NONE && m->membership.worker_id && !m->stopped
	                   ? unheard->message
	                   : NULL,
	    .outbox = outbox_count(m->services.outbox),
	    .parked = outbox_parked(m->services.outbox),
	    .ambiguous = m->delivery.ambiguous,
	    .healed = m->slot.healed,
	    .succeeded = m->settled[SETTLED_SUCCEEDED],
	    .failed = m->settled[SETTLED_FAILED],
	    .handed_back = m->settled[SETTLED_HANDED_BACK],
	    .lost = m->settled[SETTLED_LOST],
	};
	if (slot->state == SLOT_IDLE)
		return;
	status->job = &slot->claim.job;
	status->step = slot->step[0] ? slot->step : NULL;
	status->done = slot->done;
	status->total = slot->total;
	status->unit = slot->unit;
	status->trouble = slot->trouble;
	status->since = slot->since;
}

/* The status file and the service manager hear of every change. */
static void
manager_announce(struct manager *m)
{
	struct status status;
	describe(m, &status);
	announce(&m->announced, settings(m)->runtime_directory, &status);
}

/* Nothing to do any more: the last letters, the farewell, the end of the loop. */
static void
manager_leave(struct manager *m, int64_t now)
{
	if (m->stopping == STOPPING_NOT || m->slot.state != SLOT_IDLE || m->intake.message.body)
		return;
	if (!m->gone_at)
		m->gone_at = now + FAREWELL;
	bool letters = delivery_under_way(&m->delivery) > 0 || outbox_next(m->services.outbox, now);
	if (now < m->gone_at && (letters || m->intake.receiving))
		return;
	if (!m->membership.leaving)
		m->gone_at = now + FAREWELL;
	membership_leave(&m->membership);
	if (m->membership.left || now >= m->gone_at)
		loop_stop(m->services.loop);
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* When some duty wants the next turn though nothing happened. */
static void
manager_set_wake(struct manager *m)
{
	int64_t due = earlier(membership_due(&m->membership), lease_due(&m->lease));
	due = earlier(due, delivery_due(&m->delivery));
	due = earlier(due, hold_due(&m->hold));
	due = earlier(due, slot_due(&m->slot));
	due = earlier(due, pulse_due(&m->pulse));
	due = earlier(due, m->slot.ended ? m->collect_at : -1);
	due = earlier(due, clock_watch_due(&m->clock));
	if (m->stopping == STOPPING_NOT && m->slot.state == SLOT_IDLE)
		due = earlier(due, intake_due(&m->intake));
	if (m->stopping == STOPPING_DRAIN && m->slot.state != SLOT_IDLE && !m->slot.kill_at)
		due = earlier(due, m->drain_deadline);
	if (m->gone_at)
		due = earlier(due, m->gone_at);
	if (due < 0)
		loop_timer_off(m->wake);
	else
		loop_timer_at(m->wake, due);
}

/* One turn of the manager. Events only wake it and note facts; this acts on them. */
static void
manager_turn(void *data)
{
	struct manager *m = data;
	int64_t now = clock_ms();
	manager_collect(m);                             /* a runner that ended -> letters */
	manager_enforce(m, now);                        /* deadlines of draining and stopping */
	manager_claim(m);                               /* a message that came -> a runner */
	membership_turn(&m->membership, &m->slot, now); /* registered, and heard of */
	lease_turn(&m->lease, now);                     /* the job stays ours */
	delivery_turn(&m->delivery, now);               /* letters -> dashboard and queue */
	hold_turn(&m->hold, now);                       /* jobs whose letters wait stay ours */
	clock_watch_turn(&m->clock, now);               /* who refuses our clock -> its Date */
	if (m->stopping == STOPPING_NOT)                /* the next message */
		intake_turn(&m->intake, &m->membership, &m->slot, now);
	manager_announce(m);                             /* status file, STATUS= */
	manager_leave(m, now);                           /* told to stop, and nothing left to do */
	pulse_turn(&m->pulse, &m->lease, &m->slot, now); /* the watchdog's, while nothing hangs */
	manager_set_wake(m);
}

/* ---- signals ---- */

static void
begin_stopping(struct manager *m, enum stopping stopping, const char *how)
{
	if (stopping <= m->stopping)
		return;
	log_notice(NULL, "stopping: %s", m->slot.state == SLOT_IDLE ? "no job runs" : how);
	if (m->stopping == STOPPING_NOT)
		service_notify("STOPPING=1");
	m->stopping = stopping;
	m->drain_deadline = clock_ms() + settings(m)->drain_timeout;
	intake_stop(&m->intake);
}

static void
drain(struct manager *m)
{
	if (m->stopping >= STOPPING_DRAIN)
		begin_stopping(m, STOPPING_NOW, "the running job is handed back now");
	else
		begin_stopping(m, STOPPING_DRAIN,
		               "the running job may finish within drain-timeout");
}

/* Settings fixed until a restart keep their values. */
static void
keep_fixed(const struct manager *m, void *config)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	config_fixed_changes(m->program->settings, m->config, config, &names);
	for (size_t i = 0; i < names.count; i++) {
		const struct setting *row = settings_find(m->program->settings, names.items[i]);
		log_warning(NULL, "%s: a change needs a restart; the old value stays", row->name);
		setting_copy(row, m->config, config);
	}
}

/* A bad configuration is logged, told in *why, and changes nothing. */
static bool
reload(struct manager *m, struct failure *why)
{
	size_t size = m->program->config_size;
	scoped_free void *fresh = allocate(size);
	service_notify("RELOADING=1");
	bool good = m->load(m->load_data, fresh, why);
	if (good) {
		keep_fixed(m, fresh);
		settings_done(m->program->settings, m->config);
		memcpy(m->config, fresh, size);
		services_apply(&m->services);
		intake_probe_again(&m->intake);
		log_notice(NULL, "configuration reloaded");
	} else {
		settings_done(m->program->settings, fresh);
		log_failure(LEVEL_ERROR, NULL, why,
		            "configuration not reloaded, the old one stays");
	}
	service_notify("READY=1");
	return good;
}

static void
cancel(struct manager *m)
{
	struct subject about = slot_subject(&m->slot);
	if (m->slot.state == SLOT_IDLE) {
		log_notice(NULL, "no job runs: nothing to cancel");
		return;
	}
	log_notice(&about, "cancelled by an operator");
	slot_stop(&m->slot, STOP_CANCEL);
}

static void
on_signal(int signal, void *data)
{
	struct manager *m = data;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (signal == SIGHUP)
		reload(m, &why);
	else if (signal == SIGUSR1)
		begin_stopping(m, STOPPING_FINISH,
		               "the running job may finish, however long it takes");
	else if (signal == SIGUSR2)
		cancel(m);
	else
		drain(m);
}

/* ---- verbs of the control socket ---- */

static bool
verb_status(void *data, struct json_t *answer, struct failure *why)
{
	struct status status;
	scoped(js_drop) struct json_t *object = NULL;
	describe(data, &status);
	scoped_free char *text = status_text(&status);
	if (!js_parse(text, strlen(text), &object, why))
		return false;
	js_set(answer, "status", take_pointer(&object));
	return true;
}

static bool
verb_cancel(void *data, struct json_t *answer, struct failure *why)
{
	struct manager *m = data;
	if (m->slot.state == SLOT_IDLE)
		return fail(why, FAILURE_NOT_FOUND, "no job runs");
	js_set_string(answer, "job", m->slot.claim.job.id);
	cancel(m);
	return true;
}

static bool
verb_drain(void *data, struct json_t *answer, struct failure *why)
{
	(void)why;
	drain(data);
	js_set_string(answer, "state", state_name(data));
	return true;
}

static bool
verb_finish(void *data, struct json_t *answer, struct failure *why)
{
	(void)why;
	on_signal(SIGUSR1, data);
	js_set_string(answer, "state", state_name(data));
	return true;
}

static bool
verb_reload(void *data, struct json_t *answer, struct failure *why)
{
	(void)answer;
	return reload(data, why);
}

static const struct control_verb verbs[] = {
    {"status", verb_status},
    {"memory", control_memory},
    {"cancel", verb_cancel},
    {"drain", verb_drain},
    {"finish", verb_finish},
    {"reload", verb_reload},
    {NULL, NULL},
};

/* ---- beginning and end ---- */

static void
start_duties(struct manager *m)
{
	slot_init(&m->slot, m->services.loop);
	membership_init(&m->membership, &m->services);
	clock_watch_init(&m->clock, &m->services);
	intake_init(&m->intake, &m->services, &m->clock);
	lease_init(&m->lease, &m->services, &m->slot);
	delivery_init(&m->delivery, &m->services, &m->slot);
	hold_init(&m->hold, &m->services);
	pulse_init(&m->pulse);
}

static bool
open_control(struct manager *m, struct failure *why)
{
	const char *runtime = settings(m)->runtime_directory;
	scoped_free char *path = format("%s/%s.sock", runtime, settings(m)->worker);
	return directory_make(runtime, 0755, why)
	       && control_open(m->services.loop, path, verbs, m, &m->control, why);
}

static void
on_wake(void *data)
{
	(void)data; /* the turn that follows looks for itself */
}

static void
watch(struct manager *m)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		m->signals[i] = loop_signal(m->services.loop, signals[i], on_signal, m);
	m->post = loop_post(m->services.loop, manager_turn, m);
	m->wake = loop_timer(m->services.loop, on_wake, m);
	loop_timer_at(m->wake, clock_ms());
}

static void
manager_done(struct manager *m)
{
	control_close(&m->control);
	lease_done(&m->lease);
	membership_done(&m->membership);
	intake_done(&m->intake);
	clock_watch_done(&m->clock);
	if (m->slot.loop)
		slot_clear(&m->slot);
	services_hang_up(&m->services);
	delivery_done(&m->delivery);
	hold_done(&m->hold);
	for (size_t i = 0; i < sizeof m->signals / sizeof *m->signals; i++)
		loop_source_drop(&m->signals[i]);
	loop_source_drop(&m->post);
	loop_source_drop(&m->wake);
	services_close(&m->services);
	announcement_done(&m->announced);
}

bool
manager_serve(const struct worker_program *program, void *config, manager_load *load,
              void *load_data, struct failure *why)
{
	scoped_free char *name = worker_name(config);
	scoped(manager_done) struct manager m = {
	    .program = program,
	    .config = config,
	    .load = load,
	    .load_data = load_data,
	    .services = {.program = program, .config = config, .name = name, .state = -1}};
	struct services *services = &m.services;
	loop_block_signals();
	child_become_subreaper();
	if (!services_open(services, why))
		return false;
	start_duties(&m);
	if (!reconcile(services, why) || !open_control(&m, why))
		return false;
	watch(&m);
	log_notice(NULL, "moolloy-%s " MOOLLOY_VERSION " serves as %s", program->name, name);
	service_notify("READY=1");
	bool served = loop_run(services->loop, why);
	m.stopped = true;
	manager_announce(&m);
	log_notice(NULL, "stopped");
	return served;
}
