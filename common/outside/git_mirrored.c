#include "git_mirrored.h"

#include "git_state.h"

#define MOVED_LIMIT 100 /* branches; each costs a line there and one back */

static void
add_parents(const char *hash, struct strings *list)
{
	scoped(git_drop_commit) git_commit *commit = NULL;
	char parent[GIT_OID_HEXSZ + 1];
	git_oid id;
	if (git_oid_fromstr(&id, hash) < 0
	    || git_commit_lookup(&commit, git_state.repository, &id) < 0)
		return;
	for (unsigned int i = 0; i < git_commit_parentcount(commit); i++)
		strings_add(list,
		            git_oid_tostr(parent, sizeof parent, git_commit_parent_id(commit, i)));
}

static void
add_moved(struct strings *list)
{
	const git_remote_head **heads;
	size_t count;
	char old[GIT_OID_HEXSZ + 1];
	git_oid id;
	if (git_remote_ls(&heads, &count, git_state.remote) < 0)
		return;
	for (size_t i = 0; i < count && list->count < MOVED_LIMIT; i++)
		if (starts_with(heads[i]->name, "refs/heads/")
		    && git_reference_name_to_id(&id, git_state.repository, heads[i]->name) == 0
		    && !git_oid_equal(&id, &heads[i]->oid))
			strings_add(list, git_oid_tostr(old, sizeof old, &id));
}

const struct git_known git_mirrored = {.add_parents = add_parents, .add_moved = add_moved};
