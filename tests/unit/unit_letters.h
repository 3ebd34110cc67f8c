/*
 * What the engine's tests of settling share: services over a real outbox in the test's directory, a
 * claim on disk, and a look at the letters.
 *
 *	struct site site;
 *	site_open(&site);      in a test of unit_test_in_directory()
 *	... settle ...
 *	expect_letters("finish 1.1, acknowledge 1.1");
 *	site_close(&site);
 */
#ifndef UNIT_LETTERS_H
#define UNIT_LETTERS_H

#include "engine/services.h"
#include "outside/json.h"
#include "unit.h"
#include "unit_directory.h"
#include "work/claim.h"
#include "work/workspace.h"

#define COMMIT "287a688f338d5d8c7b27b8915629893721a1fcac"
#define BUILD  "---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: " COMMIT "\n"
#define RUN                                                                                        \
	"---\n:version: 2\n:job_id: 1\n:job_type: :run\n:commit: " COMMIT "\n:model_id: 4\n"       \
	":jar_file_key: builds/x.jar\n:model_file_key: models/m.tar.bz2\n"

struct site {
	struct worker_config config;
	struct services services;
};

static inline void
site_reopen(struct site *site)
{
	outbox_close(&site->services.outbox);
	assert_true(outbox_open(unit_directory, &site->services.outbox, NULL));
}

static inline void
site_open(struct site *site)
{
	scoped_free char *claims = unit_path("claims");
	scoped_free char *jobs = unit_path("jobs");
	assert_true(directory_make(claims, 0700, NULL) && directory_make(jobs, 0700, NULL));
	site->config = (struct worker_config){
	    .state_directory = unit_directory, .max_attempts = 3, .retry_delay = 30000};
	site->services = (struct services){.config = &site->config, .name = "host/1"};
	site_reopen(site);
}

static inline void
site_close(struct site *site)
{
	outbox_close(&site->services.outbox);
}

/* A job that the queue gave out so often, and was handed back so often; on disk. */
static inline struct claim
site_claim(const char *body, int attempt, int handbacks)
{
	struct claim claim = {.message = {.body = copy_string(body),
	                                  .id = copy_string("s-e-c"),
	                                  .receipt = copy_string("receipt"),
	                                  .queue = copy_string("ci"),
	                                  .attempt = attempt,
	                                  .handbacks = handbacks}};
	assert_int_equal(job_read_message(body, strlen(body), &claim.job, NULL), JOB_OURS);
	claim.job.attempt = attempt;
	assert_true(claim_write(unit_directory, &claim, NULL));
	return claim;
}

/* Its directory, with an outcome if there is one to put there. */
static inline char *
site_directory(const struct claim *claim, const struct outcome *outcome)
{
	char *path = NULL;
	scoped_fd int fd = -1;
	assert_true(workspace_make(unit_directory, &claim->job, &path, NULL));
	assert_true(directory_open(AT_FDCWD, path, &fd, NULL));
	if (outcome)
		assert_true(outcome_write(outcome, fd, NULL));
	return path;
}

/* The letters in the outbox, in their order: "start 1.1, finish 1.1". */
static inline void
expect_letters(const char *wanted)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_free char *path = unit_path("outbox");
	assert_true(directory_list(AT_FDCWD, path, &names, NULL));
	for (size_t i = 0; i < names.count; i++) {
		const char *job = strchr(names.items[i], '-') + 1;
		const char *attempt = strchr(job, '-') + 1, *kind = strchr(attempt, '-') + 1;
		if (ends_with(kind, ".json"))
			text_addf(&text, "%s%.*s %.*s.%.*s", text.length ? ", " : "",
			          (int)strcspn(kind, "."), kind, (int)(attempt - job - 1), job,
			          (int)(kind - attempt - 1), attempt);
	}
	assert_string_equal(text_string(&text), wanted);
}

/* The first letter of its kind; the caller's. */
static inline struct outbox_letter
site_letter(struct site *site, enum outbox_kind kind)
{
	struct outbox_letter letter = {0};
	struct outbox_entry *entry;
	/* Those before it are told, as far as this look is concerned. */
	while ((entry = outbox_next(site->services.outbox, INT64_MAX)) && entry->kind != kind)
		assert_true(outbox_drop(site->services.outbox, entry, NULL));
	assert_non_null(entry);
	assert_true(outbox_read(site->services.outbox, entry, &letter, NULL));
	return letter;
}

static inline void
expect_claims(const char *wanted)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(claim_list(unit_directory, &names, NULL));
	for (size_t i = 0; i < names.count; i++)
		text_addf(&text, "%s%s", i ? " " : "", names.items[i]);
	assert_string_equal(text_string(&text), wanted);
}

#endif
