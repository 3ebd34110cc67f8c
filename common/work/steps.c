#include "work/steps.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include "outside/json.h"

/* The manager hears of progress this often, the log more rarely. */
#define TELL_EVERY 500
#define LOG_EVERY  10000
/* While there is nothing to tell it hears this often that we live. */
#define LIVE_EVERY 60000

static volatile sig_atomic_t cancelled;

static void
on_signal(int signal)
{
	(void)signal;
	cancelled = 1;
}

void
steps_catch_signals(void)
{
	/* Without SA_RESTART: what waits is to come back and look. */
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

bool
steps_cancelled(void)
{
	return cancelled;
}

/* One JSON line to the manager; if it is gone there is nobody to tell. Takes the object over. */
static void
tell(const struct steps *steps, struct json_t *object)
{
	scoped(js_drop) struct json_t *owned = object;
	if (steps->progress_fd < 0)
		return;
	js_set_string(object, "trouble", steps->trouble);
	scoped_free char *json = js_text(owned);
	scoped_free char *line = format("%s\n", json);
	if (write(steps->progress_fd, line, strlen(line)) < 0)
		return;
}

static void
tell_step(const struct steps *steps)
{
	struct json_t *object = js_object();
	js_set_string(object, "step", steps->about.step);
	tell(steps, object);
}

bool
steps_begin(struct steps *steps, const char *name, struct failure *why)
{
	steps->about.step = name;
	replace_string(&steps->trouble, NULL);
	steps->began = clock_ms();
	steps->told = steps->logged = steps->began;
	if (cancelled) {
		fail(why, FAILURE_CANCELLED, "stopped before %s", name);
		why->step = name;
		return false;
	}
	tell_step(steps);
	log_debug(&steps->about, "begins");
	return true;
}

bool
steps_have_room(const struct steps *steps, struct failure *why)
{
	return steps->full.code == FAILURE_NONE && disk_look_now(&steps->disk, why);
}

bool
steps_end(struct steps *steps, bool worked, struct failure *why)
{
	int64_t took = clock_ms() - steps->began;
	scoped_free char *rough = duration_rough(took);
	if (!steps->timings)
		steps->timings = js_object();
	js_set_real(steps->timings, steps->about.step, (double)took / 1000);
	if (worked) {
		log_info(&steps->about, "done in %s", rough);
		return true;
	}
	/* Whatever went wrong with the disk full went wrong because of it. */
	if (!steps_have_room(steps, &steps->full))
		failure_copy(why, &steps->full);
	if (!why->step)
		why->step = steps->about.step;
	/* The manager says why once it knows what becomes of the job; by hand there is none. */
	if (steps->progress_fd < 0)
		log_failure(LEVEL_WARNING, &steps->about, why, "failed after %s", rough);
	else
		log_info(&steps->about, "failed after %s", rough);
	return false;
}

static void
log_progress(const struct steps *steps, int64_t done, int64_t total)
{
	bool bytes = strcmp(steps->unit, "bytes") == 0;
	scoped_free char *so_far = bytes ? size_rough(done) : format("%" PRId64, done);
	scoped_free char *all = bytes ? size_rough(total)
	                              : format("%" PRId64 " %s", total, steps->unit);
	if (total > 0)
		log_info(&steps->about, "%s of %s (%d %%)", so_far, all,
		         (int)(100.0 * (double)done / (double)total));
	else
		log_info(&steps->about, "%s%s%s so far", so_far, bytes ? "" : " ",
		         bytes ? "" : steps->unit);
}

static void
tell_progress(const struct steps *steps, int64_t done, int64_t total)
{
	struct json_t *object = js_object(), *progress = js_object();
	js_set_string(object, "step", steps->about.step);
	js_set_integer(progress, "done", done);
	js_set_integer(progress, "total", total);
	js_set_string(progress, "unit", steps->unit);
	js_set(object, "progress", progress);
	tell(steps, object);
}

static bool
on_tick(void *data, int64_t done, int64_t total)
{
	struct steps *steps = data;
	int64_t now = clock_ms();
	/* Some go on ticking when all is there: that is told once. */
	bool whole = total > 0 && done == total && done != steps->last_done;
	if (done > 0 && (whole || now - steps->told >= TELL_EVERY)) {
		steps->told = now;
		steps->last_done = done;
		tell_progress(steps, done, total);
	}
	if (done == 0 && now - steps->told >= LIVE_EVERY) {
		steps->told = now;
		tell_step(steps);
	}
	if (done > 0 && now - steps->logged >= LOG_EVERY) {
		steps->logged = now;
		log_progress(steps, done, total);
	}
	return !cancelled && disk_look(&steps->disk, &steps->full);
}

/* Said once, however often it is tried; every line to the manager has it while it lasts. */
static void
on_trouble(void *data, const struct failure *why, int64_t wait)
{
	struct steps *steps = data;
	int64_t now = clock_ms();
	if (!why == !steps->trouble)
		return;
	scoped_free char *rough = duration_rough(why ? wait : now - steps->troubled);
	replace_string(&steps->trouble, why ? why->message : NULL);
	if (why) {
		steps->troubled = now;
		log_warning(&steps->about, "%s; tried again in %s [%s]", why->message, rough,
		            failure_name(why->code));
	} else {
		log_notice(&steps->about, "the store works again, after %s", rough);
	}
	tell_step(steps);
}

struct tick
steps_tick(struct steps *steps, const char *unit)
{
	steps->unit = unit;
	steps->last_done = 0;
	return (struct tick){.tell = on_tick, .trouble = on_trouble, .data = steps};
}

void
steps_healed(const struct steps *steps)
{
	struct json_t *object = js_object();
	js_set_string(object, "step", steps->about.step);
	js_set_bool(object, "healed", true);
	tell(steps, object);
}

void
steps_done(struct steps *steps)
{
	js_drop(&steps->timings);
	free_pointer(&steps->trouble);
	failure_done(&steps->full);
	*steps = (struct steps)STEPS_INIT;
}
