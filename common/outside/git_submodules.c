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

void
submodules_done(struct submodules *submodules)
{
	for (size_t i = 0; i < submodules->count; i++) {
		free(submodules->items[i].path);
		free(submodules->items[i].url);
	}
	free(submodules->items);
}

static int
on_submodule(git_submodule *submodule, const char *name, void *data)
{
	(void)name;
	struct submodules *all = data;
	const git_oid *commit = git_submodule_head_id(submodule);
	/* .gitmodules may name what the tree does not hold. */
	if (!commit)
		return 0;
	all->items = reallocate(all->items, (all->count + 1) * sizeof *all->items);
	struct submodule *item = &all->items[all->count++];
	item->path = copy_string(git_submodule_path(submodule));
	item->url = copy_string(git_submodule_url(submodule));
	git_oid_tostr(item->commit, sizeof item->commit, commit);
	return 0;
}

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

bool
tree_submodules(const char *path, struct submodules *ret, struct failure *why)
{
	scoped(git_drop_repository) git_repository *repository = NULL;
	*ret = (struct submodules){0};
	git_begin(NULL);
	int result = git_repository_open(&repository, path);
	if (result == 0)
		result = git_submodule_foreach(repository, on_submodule, ret);
	if (result < 0)
		return git_fail(result, FAILURE_BAD_REPOSITORY, why,
		                "the submodules cannot be read");
	for (size_t i = 0; i < ret->count; i++) {
		const struct submodule *submodule = &ret->items[i];
		if (!submodule->url)
			return fail(why, FAILURE_SUBMODULE,
			            "submodule %.200s: .gitmodules holds no address for it",
			            submodule->path);
		if (!check_place(path, submodule->path, why))
			return false;
	}
	return true;
}
