#include "work/status.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/json.h"

static struct json_t *
job_object(const struct status *status)
{
	struct json_t *object = js_object();
	char since[WALL_TEXT_SIZE];
	js_set_string(object, "id", status->job->id);
	js_set_integer(object, "attempt", status->job->attempt);
	js_set_string(object, "type", job_type_name(status->job->type));
	js_set_string(object, "commit", status->job->commit);
	js_set_string(object, "step", status->step);
	if (status->done || status->total) {
		struct json_t *progress = js_object();
		js_set_integer(progress, "done", status->done);
		js_set_integer(progress, "total", status->total);
		js_set_string(progress, "unit", status->unit);
		js_set(object, "progress", progress);
	}
	js_set_string(object, "trouble", status->trouble);
	js_set_string(object, "since", wall_text(status->since, since));
	return object;
}

static struct json_t *
counters_object(const struct status *status)
{
	struct json_t *object = js_object();
	js_set_integer(object, "succeeded", status->succeeded);
	js_set_integer(object, "failed", status->failed);
	js_set_integer(object, "handed_back", status->handed_back);
	js_set_integer(object, "lost", status->lost);
	return object;
}

char *
status_text(const struct status *status)
{
	scoped(js_drop) struct json_t *object = js_object();
	js_set_string(object, "worker", status->name);
	js_set_string(object, "program", status->worker);
	js_set_integer(object, "pid", getpid());
	js_set_string(object, "version", MOOLLOY_VERSION);
	js_set_string(object, "state", status->state);
	js_set_string(object, "why", status->waiting);
	js_set_bool(object, "registered", status->worker_id != NULL);
	js_set_string(object, "worker_id", status->worker_id);
	js_set_string(object, "dashboard_why", status->unheard);
	if (status->job)
		js_set(object, "job", job_object(status));
	js_set_integer(object, "outbox", status->outbox);
	js_set_integer(object, "parked", status->parked);
	js_set_integer(object, "ambiguous", status->ambiguous);
	js_set_integer(object, "healed", status->healed);
	js_set(object, "counters", counters_object(status));
	return js_text(object);
}

bool
status_publish(const char *runtime_directory, const char *worker, const char *text,
               struct failure *why)
{
	scoped_free char *path = format("%s/%s.json", runtime_directory, worker);
	scoped(text_done) struct text line = TEXT_INIT;
	char now[WALL_TEXT_SIZE];
	/* text is an object: the time goes before its closing brace. */
	text_addf(&line, "%.*s,\"updated\":\"%s\"}\n", (int)strlen(text) - 1, text,
	          wall_text(wall_ms(), now));
	return file_publish(AT_FDCWD, path, &line, 0644, why);
}
