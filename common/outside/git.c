#include "outside/git.h"

#include <stdlib.h>
#include <string.h>

#include "git_http.h"
#include "git_ssh.h"
#include "git_state.h"

/* ---- addresses ---- */

static bool
check_url(const char *url, struct failure *why)
{
	const char *protocol = repository_protocol(url);
	scoped_free char *shown = repository_shown_url(url);
	if (!protocol)
		return fail(why, FAILURE_BAD_REPOSITORY, "'%.200s' is no address of a repository",
		            shown);
	/* libgit2 takes any address with a colon for one of ssh, a path too. */
	if (strings_equal(protocol, "file") && strchr(url + strlen("file:"), ':'))
		return fail(why, FAILURE_BAD_REPOSITORY, "'%.200s': a path with a colon", shown);
	return strings_contain(git_state.access->protocols, protocol)
	       || fail(why, FAILURE_BAD_REPOSITORY,
	               "%.200s: protocol %s is not allowed (git.protocols)", shown, protocol);
}

/* libgit2 is very slow on file://, not on the path itself. */
static const char *
plain_url(const char *url)
{
	return starts_with(url, "file:///") ? url + strlen("file://") : url;
}

/* ---- start ---- */

static int
make_http(git_transport **out, git_remote *owner, void *param)
{
	git_smart_subtransport_definition definition = {
	    .callback = git_http_subtransport, .rpc = 1, .param = param};
	return git_transport_smart(out, owner, &definition);
}

static int
make_ssh(git_transport **out, git_remote *owner, void *param)
{
	git_smart_subtransport_definition definition = {
	    .callback = git_ssh_subtransport, .rpc = 0, .param = param};
	return git_transport_smart(out, owner, &definition);
}

/* The host's own git configuration (url.insteadOf, filters, ...) has no say here. */
static int
ignore_host_configuration(void)
{
	static const git_config_level_t levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA,
	                                            GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_XDG,
	                                            GIT_CONFIG_LEVEL_GLOBAL};
	int result = 0;
	for (size_t i = 0; result == 0 && i < sizeof levels / sizeof *levels; i++)
		result = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	return result;
}

bool
repository_start(const struct repository_access *access, struct failure *why)
{
	git_state.access = access;
	int result = git_libgit2_init();
	if (result > 0)
		result = ignore_host_configuration();
	/* A local repository of another user is read like one from anywhere else. */
	if (result == 0)
		result = git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	if (result == 0)
		result = git_transport_register("http", make_http, NULL);
	if (result == 0)
		result = git_transport_register("https", make_http, NULL);
	if (result == 0)
		result = git_transport_register("ssh", make_ssh, NULL);
	return result == 0 || git_fail(result, FAILURE_INTERNAL, why, "libgit2 does not start");
}

/* ---- clone ---- */

static int
on_transfer(const git_indexer_progress *stats, void *data)
{
	(void)data;
	bool go_on = tick_tell(git_state.tick, stats->indexed_objects, stats->total_objects);
	return go_on ? 0 : GIT_EUSER;
}

static void
free_repository(git_repository **repository)
{
	git_repository_free(*repository);
}

