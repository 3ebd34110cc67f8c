/* Any bytes as a job: as a message of the queue, and as the runner's form. What is taken for a job
 * must be harmless, and must survive the way from the manager to the runner. */
#include <string.h>

#include "base/scoped.h"
#include "base/text.h"
#include "fuzz.h"
#include "work/job.h"

static bool
holds_only(const char *text, const char *allowed)
{
	return text && text[0] && text[strspn(text, allowed)] == '\0';
}

#define HEX     "0123456789abcdef"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* Ids become file names, commits and algorithms arguments, keys paths. */
static void
must_be_harmless(const struct job *job)
{
	must_hold(holds_only(job->id, LETTERS "_-") && strlen(job->id) <= 64);
	must_hold(job->attempt >= 1);
	must_hold(holds_only(job->commit, HEX "ABCDEF"));
	must_hold(strlen(job->commit) == 40 || strlen(job->commit) == 64);
	if (job->type == JOB_BUILD)
		return;
	must_hold(holds_only(job->jar_key, LETTERS "/._-"));
	must_hold(holds_only(job->model_key, LETTERS "/._-"));
	must_hold(!job->algorithm || holds_only(job->algorithm, LETTERS));
	must_hold(!job->jar_sha256
	          || (holds_only(job->jar_sha256, HEX) && strlen(job->jar_sha256) == 64));
}

static void
must_survive(const struct job *job)
{
	scoped(job_done) struct job read = JOB_INIT;
	scoped_free char *written = job_write(job);
	must_hold(job_read(written, strlen(written), &read, NULL));
	scoped_free char *again = job_write(&read);
	must_hold(strcmp(written, again) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	scoped(job_done) struct job message = JOB_INIT, form = JOB_INIT;
	struct failure why = FAILURE_INIT;
	enum job_reading reading = job_read_message((const char *)bytes, length, &message, &why);
	must_hold((reading == JOB_OURS || reading == JOB_FOREIGN) == (why.code == FAILURE_NONE));
	if (reading == JOB_OURS) {
		must_be_harmless(&message);
		must_survive(&message);
	}
	if (job_read((const char *)bytes, length, &form, NULL)) {
		must_be_harmless(&form);
		must_survive(&form);
	}
	failure_done(&why);
	return 0;
}
