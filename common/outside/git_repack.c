/* Mirrors that hold many packs, of one small fetch each: the same in few. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "git_state.h"
#include "outside/git.h"

#include <git2/sys/odb_backend.h>

/* So many of the largest stay as they are; what is small is made one. */
#define KEPT 8

struct pack {
	char *name; /* pack-<hash>, without .pack */
	int64_t bytes;
};

struct packs {
	struct pack *items; /* the largest first */
	size_t count;
};

static void
packs_done(struct packs *packs)
{
	for (size_t i = 0; i < packs->count; i++)
		free(packs->items[i].name);
	free(packs->items);
}

static int
largest_first(const void *a, const void *b)
{
	const struct pack *left = a, *right = b;
	return (left->bytes < right->bytes) - (left->bytes > right->bytes);
}

static bool
list_packs(const char *mirror, struct packs *packs, struct failure *why)
{
	static const char ending[] = ".pack";
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_free char *directory = format("%s/objects/pack", mirror);
	if (!directory_list(AT_FDCWD, directory, &names, why))
		return false;
	packs->items = allocate((names.count + 1) * sizeof *packs->items);
	for (size_t i = 0; i < names.count; i++) {
		struct stat about;
		scoped_free char *path = format("%s/%s", directory, names.items[i]);
		if (!ends_with(path, ending) || stat(path, &about) < 0)
			continue;
		size_t length = strlen(names.items[i]) - strlen(ending);
		packs->items[packs->count++] = (struct pack){
		    .name = format("%.*s", (int)length, names.items[i]), .bytes = about.st_size};
	}
	if (packs->count)
		qsort(packs->items, packs->count, sizeof *packs->items, largest_first);
	return true;
}

bool
mirror_count_packs(const char *mirror, size_t *ret_count, struct failure *why)
{
	scoped(packs_done) struct packs packs = {0};
	if (!list_packs(mirror, &packs, why))
		return false;
	*ret_count = packs.count;
	return true;
}

/* ---- those that stay ---- */

static bool
link_file(const char *from, const char *to, const char *name, const char *ending,
          struct failure *why)
{
	scoped_free char *old = format("%s/objects/pack/%s%s", from, name, ending);
	scoped_free char *new = format("%s/objects/pack/%s%s", to, name, ending);
	return link(old, new) == 0 || fail_errno(why, "cannot link %s", old);
}

static bool
copy_file(const char *from, const char *to, const char *name, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *old = format("%s/%s", from, name);
	scoped_free char *new = format("%s/%s", to, name);
	return file_read(AT_FDCWD, old, SIZE_MAX, &text, why)
	       && file_replace(AT_FDCWD, new, &text, 0644, why);
}

/* ---- those that become one ---- */

static int
insert(const git_oid *id, void *builder)
{
	return git_packbuilder_insert(builder, id, NULL);
}

/* All that the pack holds. */
static int
insert_pack(git_packbuilder *builder, const char *mirror, const struct pack *pack)
{
	scoped_free char *path = format("%s/objects/pack/%s.idx", mirror, pack->name);
	git_odb *odb = NULL;
	git_odb_backend *backend = NULL;
	int result = git_odb_new(&odb);
	if (result == 0)
		result = git_odb_backend_one_pack(&backend, path);
	if (result == 0)
		result = git_odb_add_backend(odb, backend, 1);
	if (result == 0)
		result = git_odb_foreach(odb, insert, builder);
	git_odb_free(odb);
	return result;
}

static int
on_progress(int stage, uint32_t done, uint32_t total, void *data)
{
	(void)stage, (void)data;
	return tick_tell(git_state.tick, done, total) ? 0 : GIT_EUSER;
}

/* How much memory looking for differences may take. */
static int
limit_memory(git_repository *repository)
{
	git_config *config = NULL;
	int result = git_repository_config(&config, repository);
	if (result == 0)
		result = git_config_set_int64(config, "pack.windowMemory", 16 << 20);
	if (result == 0)
		result = git_config_set_int64(config, "pack.deltaCacheSize", 16 << 20);
	git_config_free(config);
	return result;
}

static int
write_pack(git_packbuilder *builder, const char *to)
{
	scoped_free char *directory = format("%s/objects/pack", to);
	git_packbuilder_set_threads(builder, 1);
	int result = git_packbuilder_set_callbacks(builder, on_progress, NULL);
	return result == 0 ? git_packbuilder_write(builder, directory, 0, NULL, NULL) : result;
}

static bool
join_packs(const char *from, const char *to, const struct packs *packs, struct failure *why)
{
	scoped(git_drop_repository) git_repository *repository = NULL;
	git_packbuilder *builder = NULL;
	int result = git_repository_open_bare(&repository, from);
	if (result == 0)
		result = limit_memory(repository);
	if (result == 0)
		result = git_packbuilder_new(&builder, repository);
	for (size_t i = KEPT; result == 0 && i < packs->count; i++)
		result = insert_pack(builder, from, &packs->items[i]);
	if (result == 0)
		result = write_pack(builder, to);
	git_packbuilder_free(builder);
	return result == 0 || git_fail(result, FAILURE_DAMAGED, why, "cannot join packs");
}

bool
mirror_repack(const char *from, const char *to, const struct tick *tick, struct failure *why)
{
	scoped(packs_done) struct packs packs = {0};
	git_begin(tick);
	if (!list_packs(from, &packs, why) || !copy_file(from, to, "packed-refs", why)
	    || !copy_file(from, to, "description", why))
		return false;
	for (size_t i = 0; i < KEPT && i < packs.count; i++)
		if (!link_file(from, to, packs.items[i].name, ".pack", why)
		    || !link_file(from, to, packs.items[i].name, ".idx", why))
			return false;
	return packs.count <= KEPT || join_packs(from, to, &packs, why);
}