/* A path without a repository is no trouble of the network. */
static bool
exists_if_local(const char *url, struct failure *why)
{
	scoped(free_repository) git_repository *repository = NULL;
	if (url[0] != '/')
		return true;
	int result = git_repository_open_ext(&repository, url, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
	return result != GIT_ENOTFOUND
	       || fail(why, FAILURE_NO_REPOSITORY, "there is no repository at %s", url);
}

bool
repository_clone(const char *url, const char *path, const struct tick *tick, struct failure *why)
{
	scoped(free_repository) git_repository *repository = NULL;
	scoped_free char *shown = repository_shown_url(url);
	git_clone_options options;
	git_clone_options_init(&options, GIT_CLONE_OPTIONS_VERSION);
	options.checkout_opts.checkout_strategy = GIT_CHECKOUT_NONE;
	options.fetch_opts.callbacks.transfer_progress = on_transfer;
	options.local = GIT_CLONE_NO_LOCAL; /* never hard links into somebody's repository */
	git_state.tick = tick;
	if (!check_url(url, why) || !exists_if_local(plain_url(url), why))
		return false;
	int result = git_clone(&repository, plain_url(url), path, &options);
	if (result == GIT_ENOTFOUND)
		return git_fail(result, FAILURE_NO_REPOSITORY, why, "cannot clone %s", shown);
	return result == 0 || git_fail(result, FAILURE_REPOSITORY, why, "cannot clone %s", shown);
}

/* ---- checkout ---- */

static void
free_commit(git_commit **commit)
{
	git_commit_free(*commit);
}

static void
free_remote(git_remote **remote)
{
	git_remote_free(*remote);
}

/* A commit on no branch: servers that allow it give it by its hash. */
static int
fetch_commit(git_repository *repository, const char *hash)
{
	scoped(free_remote) git_remote *origin = NULL;
	scoped_free char *refspec = format("+%s:refs/moolloy/%s", hash, hash);
	char *specs[] = {refspec};
	git_strarray list = {.strings = specs, .count = 1};
	git_fetch_options options;
	git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
	options.callbacks.transfer_progress = on_transfer;
	int result = git_remote_lookup(&origin, repository, "origin");
	return result == 0 ? git_remote_fetch(origin, &list, &options, NULL) : result;
}

static bool
find_commit(git_repository *repository, const char *hash, git_commit **ret, struct failure *why)
{
	git_oid id;
	/* libgit2 1.5 knows 40 digits only; a repository of longer ones it cannot even open. */
	if (strlen(hash) != GIT_OID_HEXSZ || git_oid_fromstr(&id, hash) < 0)
		return fail(why, FAILURE_NO_COMMIT, "the repository holds no commit %s", hash);
	if (git_commit_lookup(ret, repository, &id) == 0)
		return true;
	int result = fetch_commit(repository, hash);
	bool unreachable = git_state.why.code != FAILURE_NONE && git_state.why.retryable;
	if (result == GIT_EUSER || unreachable)
		return git_fail(result, FAILURE_REPOSITORY, why, "cannot fetch commit %s", hash);
	failure_clear(&git_state.why);
	return git_commit_lookup(ret, repository, &id) == 0
	       || fail(why, FAILURE_NO_COMMIT, "the repository holds no commit %s", hash);
}

/* ---- trees that must not be checked out ---- */

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

static bool
is_sane(git_repository *repository, const git_oid *id, int depth, size_t *entries)
{
	git_tree *tree = NULL;
	if (depth > TREE_DEPTH || git_tree_lookup(&tree, repository, id) < 0)
		return false;
	size_t count = git_tree_entrycount(tree);
	*entries += count;
	bool sane = *entries <= TREE_ENTRIES && !has_odd_names(tree);
	for (size_t i = 0; sane && i < count; i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
		if (git_tree_entry_type(entry) == GIT_OBJECT_TREE)
			sane = is_sane(repository, git_tree_entry_id(entry), depth + 1, entries);
	}
	git_tree_free(tree);
	return sane;
}

/* libgit2's checkout cannot be stopped from here; notify can. */
static int
on_checkout(git_checkout_notify_t reason, const char *path, const git_diff_file *baseline,
            const git_diff_file *target, const git_diff_file *workdir, void *data)
{
	(void)reason, (void)path, (void)baseline, (void)target, (void)workdir, (void)data;
	return tick_tell(git_state.tick, 0, 0) ? 0 : GIT_EUSER;
}

static void
on_checkout_progress(const char *path, size_t done, size_t total, void *data)
{
	(void)path, (void)data;
	/* What it answers is asked again by on_checkout(). */
	if (!tick_tell(git_state.tick, (int64_t)done, (int64_t)total))
		return;
}

/* Names that some file system takes for .git are refused on all of them. */
static int
protect(git_repository *repository)
{
	git_config *config = NULL;
	int result = git_repository_config(&config, repository);
	if (result == 0)
		result = git_config_set_bool(config, "core.protectHFS", 1);
	if (result == 0)
		result = git_config_set_bool(config, "core.protectNTFS", 1);
	git_config_free(config);
	return result;
}

static int
checkout_tree(git_repository *repository, const git_commit *commit)
{
	git_checkout_options options;
	git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
	options.checkout_strategy = GIT_CHECKOUT_FORCE;
	options.disable_filters = 1;
	options.progress_cb = on_checkout_progress;
	options.notify_flags = GIT_CHECKOUT_NOTIFY_UPDATED;
	options.notify_cb = on_checkout;
	int result = git_checkout_tree(repository, (const git_object *)commit, &options);
	return result == 0 ? git_repository_set_head_detached(repository, git_commit_id(commit))
	                   : result;
}

bool
repository_checkout(const char *path, const char *commit, const struct tick *tick,
                    struct failure *why)
{
	scoped(free_repository) git_repository *repository = NULL;
	scoped(free_commit) git_commit *found = NULL;
	git_state.tick = tick;
	int result = git_repository_open(&repository, path);
	if (result < 0)
		return git_fail(result, FAILURE_SYSTEM, why, "cannot open the clone");
	if (!find_commit(repository, commit, &found, why))
		return false;
	size_t entries = 0;
	if (!is_sane(repository, git_commit_tree_id(found), 0, &entries))
		return fail(why, FAILURE_BAD_REPOSITORY,
		            "the tree of %s is damaged, holds a name twice or with a slash, or is "
		            "too large",
		            commit);
	result = protect(repository);
	if (result == 0)
		result = checkout_tree(repository, found);
	return result == 0
	       || git_fail(result, FAILURE_BAD_REPOSITORY, why, "cannot check out %s", commit);
}
