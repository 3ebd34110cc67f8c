#include "engine/verdict.h"

#include <string.h>
#include <sysexits.h>

#include "base/text.h"
#include "outside/json.h"

static void
copy_outcome(const struct outcome *from, struct outcome *to)
{
	*to = *from;
	to->why = (struct failure)FAILURE_INIT;
	failure_copy(&to->why, &from->why);
	to->result_key = copy_string(from->result_key);
	to->jar_sha256 = copy_string(from->jar_sha256);
	to->result_sha256 = copy_string(from->result_sha256);
	to->measured_by = copy_string(from->measured_by);
	to->populated = copy_string(from->populated);
	to->timings = from->timings ? js_copy(from->timings) : NULL;
}

/* Our reason wins; what the runner said last is evidence. */
static void
stopped(const struct outcome *told, enum stop_reason reason, struct outcome *ret)
{
	bool cancelled = reason == STOP_CANCEL;
	*ret = (struct outcome)OUTCOME_INIT;
	if (cancelled)
		fail(&ret->why, FAILURE_CANCELLED, "cancelled by an operator");
	else if (reason == STOP_SILENT)
		fail(&ret->why, FAILURE_RUNNER_LOST, "the runner hung and was ended");
	else if (reason == STOP_HANDBACK)
		fail(&ret->why, FAILURE_HANDED_BACK, "the worker was stopped");
	else
		fail(&ret->why, FAILURE_LEASE_LOST, "the queue gave the job to another worker");
	if (!told)
		return;
	ret->why.step = told->why.step;
	failure_set_details(&ret->why, told->why.message, strlen(told->why.message));
}

static void
ended_without_a_word(const siginfo_t *how, struct outcome *ret)
{
	*ret = (struct outcome)OUTCOME_INIT;
	if (!how)
		fail(&ret->why, FAILURE_RUNNER_LOST, "the worker ended while the job ran");
	else if (how->si_code == CLD_EXITED && how->si_status == EX_TEMPFAIL)
		fail(&ret->why, FAILURE_RUNNER_LOST,
		     "the runner could not put its outcome on disk, as its log says");
	else if (how->si_code == CLD_EXITED)
		fail(&ret->why, FAILURE_INTERNAL, "the runner exited with status %d and no outcome",
		     how->si_status);
	else
		fail(&ret->why, FAILURE_RUNNER_LOST, "the runner was killed by signal %d (%s)",
		     how->si_status, strsignal(how->si_status));
}

void
verdict_reach(const struct outcome *told, enum stop_reason reason, const siginfo_t *how,
              struct outcome *ret_outcome)
{
	if (told && told->success && reason != STOP_LEASE_LOST)
		copy_outcome(told, ret_outcome);
	else if (reason != STOP_NONE)
		stopped(told, reason, ret_outcome);
	else if (told)
		copy_outcome(told, ret_outcome);
	else
		ended_without_a_word(how, ret_outcome);
}
