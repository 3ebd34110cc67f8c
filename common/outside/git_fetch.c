/* Mirrors: what is new of a repository, fetched. */
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "git_state.h"
#include "outside/git.h"

/* libgit2 writes packs through memory maps: on a full disk that ends the process. With less room
 * than SPACE left, looked at every SPACE_STEP bytes, it is stopped before that. */
#define SPACE      (4 << 20)
#define SPACE_STEP (256 << 10)

/* A fetch under way. */
struct fetching {
	const struct mirror_fetch *how;
	git_repository *repository;
	git_remote *remote;
	int64_t objects, bytes; /* of the rounds before this one */
	int64_t looked;         /* bytes of this round when the disk's room was last looked at */
};

static void
fetching_done(struct fetching *fetching)
{
	git_remote_free(fetching->remote);
	git_repository_free(fetching->repository);
}

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

/* What libgit2 finds our transports by: a path is one of a file. malloc'd. */
static char *
full_url(const char *url)
{
	return format("%s%s", url[0] == '/' ? "file://" : "", url);
}

/* A path without a repository is no trouble of the network. */
static bool
exists_if_local(const char *url, struct failure *why)
{
	scoped(git_drop_repository) git_repository *repository = NULL;
	const char *path = starts_with(url, "file://") ? url + strlen("file://") : url;
	if (path[0] != '/')
		return true;
	int result = git_repository_open_ext(&repository, path, GIT_REPOSITORY_OPEN_NO_SEARCH,
	                                     NULL);
	return result != GIT_ENOTFOUND
	       || fail(why, FAILURE_NO_REPOSITORY, "there is no repository at %s", path);
}

/* ---- making one ---- */

bool
mirror_make(const char *path, struct failure *why)
{
	scoped(git_drop_repository) git_repository *repository = NULL;
	git_repository_init_options options;
	git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR;
	int result = git_repository_init_ext(&repository, path, &options);
	return result == 0 || git_fail(result, FAILURE_SYSTEM, why, "cannot make a mirror");
}

/* ---- what is there ---- */

static int
look_up_commit(git_repository *repository, const char *hash)
{
	scoped(git_drop_commit) git_commit *commit = NULL;
	git_oid id;
	/* libgit2 1.5 knows 40 digits only; a repository of longer ones it cannot even open. */
	if (strlen(hash) != GIT_OID_HEXSZ || git_oid_fromstr(&id, hash) < 0)
		return GIT_ENOTFOUND;
	return git_commit_lookup(&commit, repository, &id);
}

bool
mirror_holds(const char *mirror, const char *commit, struct failure *why)
{
	scoped(git_drop_repository) git_repository *repository = NULL;
	git_begin(NULL);
	int result = git_repository_open_bare(&repository, mirror);
	if (result < 0)
		return git_fail(result, FAILURE_DAMAGED, why, "cannot open the mirror");
	result = look_up_commit(repository, commit);
	if (result == GIT_ENOTFOUND)
		return fail(why, FAILURE_NO_COMMIT, "the repository holds no commit %s", commit);
	return result == 0 || git_fail(result, FAILURE_DAMAGED, why, "cannot read %s", commit);
}

/* ---- branches and tags: a packed-refs file of what the server told ---- */

static int
by_name(const void *a, const void *b)
{
	const git_remote_head *const *left = a, *const *right = b;
	return strcmp((*left)->name, (*right)->name);
}

/* What may stand in a list of references: branches are commits, or no walk over them works. */
static bool
is_wanted(git_odb *odb, const git_remote_head *head)
{
	size_t length;
	git_object_t type;
	int valid = 0;
	bool branch = starts_with(head->name, "refs/heads/");
	if (!branch && !starts_with(head->name, "refs/tags/"))
		return false;
	if (git_reference_name_is_valid(&valid, head->name) < 0 || !valid)
		return false;
	return git_odb_read_header(&length, &type, odb, &head->oid) == 0
	       && (!branch || type == GIT_OBJECT_COMMIT);
}

static void
add_references(git_odb *odb, const git_remote_head **heads, size_t count, struct text *text)
{
	scoped_free const git_remote_head **sorted = allocate((count + 1) * sizeof *sorted);
	const char *last = "";
	for (size_t i = 0; i < count; i++)
		sorted[i] = heads[i];
	qsort(sorted, count, sizeof *sorted, by_name);
	text_add_string(text, "# pack-refs with: sorted \n");
	for (size_t i = 0; i < count; i++) {
		char hash[GIT_OID_HEXSZ + 1];
		if (strcmp(sorted[i]->name, last) == 0 || !is_wanted(odb, sorted[i]))
			continue;
		last = sorted[i]->name;
		text_addf(text, "%s %s\n", git_oid_tostr(hash, sizeof hash, &sorted[i]->oid), last);
	}
}

static bool
write_references(struct fetching *fetching, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *path = format("%s/packed-refs", fetching->how->mirror);
	const git_remote_head **heads;
	size_t count;
	git_odb *odb = NULL;
	int result = git_remote_ls(&heads, &count, fetching->remote);
	if (result == 0)
		result = git_repository_odb(&odb, fetching->repository);
	if (result < 0)
		return git_fail(result, FAILURE_REPOSITORY, why, "no list of branches");
	add_references(odb, heads, count, &text);
	git_odb_free(odb);
	return file_replace(AT_FDCWD, path, &text, 0644, why);
}

