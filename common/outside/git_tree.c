/* Trees: repositories that borrow a mirror's objects, with the files of one commit. */
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "git_state.h"
#include "outside/git.h"

#include <git2/sys/odb_backend.h>

#define ASKED_FIRST 100 /* before libgit2's own, which have 1 and 2 */

/* ---- making one ---- */

/* Writes a file below path/.git whole; a crash of the machine may lose it, the job is lost then
 * anyway. */
static bool
write_file(const char *path, const char *name, const struct text *text, struct failure *why)
{
	scoped_free char *file = format("%s/.git/%s", path, name);
	return file_publish(AT_FDCWD, file, text, 0644, why);
}

bool
tree_borrow(const char *path, const char *mirror, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	text_addf(&text, "%s/objects\n", mirror);
	return write_file(path, "objects/info/alternates", &text, why);
}

/* The mirror's refs/heads/x is the tree's refs/remotes/origin/x. */
static bool
take_references(const char *path, const char *mirror, struct failure *why)
{
	static const char from[] = " refs/heads/", to[] = " refs/remotes/origin/";
	scoped(text_done) struct text all = TEXT_INIT, taken = TEXT_INIT;
	scoped_free char *file = format("%s/packed-refs", mirror);
	if (!file_read(AT_FDCWD, file, SIZE_MAX, &all, why))
		return fail(why, FAILURE_DAMAGED, "%s cannot be read", file);
	const char *rest = text_string(&all);
	for (const char *at; (at = strstr(rest, from)); rest = at + strlen(from)) {
		text_add(&taken, rest, (size_t)(at - rest));
		text_add_string(&taken, to);
	}
	text_add_string(&taken, rest);
	return write_file(path, "packed-refs", &taken, why);
}

/* Names that some file system takes for .git are refused on all of them. */
static int
configure(git_repository *repository, const char *url)
{
	git_config *config = NULL;
	int result = git_repository_config(&config, repository);
	if (result == 0)
		result = git_config_set_bool(config, "core.protectHFS", 1);
	if (result == 0)
		result = git_config_set_bool(config, "core.protectNTFS", 1);
	if (result == 0)
		result = git_config_set_string(config, "remote.origin.url", url);
	if (result == 0)
		result = git_config_set_string(config, "remote.origin.fetch",
		                               "+refs/heads/*:refs/remotes/origin/*");
	git_config_free(config);
	return result;
}

bool
tree_make(const char *path, const char *mirror, const char *url, struct failure *why)
{
	scoped(git_drop_repository) git_repository *repository = NULL;
	git_repository_init_options options;
	git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	options.flags = GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_NO_REINIT;
	git_begin(NULL);
	int result = git_repository_init_ext(&repository, path, &options);
	if (result == 0)
		result = configure(repository, url);
	if (result < 0)
		return git_fail(result, FAILURE_SYSTEM, why, "cannot make %s", path);
	return tree_borrow(path, mirror, why) && take_references(path, mirror, why);
}

/* ---- what must not be checked out ---- */

#define TREE_DEPTH   256
#define TREE_ENTRIES 1000000

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name that stands twice, as a link and as a directory, would lead checkout out of the tree; one
 * with a slash is no name. */
static bool
has_odd_names(const git_tree *tree)
{
	size_t count = git_tree_entrycount(tree);
	scoped_free const char **names = allocate((count + 1) * sizeof *names);
	for (size_t i = 0; i < count; i++)
		names[i] = git_tree_entry_name(git_tree_entry_byindex(tree, i));
	qsort(names, count, sizeof *names, by_name);
	for (size_t i = 0; i < count; i++)
		if (strchr(names[i], '/') || (i > 0 && strcmp(names[i - 1], names[i]) == 0))
			return true;
	return false;
}

struct sanity {
	git_repository *repository;
	size_t entries; /* seen so far */
};

