#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/files.h"
#include "git_state.h"
#include "outside/git.h"

#define DEPTH_LIMIT 8

/* A submodule as the checked out commit has it. */
struct submodule {
	char *path; /* in its parent's tree */
	char *url;  /* as .gitmodules says; NULL: it does not */
	char commit[GIT_OID_HEXSZ + 1];
};

struct list {
	git_repository *repository;
	struct submodule *items;
	size_t count;
};

static void
list_done(struct list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].path);
		free(list->items[i].url);
	}
	free(list->items);
	git_repository_free(list->repository);
}

/* ---- what there is ---- */

static char *
resolved_url(git_repository *repository, const char *url)
{
	git_buf resolved = {0};
	if (!url || git_submodule_resolve_url(&resolved, repository, url) < 0)
		return copy_string(url);
	char *copy = copy_string(resolved.ptr);
	git_buf_dispose(&resolved);
	return copy;
}

static int
on_submodule(git_submodule *submodule, const char *name, void *data)
{
	(void)name;
	struct list *list = data;
	const git_oid *commit = git_submodule_head_id(submodule);
	/* .gitmodules may name what the tree does not hold. */
	if (!commit)
		return 0;
	list->items = reallocate(list->items, (list->count + 1) * sizeof *list->items);
	struct submodule *item = &list->items[list->count++];
	item->path = copy_string(git_submodule_path(submodule));
	item->url = resolved_url(list->repository, git_submodule_url(submodule));
	git_oid_tostr(item->commit, sizeof item->commit, commit);
	return 0;
}

static bool
list_submodules(const char *path, struct list *list, struct failure *why)
{
	int result = git_repository_open(&list->repository, path);
	if (result == 0)
		result = git_submodule_foreach(list->repository, on_submodule, list);
	return result == 0
	       || git_fail(result, FAILURE_BAD_REPOSITORY, why, "the submodules cannot be read");
}

/* ---- one of them ---- */

/* The place that checkout made for it: a directory, reached without any link. */
static bool
check_place(const char *tree, const char *path, struct failure *why)
{
	scoped_fd int top = -1, fd = -1;
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
	                       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	if (!directory_open(AT_FDCWD, tree, &top, why))
		return false;
	fd = (int)syscall(SYS_openat2, top, path, &how, sizeof how);
	/* A filter of system calls (RestrictSUIDSGID= of systemd) is not the repository's fault. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return fail(why, FAILURE_SYSTEM, "openat2(2) is forbidden here");
	return fd >= 0
	       || fail(why, FAILURE_BAD_REPOSITORY, "submodule %.200s does not lie in the tree",
	               path);
}

/* What is missing is the repository's fault, what could not be reached is not. */
static bool
fail_submodule(const struct submodule *submodule, struct failure *why)
{
	scoped_free char *shown = repository_shown_url(submodule->url);
	scoped(failure_done) struct failure inner = FAILURE_INIT;
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
clone_submodule(const struct submodule *submodule, const char *tree, const struct tick *tick,
                struct failure *why)
{
	scoped_free char *place = format("%s/%s", tree, submodule->path);
	if (!submodule->url)
		return fail(why, FAILURE_SUBMODULE,
		            "submodule %.200s: .gitmodules holds no address for it",
		            submodule->path);
	return check_place(tree, submodule->path, why)
	       && ((repository_clone(submodule->url, place, tick, why)
	            && repository_checkout(place, submodule->commit, tick, why))
	           || fail_submodule(submodule, why));
}

/* ---- all of them ---- */

static bool update(const char *tree, struct strings *ancestors, const struct tick *tick,
                   struct failure *why);

static bool
update_below(const struct submodule *submodule, const char *tree, struct strings *ancestors,
             const struct tick *tick, struct failure *why)
{
	scoped(strings_done) struct strings line = STRINGS_INIT;
	scoped_free char *place = format("%s/%s", tree, submodule->path);
	strings_add_all(&line, ancestors);
	strings_add(&line, submodule->url);
	return update(place, &line, tick, why);
}

static bool
check_ancestors(const struct submodule *submodule, const struct strings *ancestors,
                struct failure *why)
{
	if (submodule->url && strings_contain(ancestors, submodule->url))
		return fail(why, FAILURE_BAD_REPOSITORY, "submodule %.200s contains itself",
		            submodule->path);
	if (ancestors->count > DEPTH_LIMIT)
		return fail(why, FAILURE_BAD_REPOSITORY,
		            "submodules are nested more than %d deep at %.200s", DEPTH_LIMIT,
		            submodule->path);
	return true;
}

static bool
update(const char *tree, struct strings *ancestors, const struct tick *tick, struct failure *why)
{
	scoped(list_done) struct list list = {0};
	if (!list_submodules(tree, &list, why))
		return false;
	for (size_t i = 0; i < list.count; i++) {
		const struct submodule *submodule = &list.items[i];
		if (!check_ancestors(submodule, ancestors, why)
		    || !clone_submodule(submodule, tree, tick, why)
		    || !update_below(submodule, tree, ancestors, tick, why))
			return false;
	}
	return true;
}

static char *
origin_url(const char *path)
{
	git_repository *repository = NULL;
	git_remote *origin = NULL;
	char *url = NULL;
	if (git_repository_open(&repository, path) == 0
	    && git_remote_lookup(&origin, repository, "origin") == 0)
		url = copy_string(git_remote_url(origin));
	git_remote_free(origin);
	git_repository_free(repository);
	return url;
}

bool
repository_submodules(const char *path, const struct tick *tick, struct failure *why)
{
	scoped(strings_done) struct strings ancestors = STRINGS_INIT;
	scoped_free char *url = origin_url(path);
	if (!url)
		return fail(why, FAILURE_SYSTEM, "the clone %s has no origin", path);
	strings_add(&ancestors, url);
	return update(path, &ancestors, tick, why);
}
