#include "package.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/files.h"
#include "outside/archive.h"
#include "outside/json.h"
#include "work/unfinished.h"

#define EARLIER 10 /* attempts whose unfinished uploads are looked for */

/* ---- the populated model ---- */

static bool
to_fd(void *data, const void *bytes, size_t length, struct failure *why)
{
	const int *fd = data;
	return write_all(*fd, bytes, length, why);
}

static bool
add_model_files(struct archive_writer *writer, int directory, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(directory, ".", &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];
		/* Solutions beside the mark are old ones, which the next run would miss. */
		if (!strings_equal(name, UNPOPULATED_MARK) && !solution_is_name(name)
		    && !archive_add(writer, directory, name, name, NULL, why))
			return false;
	}
	return true;
}

static bool
add_solutions(struct archive_writer *writer, int directory, const struct solutions *solutions,
              struct failure *why)
{
	for (size_t i = 0; i < solutions->count; i++) {
		const char *name = solutions->items[i].name;
		if (!archive_add(writer, directory, name, name, NULL, why))
			return false;
	}
	return true;
}

bool
package_model(struct run_job *job)
{
	scoped(archive_drop) struct archive_writer *writer = NULL;
	scoped_fd int model = -1, run = -1;
	scoped_fd int fd = openat(job->directory_fd, POPULATED_MODEL,
	                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail_errno(&job->why, "cannot create %s", POPULATED_MODEL);
	if (!directory_open(job->directory_fd, "model", &model, &job->why)
	    || !directory_open(job->directory_fd, "run", &run, &job->why)
	    || !archive_begin("bzip2", to_fd, &fd, &writer, &job->why)
	    || !add_model_files(writer, model, &job->why)
	    || !add_solutions(writer, run, &job->comparison.run, &job->why)
	    || !archive_finish(&writer, &job->why))
		return false;
	job->outcome->populated = copy_string(POPULATED_MODEL);
	return true;
}

/* ---- the results ---- */

static struct json_t *
object_of(const char *key, const struct store_object *object)
{
	struct json_t *json = js_object();
	js_set_string(json, "key", key);
	js_set_string(json, "sha256", object->sha256);
	js_set_integer(json, "bytes", object->size);
	return json;
}

static struct json_t *
job_of(const struct job *job)
{
	struct json_t *json = js_object();
	js_set_string(json, "id", job->id);
	js_set_integer(json, "attempt", job->attempt);
	js_set_string(json, "commit", job->commit);
	js_set_string(json, "model_id", job->model_id);
	js_set_string(json, "algorithm", job->algorithm);
	return json;
}

static struct json_t *
list_of(const struct strings *items)
{
	struct json_t *json = js_array();
	for (size_t i = 0; i < items->count; i++)
		js_append_string(json, items->items[i]);
	return json;
}

static struct json_t *
versions(void)
{
	struct json_t *json = js_object();
	js_set_string(json, "moolloy-workers", MOOLLOY_VERSION);
	return json;
}

static const char *
end_of(const struct command_result *result)
{
	static const char *const names[] = {[COMMAND_EXITED] = "exited",
	                                    [COMMAND_TIMED_OUT] = "timeout",
	                                    [COMMAND_QUIET] = "no-output",
	                                    [COMMAND_STOPPED] = "stopped"};
	return names[result->end];
}

static void
write_manifest(const struct run_job *job, struct text *text)
{
	scoped(js_drop) struct json_t *json = js_object();
	js_set(json, "job", job_of(job->job));
	js_set(json, "jar", object_of(job->job->jar_key, &job->jar));
	js_set(json, "model", object_of(job->job->model_key, &job->model));
	js_set(json, "command", list_of(&job->command));
	js_set_string(json, "end", end_of(&job->result));
	js_set_integer(json, "exit_status", job->result.status);
	js_set_bool(json, "correct", job->outcome->correct);
	js_set_real(json, "wall_seconds", job->result.wall_seconds);
	js_set_real(json, "cpu_seconds", job->result.cpu_seconds);
	js_set_integer(json, "max_rss_bytes", job->result.peak_rss_bytes);
	js_set_string(json, "measured_by", job->result.measured_by);
	js_set_bool(json, "output_truncated", job->result.truncated);
	js_set(json, "timings", js_copy(job->steps->timings));
	js_set(json, "versions", versions());
	scoped_free char *pretty = js_pretty(json);
	text_add_string(text, pretty);
}

static bool
add_descriptions(const struct run_job *job, struct archive_writer *writer, struct failure *why)
{
	scoped(text_done) struct text manifest = TEXT_INIT, comparison = TEXT_INIT,
				      host = TEXT_INIT;
	char name[256] = "";
	gethostname(name, sizeof name - 1);
	text_addf(&host, "%s\n", name);
	write_manifest(job, &manifest);
	comparison_write(&job->comparison, job->outcome->correct, &comparison);
	return archive_add_bytes(writer, "hostname", &host, why)
	       && archive_add_bytes(writer, "manifest.json", &manifest, why)
	       && archive_add_bytes(writer, "comparison.json", &comparison, why);
}

static char *
result_key(const struct run_job *job, int attempt)
{
	return format("results/%s-%d%s", job->job->id, attempt,
	              archive_ending(job->config->compression));
}

/* What attempts before this one may have begun to upload. */
static void
list_earlier(const struct run_job *job, struct strings *keys)
{
	for (int i = 1; i < job->job->attempt && i <= EARLIER; i++) {
		scoped_free char *key = result_key(job, job->job->attempt - i);
		strings_add(keys, key);
	}
}

/* A tarball on its way. */
struct sending {
	struct store_upload *upload;
	struct tick tick;
	int64_t sent; /* bytes */
};

static bool
to_store(void *data, const void *bytes, size_t length, struct failure *why)
{
	struct sending *sending = data;
	sending->sent += (int64_t)length;
	if (!tick_tell(&sending->tick, sending->sent, 0))
		return fail(why, FAILURE_CANCELLED, "stopped while the results were stored");
	return store_upload_write(sending->upload, bytes, length, why);
}

static bool
write_results(struct run_job *job, struct store_upload *upload)
{
	struct sending sending = {.upload = upload, .tick = steps_tick(job->steps, "bytes")};
	scoped(archive_drop) struct archive_writer *writer = NULL;
	scoped(strings_done) struct strings skip = STRINGS_INIT;
	if (!job->config->include_jar)
		strings_add(&skip, "run/moolloy.jar");
	return archive_begin(job->config->compression, to_store, &sending, &writer, &job->why)
	       && add_descriptions(job, writer, &job->why)
	       && archive_add(writer, job->directory_fd, "model", "model", NULL, &job->why)
	       && archive_add(writer, job->directory_fd, "run", "run", &skip, &job->why)
	       && archive_finish(&writer, &job->why);
}

static bool
store_results(struct run_job *job)
{
	scoped(store_upload_drop) struct store_upload *upload = NULL;
	scoped(strings_done) struct strings earlier = STRINGS_INIT;
	const struct store_put put = {.earlier = &earlier};
	struct store_object object;
	scoped_free char *key = result_key(job, job->job->attempt);
	list_earlier(job, &earlier);
	if (!unfinished_note(job->directory_fd, job->store, key, &job->why)
	    || !store_upload_begin(job->store, key, &put, &upload, &job->why)
	    || !write_results(job, upload) || !store_upload_finish(&upload, &object, &job->why))
		return false;
	job->outcome->result_key = take_pointer(&key);
	job->outcome->result_sha256 = copy_string(object.sha256);
	return true;
}

/* A run that is handed back is run again, somewhere: waiting is worth as much time as it took. */
static bool
rest(struct run_job *job, int64_t end, struct backoff *backoff)
{
	const struct tick tick = steps_tick(job->steps, "bytes");
	int64_t ms = backoff_next(backoff);
	if (!job->why.retryable || clock_ms() + ms > end)
		return false;
	tick_trouble(&tick, &job->why, ms);
	if (!tick_rest(&tick, ms))
		return fail(&job->why, FAILURE_CANCELLED, "stopped while the store was waited for");
	failure_clear(&job->why);
	return true;
}

bool
package_results(struct run_job *job)
{
	const struct tick tick = steps_tick(job->steps, "bytes");
	struct backoff backoff = BACKOFF_INIT;
	int64_t end = clock_ms() + (int64_t)(job->result.wall_seconds * 1000);
	while (!store_results(job))
		if (!rest(job, end, &backoff))
			return false;
	tick_trouble(&tick, NULL, 0);
	return true;
}
