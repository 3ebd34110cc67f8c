#include "work/job.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "outside/digest.h"
#include "outside/json.h"
#include "outside/yaml.h"

#define KEY_LIMIT 1024

const char *
job_type_name(enum job_type type)
{
	return type == JOB_BUILD ? "build" : "run";
}

void
job_done(struct job *job)
{
	char **owned[] = {&job->id,         &job->commit,    &job->model_id, &job->jar_key,
	                  &job->jar_sha256, &job->model_key, &job->algorithm};
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free_pointer(owned[i]);
	*job = (struct job)JOB_INIT;
}

/* ---- what a field may hold ---- */

static bool
holds_only(const char *text, const char *allowed, size_t most)
{
	return text && text[0] && strlen(text) <= most && text[strspn(text, allowed)] == '\0';
}

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Ids become file names and parts of URLs. */
static bool
is_id(const char *text)
{
	return holds_only(text, DIGITS LETTERS "_-", 64) && text[0] != '-';
}

static bool
is_commit(const char *text)
{
	return holds_only(text, "0123456789abcdefABCDEF", 64)
	       && (strlen(text) == 40 || strlen(text) == 64);
}

static bool
is_key(const char *text)
{
	return holds_only(text, DIGITS LETTERS "/._-", KEY_LIMIT) && text[0] != '/'
	       && !strstr(text, "..");
}

static bool
wrong(struct failure *why, const char *field, const char *value)
{
	if (!value)
		return fail(why, FAILURE_BAD_MESSAGE, "the job has no %s", field);
	return fail(why, FAILURE_BAD_MESSAGE, "the job's %s is invalid: '%.80s'", field, value);
}

static bool
check_run(const struct job *job, struct failure *why)
{
	if (!is_key(job->jar_key))
		return wrong(why, "jar_file_key", job->jar_key);
	if (!is_key(job->model_key))
		return wrong(why, "model_file_key", job->model_key);
	if (job->model_id && !is_id(job->model_id))
		return wrong(why, "model_id", job->model_id);
	if (job->algorithm && !holds_only(job->algorithm, DIGITS LETTERS, 16))
		return wrong(why, "algorithm", job->algorithm);
	if (job->jar_sha256 && !digest_is_sha256(job->jar_sha256))
		return wrong(why, "jar_sha256", job->jar_sha256);
	return true;
}

static bool
check(const struct job *job, struct failure *why)
{
	if (!is_id(job->id))
		return wrong(why, "job_id", job->id);
	if (!is_commit(job->commit))
		return wrong(why, "commit", job->commit);
	return job->type == JOB_BUILD || check_run(job, why);
}

/* ---- the queue's message ---- */

struct reading {
	struct job *job;
	char *version, *type;
};

struct field {
	const char *name;
	char **slot;
};

static char **
slot_of(struct reading *reading, const char *name)
{
	struct job *job = reading->job;
	const struct field fields[] = {
	    {"version", &reading->version},
	    {"job_type", &reading->type},
	    {"job_id", &job->id},
	    {"commit", &job->commit},
	    {"model_id", &job->model_id},
	    {"jar_file_key", &job->jar_key},
	    {"jar_sha256", &job->jar_sha256},
	    {"model_file_key", &job->model_key},
	    {"algorithm", &job->algorithm},
	};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(fields[i].name, name) == 0)
			return fields[i].slot;
	return NULL;
}

static bool
visit(const struct yaml_event_seen *seen, void *data, struct failure *why)
{
	(void)why;
	/* Ruby's symbols begin with a colon; a message in JSON has none. */
	char **slot = slot_of(data, seen->key + (seen->key[0] == ':'));
	if (!slot || seen->kind != YAML_SCALAR)
		return true;
	bool null = seen->plain
	            && (!seen->value[0] || !strcmp(seen->value, "~")
	                || !strcmp(seen->value, "null"));
	bool symbol = seen->plain && seen->value[0] == ':';
	replace_string(slot, null ? NULL : seen->value + symbol);
	return true;
}

static bool
set_type(struct job *job, const char *name, struct failure *why)
{
	if (strings_equal(name, "build"))
		job->type = JOB_BUILD;
	else if (strings_equal(name, "run"))
		job->type = JOB_RUN;
	else
		return wrong(why, "job_type", name);
	return true;
}

static void
lower(char *text)
{
	for (; text && *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

enum job_reading
job_read_message(const char *body, size_t length, struct job *ret_job, struct failure *why)
{
	struct reading reading = {.job = ret_job};
	*ret_job = (struct job)JOB_INIT;
	bool readable = yaml_walk(body, length, visit, &reading, why);
	scoped_free char *version = reading.version;
	scoped_free char *type = reading.type;
	lower(ret_job->commit);
	if (!readable || !strings_equal(version, "2")) {
		/* Nothing was checked: an id from here must not become the name of a file. */
		job_done(ret_job);
		return readable ? JOB_FOREIGN : JOB_UNREADABLE;
	}
	if (!set_type(ret_job, type, why) || !check(ret_job, why)) {
		if (!is_id(ret_job->id))
			free_pointer(&ret_job->id);
		return JOB_INVALID;
	}
	return JOB_OURS;
}

/* ---- the runner's form ---- */

char *
job_write(const struct job *job)
{
	scoped(js_drop) struct json_t *object = js_object();
	js_set_string(object, "id", job->id);
	js_set_integer(object, "attempt", job->attempt);
	js_set_string(object, "type", job_type_name(job->type));
	js_set_string(object, "commit", job->commit);
	js_set_string(object, "model_id", job->model_id);
	js_set_string(object, "jar_key", job->jar_key);
	js_set_string(object, "jar_sha256", job->jar_sha256);
	js_set_string(object, "model_key", job->model_key);
	js_set_string(object, "algorithm", job->algorithm);
	return js_pretty(object);
}

bool
job_read(const char *bytes, size_t length, struct job *ret_job, struct failure *why)
{
	scoped(js_drop) struct json_t *object = NULL;
	scoped(job_done) struct job job = JOB_INIT;
	int64_t attempt = 1;
	if (!js_parse(bytes, length, &object, why))
		return false;
	job.id = copy_string(js_string(object, "id"));
	job.commit = copy_string(js_string(object, "commit"));
	job.model_id = copy_string(js_string(object, "model_id"));
	job.jar_key = copy_string(js_string(object, "jar_key"));
	job.jar_sha256 = copy_string(js_string(object, "jar_sha256"));
	job.model_key = copy_string(js_string(object, "model_key"));
	job.algorithm = copy_string(js_string(object, "algorithm"));
	if (js_integer(object, "attempt", &attempt) && (attempt < 1 || attempt > 1000000))
		return wrong(why, "attempt", "out of range");
	job.attempt = (int)attempt;
	if (!set_type(&job, js_string(object, "type"), why) || !check(&job, why))
		return false;
	*ret_job = job;
	job = (struct job)JOB_INIT;
	return true;
}
