#include "work/workspace.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/files.h"

char *
workspace_name(const char *job_id, int attempt)
{
	return format("%s-%d", job_id, attempt);
}

char *
workspace_path(const char *state_directory, const char *name)
{
	return format("%s/jobs/%s", state_directory, name);
}

bool
workspace_make(const char *state_directory, const struct job *job, char **ret_path,
               struct failure *why)
{
	scoped_free char *name = workspace_name(job->id, job->attempt);
	scoped_free char *path = workspace_path(state_directory, name);
	if (!tree_remove(AT_FDCWD, path, why) || !directory_make(path, 0700, why))
		return false;
	*ret_path = take_pointer(&path);
	return true;
}

/* ---- retention ---- */

struct kept {
	char *name;
	int64_t written; /* wall ms */
	int64_t bytes;
};

struct kept_list {
	struct kept *items;
	size_t count;
};

static void
kept_list_done(struct kept_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].name);
	free(list->items);
}

static int
newest_first(const void *a, const void *b)
{
	const struct kept *left = a, *right = b;
	return (left->written < right->written) - (left->written > right->written);
}

/* What is no directory is nobody's job: it is left to whoever put it there. */
static bool
look(int jobs, const char *name, struct kept_list *list, struct failure *why)
{
	struct stat about;
	int64_t bytes;
	if (fstatat(jobs, name, &about, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_errno(why, "cannot look at %s", name);
	if (!S_ISDIR(about.st_mode))
		return true;
	if (!tree_size(jobs, name, &bytes, why))
		return false;
	int64_t written = (int64_t)about.st_mtim.tv_sec * 1000 + about.st_mtim.tv_nsec / 1000000;
	list->items[list->count++] = (struct kept){
	    .name = copy_string(name), .written = written, .bytes = bytes};
	return true;
}

static bool
list_kept(int jobs, const char *current, struct kept_list *list, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(jobs, ".", &names, why))
		return false;
	list->items = allocate((names.count + 1) * sizeof *list->items);
	for (size_t i = 0; i < names.count; i++)
		if (!strings_equal(names.items[i], current)
		    && !look(jobs, names.items[i], list, why))
			return false;
	if (list->count)
		qsort(list->items, list->count, sizeof *list->items, newest_first);
	return true;
}

bool
workspace_sweep(const char *state_directory, const struct workspace_policy *policy,
                const char *current, struct strings *removed, struct failure *why)
{
	scoped_free char *path = format("%s/jobs", state_directory);
	scoped_fd int jobs = -1;
	scoped(kept_list_done) struct kept_list list = {0};
	if (!directory_open(AT_FDCWD, path, &jobs, why) || !list_kept(jobs, current, &list, why))
		return false;
	int64_t bytes = 0, now = wall_ms();
	for (size_t i = 0; i < list.count; i++) {
		const struct kept *kept = &list.items[i];
		bytes += kept->bytes;
		bool stays = (int64_t)i < policy->count && bytes <= policy->bytes
		             && now - kept->written <= policy->age;
		if (stays)
			continue;
		if (!tree_remove(jobs, kept->name, why))
			return false;
		strings_add(removed, kept->name);
	}
	return true;
}
