#include "engine/announce.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/text.h"
#include "outside/loop.h"

static void
publish(const char *runtime_directory, const struct status *status, const char *text)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (!status_publish(runtime_directory, status->worker, text, &why))
		log_failure(LEVEL_WARNING, NULL, &why, "the status file could not be written");
}

/* The line of `systemctl status`. */
static char *
one_line(const struct status *status)
{
	if (status->job)
		return format("%s: job %s.%d %s%s%s", status->state, status->job->id,
		              status->job->attempt, status->step ? status->step : "",
		              status->trouble ? ", and waits: " : "",
		              status->trouble ? status->trouble : "");
	const char *why = status->waiting ? status->waiting : status->unheard;
	return format("%s%s%s", status->state, why ? ": " : "", why ? why : "");
}

void
announce(struct announcement *told, const char *runtime_directory, const struct status *status)
{
	scoped_free char *text = status_text(status);
	scoped_free char *line = one_line(status);
	if (!strings_equal(text, told->text)) {
		publish(runtime_directory, status, text);
		replace_string(&told->text, text);
	}
	if (!strings_equal(line, told->line)) {
		service_notify("STATUS=%s", line);
		replace_string(&told->line, line);
	}
}

void
announcement_done(struct announcement *told)
{
	free_pointer(&told->text);
	free_pointer(&told->line);
}
