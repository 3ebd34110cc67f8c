#include "work/source.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/units.h"
#include "work/mirror.h"
#include "work/template.h"

#define DEPTH_LIMIT      8
#define REPOSITORY_LIMIT 257 /* the main one and its submodules */
#define RETRIES          2   /* of a fetch that the network failed */

struct source_repository {
	char *url;      /* as its parent, or the configuration, says */
	char *real_url; /* after rewriting */
	char *commit;
	char *place; /* absolute, of its tree */
	struct mirror mirror;
	int64_t until; /* clock_ms() when its time is over */
};

void
source_done(struct source *source)
{
	for (size_t i = 0; i < source->count; i++) {
		free(source->repositories[i].url);
		free(source->repositories[i].real_url);
		free(source->repositories[i].commit);
		free(source->repositories[i].place);
		mirror_done(&source->repositories[i].mirror);
	}
	free_pointer(&source->repositories);
	source->count = 0;
}

void
source_mirrors(const struct source *source, struct strings *paths)
{
	for (size_t i = 0; i < source->count; i++)
		if (!strings_contain(paths, source->repositories[i].mirror.path))
			strings_add(paths, source->repositories[i].mirror.path);
}

static struct source_repository *
add_repository(struct source *source, const char *url, const char *commit)
{
	source->repositories = reallocate(source->repositories,
	                                  (source->count + 1) * sizeof *source->repositories);
	struct source_repository *repository = &source->repositories[source->count++];
	*repository = (struct source_repository){
	    .url = copy_string(url),
	    .real_url = repository_rewrite_url(source->how->rewrite, url),
	    .commit = copy_string(commit),
	    .mirror = MIRROR_INIT,
	    .until = clock_ms() + source->how->timeout};
	return repository;
}

/* ---- a tick that also looks at the clock, and says of what it tells ---- */

#define UNIT_SIZE  64
#define UNIT_EVERY 250 /* ms */

struct watch {
	struct tick steps;
	int64_t until;
	int64_t done, total;             /* as told last */
	const struct transfer *transfer; /* NULL: it is about files */
	char name[32];                   /* of the repository */
	char unit[UNIT_SIZE];            /* "objects, 3 MiB of NAME" */
	int64_t told;                    /* clock_ms() when unit was written */
};