static bool
check_tree(struct sanity *sanity, const git_oid *id, int depth, struct failure *why)
{
	git_tree *tree = NULL;
	int result = git_tree_lookup(&tree, sanity->repository, id);
	if (result < 0)
		return git_fail(result, FAILURE_DAMAGED, why, "a tree cannot be read");
	size_t count = git_tree_entrycount(tree);
	sanity->entries += count;
	bool sane = depth <= TREE_DEPTH && sanity->entries <= TREE_ENTRIES && !has_odd_names(tree);
	if (!sane)
		fail(why, FAILURE_BAD_REPOSITORY,
		     "a tree holds a name twice or with a slash, or is too large");
	for (size_t i = 0; sane && i < count; i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
		if (git_tree_entry_type(entry) == GIT_OBJECT_TREE)
			sane = check_tree(sanity, git_tree_entry_id(entry), depth + 1, why);
	}
	git_tree_free(tree);
	return sane;
}

/* ---- checking out ---- */

/* libgit2's checkout asks nobody whether to go on, but an object that is refused ends it. */
static int
refuse_once_stopped(void **data, size_t *length, git_object_t *type, git_odb_backend *backend,
                    const git_oid *id)
{
	(void)data, (void)length, (void)type, (void)backend, (void)id;
	if (tick_tell(git_state.tick, 0, 0))
		return GIT_PASSTHROUGH;
	git_error_set_str(GIT_ERROR_CALLBACK, "stopped");
	return GIT_EUSER;
}

static void
free_backend(git_odb_backend *backend)
{
	free(backend);
}

/* From now on the tick is asked before an object is read. */
static int
let_tick_stop(git_repository *repository)
{
	git_odb *odb = NULL;
	int result = git_repository_odb(&odb, repository);
	if (result < 0)
		return result;
	git_odb_backend *backend = allocate(sizeof *backend);
	git_odb_init_backend(backend, GIT_ODB_BACKEND_VERSION);
	backend->read = refuse_once_stopped;
	backend->free = free_backend;
	result = git_odb_add_backend(odb, backend, ASKED_FIRST);
	git_odb_free(odb);
	return result;
}

static void
on_checkout_progress(const char *path, size_t done, size_t total, void *data)
{
	(void)path, (void)data;
	/* What it answers is asked again before the next file is read. */
	if (!tick_tell(git_state.tick, (int64_t)done, (int64_t)total))
		return;
}

static int
write_files(git_repository *repository, const git_commit *commit)
{
	git_checkout_options options;
	git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
	options.checkout_strategy = GIT_CHECKOUT_FORCE;
	options.disable_filters = 1;
	options.progress_cb = on_checkout_progress;
	int result = git_checkout_tree(repository, (const git_object *)commit, &options);
	return result == 0 ? git_repository_set_head_detached(repository, git_commit_id(commit))
	                   : result;
}

bool
tree_check_out(const char *path, const char *commit, const struct tick *tick, struct failure *why)
{
	scoped(git_drop_repository) git_repository *repository = NULL;
	scoped(git_drop_commit) git_commit *found = NULL;
	git_oid id;
	git_begin(tick);
	int result = git_repository_open(&repository, path);
	if (result < 0)
		return git_fail(result, FAILURE_SYSTEM, why, "cannot open %s", path);
	result = git_oid_fromstr(&id, commit);
	if (result == 0)
		result = let_tick_stop(repository);
	if (result == 0)
		result = git_commit_lookup(&found, repository, &id);
	if (result < 0)
		return git_fail(result, FAILURE_DAMAGED, why, "cannot read commit %s", commit);
	struct sanity sanity = {.repository = repository};
	if (!check_tree(&sanity, git_commit_tree_id(found), 0, why))
		return fail_within(why, "%s", commit);
	result = write_files(repository, found);
	return result == 0
	       || git_fail(result, git_code_of_reading(result, FAILURE_BAD_REPOSITORY), why,
	                   "cannot check out %s", commit);
}