/* ---- fetching ---- */

static bool
has_room(struct fetching *fetching, int64_t received)
{
	int64_t bytes = 0, inodes;
	if (received - fetching->looked < SPACE_STEP && received >= fetching->looked)
		return true;
	fetching->looked = received;
	if (!space_free(fetching->how->mirror, &bytes, &inodes, &git_state.why))
		return false;
	return bytes >= SPACE
	       || fail(&git_state.why, FAILURE_DISK_FULL, "no room is left for %s",
	               fetching->how->mirror);
}

static int
on_transfer(const git_indexer_progress *stats, void *data)
{
	struct fetching *fetching = data;
	const struct mirror_fetch *how = fetching->how;
	how->transfer->objects = fetching->objects + stats->indexed_objects;
	how->transfer->bytes = fetching->bytes + (int64_t)stats->received_bytes;
	if (!has_room(fetching, (int64_t)stats->received_bytes))
		return -1;
	return tick_tell(how->tick, stats->indexed_objects, stats->total_objects) ? 0 : GIT_EUSER;
}

static int
download(struct fetching *fetching, git_strarray *references)
{
	git_fetch_options options;
	git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
	options.callbacks.transfer_progress = on_transfer;
	options.callbacks.payload = fetching;
	options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	git_remote_free(fetching->remote);
	fetching->remote = NULL;
	fetching->looked = -SPACE_STEP;
	fetching->objects = fetching->how->transfer->objects;
	fetching->bytes = fetching->how->transfer->bytes;
	fetching->how->transfer->connections++;
	scoped_free char *url = full_url(fetching->how->url);
	int result = git_remote_create_anonymous(&fetching->remote, fetching->repository, url);
	git_state.repository = fetching->repository;
	git_state.remote = fetching->remote;
	return result == 0 ? git_remote_download(fetching->remote, references, &options) : result;
}

static bool
fetch_branches(struct fetching *fetching, struct failure *why)
{
	/* HEAD need not be on a branch. */
	char heads[] = "+refs/heads/*:refs/heads/*", tags[] = "+refs/tags/*:refs/tags/*";
	char head[] = "+HEAD:refs/moolloy/HEAD";
	char *list[] = {heads, tags, head};
	git_strarray references = {.strings = list, .count = 3};
	scoped_free char *shown = repository_shown_url(fetching->how->url);
	int result = download(fetching, &references);
	if (result < 0)
		return git_fail(result, FAILURE_REPOSITORY, why, "cannot fetch from %s", shown);
	return write_references(fetching, why) || fail_within(why, "%s", shown);
}

/* Can every commit that is on a branch be read? Asked before the server is blamed for one that is
 * not there. */
static bool
is_whole(struct fetching *fetching, struct failure *why)
{
	git_revwalk *walk = NULL;
	git_oid id;
	int result = git_revwalk_new(&walk, fetching->repository);
	if (result == 0)
		result = git_revwalk_push_glob(walk, "refs/heads/*");
	while (result == 0)
		result = tick_tell(git_state.tick, 0, 0) ? git_revwalk_next(&id, walk) : GIT_EUSER;
	git_revwalk_free(walk);
	return result == GIT_ITEROVER
	       || git_fail(result, FAILURE_DAMAGED, why, "the mirror's history cannot be read");
}

/* A commit on no branch: servers that allow it give it by its hash. */
static bool
fetch_commit(struct fetching *fetching, struct failure *why)
{
	const char *hash = fetching->how->commit;
	scoped_free char *reference = format("+%s:refs/moolloy/%s", hash, hash);
	char *list[] = {reference};
	git_strarray references = {.strings = list, .count = 1};
	int result = strlen(hash) == GIT_OID_HEXSZ ? download(fetching, &references) : 0;
	bool unreachable = git_state.why.code != FAILURE_NONE && git_state.why.retryable;
	if (result == GIT_EUSER || unreachable)
		return git_fail(result, FAILURE_REPOSITORY, why, "cannot fetch commit %s", hash);
	failure_clear(&git_state.why);
	if (look_up_commit(fetching->repository, hash) == 0)
		return true;
	return is_whole(fetching, why)
	       && fail(why, FAILURE_NO_COMMIT, "the repository holds no commit %s", hash);
}

bool
mirror_fetch(const struct mirror_fetch *fetch, struct failure *why)
{
	scoped(fetching_done) struct fetching fetching = {.how = fetch};
	git_begin(fetch->tick);
	if (!check_url(fetch->url, why) || !exists_if_local(fetch->url, why))
		return false;
	int result = git_repository_open_bare(&fetching.repository, fetch->mirror);
	if (result < 0)
		return git_fail(result, FAILURE_DAMAGED, why, "cannot open the mirror");
	return fetch_branches(&fetching, why)
	       && (look_up_commit(fetching.repository, fetch->commit) == 0
	           || fetch_commit(&fetching, why));
}
