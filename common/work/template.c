#include "work/template.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/digest.h"
#include "outside/git.h"

#define LOCK_SLICE   20                   /* ms between two tries for the lock */
#define VERIFY_EVERY (24LL * 3600 * 1000) /* ms */

/* Files of the template's own, in its .git. */
#define UNDER_WAY "moolloy-under-way"       /* is there while files are written */
#define VERIFIED  "moolloy-verified"        /* was written when all files were hashed */
#define BORROWED  "objects/info/alternates" /* is written at each use */

/* ---- one at a time ---- */

static char *
templates_path(const char *state_directory)
{
	return format("%s/template", state_directory);
}

static bool
open_lock(const char *state_directory, int *ret_fd, struct failure *why)
{
	scoped_free char *all = templates_path(state_directory);
	scoped_free char *lock = format("%s/lock", all);
	if (!directory_make(all, 0700, why))
		return false;
	*ret_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *ret_fd >= 0 || fail_errno(why, "cannot open %s", lock);
}

static bool
lock_templates(const struct template_wish *wish, int *ret_fd, struct failure *why)
{
	if (!open_lock(wish->state_directory, ret_fd, why))
		return false;
	while (flock(*ret_fd, LOCK_EX | LOCK_NB) < 0) {
		if (!tick_rest(wish->tick, LOCK_SLICE))
			return fail(why, FAILURE_CANCELLED,
			            "stopped while waiting for another job's checkout");
	}
	return true;
}

/* ---- marks ---- */

static char *
own_file(const char *template, const char *name)
{
	return format("%s/.git/%s", template, name);
}

static bool
mark(const char *template, const char *name, struct failure *why)
{
	scoped(text_done) struct text empty = TEXT_INIT;
	scoped_free char *path = own_file(template, name);
	return file_publish(AT_FDCWD, path, &empty, 0600, why);
}

/* When a file of its own was written; 0: it is not there. */
static int64_t
marked(const char *template, const char *name)
{
	scoped_free char *path = own_file(template, name);
	struct stat about;
	return stat(path, &about) == 0 ? about.st_mtim.tv_sec * 1000LL : 0;
}

static bool
unmark(const char *template, const char *name, struct failure *why)
{
	scoped_free char *path = own_file(template, name);
	return unlink(path) == 0 || fail_errno(why, "cannot remove %s", path);
}

/* ---- bringing one to the commit ---- */

/* One that was left half written is none. *ret_fresh: there was none. */
static bool
find_template(const struct template_wish *wish, const char *template, bool *ret_fresh,
              struct failure *why)
{
	bool good = marked(template, VERIFIED) && !marked(template, UNDER_WAY);
	*ret_fresh = !good;
	if (good)
		return tree_borrow(template, wish->mirror, why);
	scoped_free char *shown = repository_shown_url(wish->url);
	return tree_remove(AT_FDCWD, template, why) && tree_make(template, wish->mirror, shown, why)
	       && mark(template, VERIFIED, why);
}

static bool
verify_if_due(const struct template_wish *wish, const char *template, struct failure *why)
{
	int64_t age = wall_ms() - marked(template, VERIFIED);
	if (age >= 0 && age < VERIFY_EVERY)
		return true;
	return tree_verify(template, wish->tick, why) && mark(template, VERIFIED, why);
}

static bool
bring_to_commit(const struct template_wish *wish, const char *template, struct failure *why)
{
	return mark(template, UNDER_WAY, why)
	       && tree_check_out(template, wish->commit, wish->tick, why)
	       && unmark(template, UNDER_WAY, why) && verify_if_due(wish, template, why);
}

static bool
make_tree(const struct template_wish *wish, const char *template, struct failure *why)
{
	scoped_free char *shown = repository_shown_url(wish->url);
	return tree_remove(AT_FDCWD, wish->place, why)
	       && tree_make(wish->place, wish->mirror, shown, why)
	       && tree_copy(template, wish->place, wish->commit, wish->tick, why);
}

/* *ret_fresh: it failed, if it did, with nothing that an earlier job left. A template that failed
 * is removed: what state it is in nobody knows. Who is stopped leaves that to the next job, which
 * sees by the marks whether it is whole. */
static bool
try(const struct template_wish *wish, const char *template, bool *ret_fresh, struct failure *why)
{
	if (find_template(wish, template, ret_fresh, why) && bring_to_commit(wish, template, why)
	    && make_tree(wish, template, why))
		return true;
	if (why->code != FAILURE_CANCELLED)
		(void)!tree_remove(AT_FDCWD, template, NULL);
	return false;
}

/* Of these a template made anew would fail as well. What looks like a damaged mirror may be the
 * template's last commit, which a new mirror need not hold. */
static bool
is_final(enum failure_code code)
{
	return code == FAILURE_CANCELLED || code == FAILURE_DISK_FULL;
}

bool
template_instantiate(const struct template_wish *wish, struct failure *why)
{
	char sha256[SHA256_TEXT];
	scoped_fd int lock = -1;
	bool fresh = true;
	digest_bytes(wish->url, strlen(wish->url), sha256);
	scoped_free char *all = templates_path(wish->state_directory);
	scoped_free char *template = format("%s/%s", all, sha256);
	if (!lock_templates(wish, &lock, why))
		return false;
	if (try(wish, template, &fresh, why))
		return true;
	if (fresh || is_final(why->code))
		return false;
	scoped_free char *shown = repository_shown_url(wish->url);
	log_failure(LEVEL_WARNING, &wish->steps->about, why,
	            "the template of %s is discarded and made anew", shown);
	steps_healed(wish->steps);
	failure_clear(why);
	return try(wish, template, &fresh, why);
}

/* ---- those that nobody asks for any more ---- */

bool
templates_sweep(const char *state_directory, int64_t max_age, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_free char *all = templates_path(state_directory);
	scoped_fd int lock = -1;
	if (!open_lock(state_directory, &lock, why))
		return false;
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return true;
	if (!directory_list(AT_FDCWD, all, &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped_free char *path = format("%s/%s", all, names.items[i]);
		bool old = wall_ms() - marked(path, BORROWED) > max_age;
		if (!strings_equal(names.items[i], "lock") && old
		    && !tree_remove(AT_FDCWD, path, why))
			return false;
	}
	return true;
}