/* Fit for any page or line. */
static void
set_name(struct watch *watch, const char *url)
{
	scoped_free char *name = repository_name(url);
	snprintf(watch->name, sizeof watch->name, "%s", name);
	for (char *c = watch->name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			*c = '?';
}

static void
set_unit(struct watch *watch)
{
	scoped_free char *bytes = size_rough(watch->transfer ? watch->transfer->bytes : 0);
	if (watch->transfer)
		snprintf(watch->unit, sizeof watch->unit, "objects, %s of %s", bytes, watch->name);
	else
		snprintf(watch->unit, sizeof watch->unit, "files of %s", watch->name);
	watch->told = clock_ms();
}

static bool
tell_in_time(void *data, int64_t done, int64_t total)
{
	struct watch *watch = data;
	int64_t now = clock_ms();
	if (now - watch->told >= UNIT_EVERY)
		set_unit(watch);
	/* While a server is waited for nothing new is told. */
	if (done > 0) {
		watch->done = done;
		watch->total = total;
	}
	return tick_tell(&watch->steps, watch->done, watch->total) && now < watch->until;
}

static void
begin_watch(const struct source *source, const struct source_repository *repository,
            struct watch *watch)
{
	watch->until = repository->until;
	set_name(watch, repository->real_url);
	set_unit(watch);
	watch->steps = steps_tick(source->how->steps, watch->unit);
}

/* Its unit is not to be told any more. */
static void
end_watch(const struct source *source)
{
	(void)steps_tick(source->how->steps, "objects");
}

/* What the tick stopped for want of time was not cancelled. */
static bool
fail_in_time(const struct source *source, const struct watch *watch, struct failure *why)
{
	scoped_free char *limit = duration_rough(source->how->timeout);
	if (why->code != FAILURE_CANCELLED || steps_cancelled() || clock_ms() < watch->until)
		return false;
	return fail(why, FAILURE_TIMEOUT, "it took longer than %s (git.timeout)", limit);
}

/* ---- one repository ---- */

static void
log_transfer(const struct source *source, const char *url, const struct transfer *transfer)
{
	scoped_free char *bytes = size_rough(transfer->bytes);
	const struct subject *about = &source->how->steps->about;
	if (transfer->connections == 0)
		log_info(about, "%s: the mirror has it already", url);
	else
		log_info(about, "%s: %" PRId64 " objects, %s", url, transfer->objects, bytes);
}

typedef bool hold_mirror(const struct mirror_wish *wish, struct mirror *mirror,
                         struct failure *why);

static bool
try_to_hold(struct source *source, struct source_repository *repository, hold_mirror *how,
            struct failure *why)
{
	struct transfer transfer = {0};
	struct watch watch = {.transfer = &transfer};
	const struct tick tick = {.tell = tell_in_time, .data = &watch};
	begin_watch(source, repository, &watch);
	const struct mirror_wish wish = {.cache_directory = source->how->cache_directory,
	                                 .url = repository->real_url,
	                                 .commit = repository->commit,
	                                 .tick = &tick,
	                                 .transfer = &transfer,
	                                 .steps = source->how->steps};
	bool held = how(&wish, &repository->mirror, why);
	end_watch(source);
	if (!held)
		return fail_in_time(source, &watch, why);
	scoped_free char *shown = repository_shown_url(repository->real_url);
	log_transfer(source, shown, &transfer);
	return true;
}

/* Between two tries. */
static bool
rest(const struct source *source, const struct source_repository *repository, int64_t ms,
     struct failure *why)
{
	struct watch watch = {0};
	const struct tick tick = {.tell = tell_in_time, .data = &watch};
	begin_watch(source, repository, &watch);
	bool go_on = tick_rest(&tick, ms);
	end_watch(source);
	if (go_on)
		return true;
	fail(why, FAILURE_CANCELLED, "stopped between two tries");
	return fail_in_time(source, &watch, why);
}

/* What a moment later may be gone; a server that said nothing had time enough. */
static bool
is_brief(enum failure_code code)
{
	return code == FAILURE_NETWORK || code == FAILURE_SERVER;
}

static bool
hold(struct source *source, struct source_repository *repository, hold_mirror *how,
     struct failure *why)
{
	struct backoff backoff = {.first = 500, .cap = 5000};
	while (!try_to_hold(source, repository, how, why)) {
		if (!is_brief(why->code) || backoff.tries == RETRIES)
			return false;
		log_failure(LEVEL_WARNING, &source->how->steps->about, why, "it is tried again");
		if (!rest(source, repository, backoff_next(&backoff), why))
			return false;
		failure_clear(why);
	}
	return true;
}

static bool
instantiate(struct source *source, struct source_repository *repository, struct failure *why)
{
	struct watch watch = {0};
	const struct tick tick = {.tell = tell_in_time, .data = &watch};
	begin_watch(source, repository, &watch);
	const struct template_wish wish = {.state_directory = source->how->state_directory,
	                                   .url = repository->real_url,
	                                   .commit = repository->commit,
	                                   .mirror = repository->mirror.path,
	                                   .place = repository->place,
	                                   .tick = &tick,
	                                   .steps = source->how->steps};
	bool made = template_instantiate(&wish, why);
	end_watch(source);
	return made || fail_in_time(source, &watch, why);
}

/* A mirror that cannot be read is replaced once. */
static bool
check_out(struct source *source, struct source_repository *repository, struct failure *why)
{
	return instantiate(source, repository, why)
	       || (why->code == FAILURE_DAMAGED && hold(source, repository, mirror_replace, why)
	           && instantiate(source, repository, why));
}

bool
source_fetch(struct source *source, const char *commit, struct failure *why)
{
	return hold(source, add_repository(source, source->how->url, commit), mirror_hold, why);
}

bool
source_check_out(struct source *source, const char *place, struct failure *why)
{
	source->repositories[0].place = copy_string(place);
	return check_out(source, &source->repositories[0], why);
}

/* ---- submodules ---- */

/* What is missing is the repository's fault, what could not be reached is not. */
static bool
fail_submodule(const struct submodule *submodule, const char *url, struct failure *why)
{
	scoped(failure_done) struct failure inner = FAILURE_INIT;
	scoped_free char *shown = repository_shown_url(url);
	failure_copy(&inner, why);
	enum failure_code code = inner.code;
	if (code == FAILURE_NO_REPOSITORY || code == FAILURE_NO_COMMIT || code == FAILURE_NOT_FOUND)
		code = FAILURE_SUBMODULE;
	fail(why, code, "submodule %.120s (%.160s at %s): %s", submodule->path, shown,
	     submodule->commit, inner.message);
	if (inner.details)
		failure_set_details(why, inner.details, strlen(inner.details));
	return false;
}

static bool
check_limits(const struct submodule *submodule, const char *url, const struct strings *ancestors,
             struct failure *why)
{
	if (strings_contain(ancestors, url))
		return fail(why, FAILURE_BAD_REPOSITORY, "submodule %.200s contains itself",
		            submodule->path);
	return ancestors->count <= DEPTH_LIMIT
	       || fail(why, FAILURE_BAD_REPOSITORY,
	               "submodules are nested more than %d deep at %.200s", DEPTH_LIMIT,
	               submodule->path);
}

static bool
add_submodule(struct source *source, size_t parent, const struct submodule *submodule,
              const char *url, struct failure *why)
{
	struct source_repository *repository = add_repository(source, url, submodule->commit);
	repository->place = format("%s/%s", source->repositories[parent].place, submodule->path);
	return (hold(source, repository, mirror_hold, why) && check_out(source, repository, why))
	       || fail_submodule(submodule, url, why);
}

static bool
update(struct source *source, size_t parent, const struct strings *ancestors, struct failure *why)
{
	scoped(submodules_done) struct submodules list;
	if (!tree_submodules(source->repositories[parent].place, &list, why))
		return false;
	if (source->count + list.count > REPOSITORY_LIMIT)
		return fail(why, FAILURE_BAD_REPOSITORY, "more than %d submodules",
		            REPOSITORY_LIMIT - 1);
	for (size_t i = 0; i < list.count; i++) {
		scoped(strings_done) struct strings line = STRINGS_INIT;
		const struct submodule *submodule = &list.items[i];
		scoped_free char *url = repository_resolve_url(source->repositories[parent].url,
		                                               submodule->url);
		if (!url)
			return fail(why, FAILURE_SUBMODULE,
			            "submodule %.200s: %.200s leads nowhere", submodule->path,
			            submodule->url);
		strings_add_all(&line, ancestors);
		strings_add(&line, url);
		if (!check_limits(submodule, url, ancestors, why)
		    || !add_submodule(source, parent, submodule, url, why)
		    || !update(source, source->count - 1, &line, why))
			return false;
	}
	return true;
}

bool
source_submodules(struct source *source, struct failure *why)
{
	scoped(strings_done) struct strings ancestors = STRINGS_INIT;
	strings_add(&ancestors, source->repositories[0].url);
	return update(source, 0, &ancestors, why);
}
