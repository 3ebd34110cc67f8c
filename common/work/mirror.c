#include "work/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/digest.h"

#define LOCK_SLICE 20 /* ms between two tries for a lock */
#define PACK_LIMIT 50 /* with more the mirror is slow */

/* Its place in the cache, and, while it is written, the lock. */
struct entry {
	char *path;
	int lock; /* fd, locked exclusive; -1: not ours */
};

static void
entry_done(struct entry *entry)
{
	free_pointer(&entry->path);
	close_fd(&entry->lock);
}

void
mirror_done(struct mirror *mirror)
{
	free_pointer(&mirror->path);
	close_fd(&mirror->used);
}

static char *
entry_path(const struct mirror_wish *wish)
{
	char sha256[SHA256_TEXT];
	digest_bytes(wish->url, strlen(wish->url), sha256);
	return format("%s/git/%s", wish->cache_directory, sha256);
}

/* ---- the current one ---- */

/* The highest number among the names in the entry; 0: none. */
static int
current_number(const char *entry)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	int highest = 0;
	if (!directory_list(AT_FDCWD, entry, &names, NULL))
		return 0;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];
		bool number = strspn(name, "0123456789") == strlen(name) && strlen(name) < 9;
		if (number && atoi(name) > highest)
			highest = atoi(name);
	}
	return highest;
}

/* Is it still the one that lies there? */
static bool
is_same(int fd, const char *path)
{
	struct stat one, other;
	return fstat(fd, &one) == 0 && stat(path, &other) == 0 && one.st_ino == other.st_ino
	       && one.st_dev == other.st_dev;
}

/* Opens the current one, if there is any; used is -1 for one that is no directory. Between reading
 * its name and locking it, it may be followed by another, and removed. */
static void
open_current(const char *entry, struct mirror *ret)
{
	int number;
	while ((number = current_number(entry)) > 0) {
		scoped_free char *path = format("%s/%d", entry, number);
		scoped_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		bool there = fd >= 0 ? flock(fd, LOCK_SH) == 0 && is_same(fd, path)
		                     : errno != ENOENT;
		if (!there)
			continue;
		mirror_done(ret);
		*ret = (struct mirror){.path = take_pointer(&path), .used = take_fd(&fd)};
		return;
	}
}

/* Who does not own it might be who damaged it. */
static bool
check_owner(const struct mirror *mirror, struct failure *why)
{
	struct stat about;
	if (mirror->used < 0 || fstat(mirror->used, &about) < 0)
		return fail(why, FAILURE_DAMAGED, "it cannot be opened");
	if (about.st_uid == geteuid())
		return true;
	return fail(why, FAILURE_DAMAGED, "it belongs to user %d", (int)about.st_uid);
}

static bool
holds(const struct mirror *mirror, const char *commit, struct failure *why)
{
	return mirror->path ? check_owner(mirror, why) && mirror_holds(mirror->path, commit, why)
	                    : fail(why, FAILURE_NO_COMMIT, "there is no mirror yet");
}

/* Mirrors that are not used go away, see mirrors_sweep(). */
static void
mark_used(const char *entry)
{
	scoped_free char *path = format("%s/lock", entry);
	utimensat(AT_FDCWD, path, NULL, 0);
}

/* ---- writing ---- */

static bool
wait_a_little(const struct mirror_wish *wish, struct failure *why)
{
	return tick_rest(wish->tick, LOCK_SLICE)
	       || fail(why, FAILURE_CANCELLED, "stopped while waiting for another worker's fetch");
}

/* What this user may not write is somebody else's: out of the way with it, by a name of its own,
 * for only its owner can sweep it. */
static bool
set_aside(const char *path)
{
	scoped_free char *aside = format("%s.%d.aside", path, (int)getpid());
	return rename(path, aside) == 0;
}

/* Waits until no other worker writes it. What was swept meanwhile is made again. */
static bool
lock_entry(const struct mirror_wish *wish, struct entry *entry, struct failure *why)
{
	scoped_free char *path = format("%s/lock", entry->path);
	for (bool told = false;; told = true) {
		if (!directory_make(entry->path, 0750, why))
			return false;
		scoped_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
		if (fd < 0 && errno != ENOENT && !(errno == EACCES && set_aside(entry->path)))
			return fail_errno(why, "cannot open %s", path);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && is_same(fd, path)) {
			entry->lock = take_fd(&fd);
			return true;
		}
		if (!told)
			log_info(&wish->steps->about, "another worker fetches it: waiting");
		if (!wait_a_little(wish, why))
			return false;
	}
}

/* Nobody uses it: nobody can begin to either, for he would look whether it is still there. */
static bool
remove_unused(const char *path)
{
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && tree_remove(AT_FDCWD, path, NULL);
}

/* What was left by a fetch that was killed, and mirrors that others followed. For who holds the
 * lock. */
static void
clean_entry(const struct entry *entry)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	int current = current_number(entry->path);
	if (!directory_list(AT_FDCWD, entry->path, &names, NULL))
		return;
	for (size_t i = 0; i < names.count; i++) {
		scoped_free char *path = format("%s/%s", entry->path, names.items[i]);
		int number = atoi(names.items[i]);
		if (strings_equal(names.items[i], "lock") || number == current)
			continue;
		remove_unused(path);
	}
}

/* Packs and indexes in the making of whoever was killed: libgit2 names them so. */
static void
sweep_strays(const char *mirror)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_free char *packs = format("%s/objects/pack", mirror);
	if (!directory_list(AT_FDCWD, packs, &names, NULL))
		return;
	for (size_t i = 0; i < names.count; i++) {
		scoped_free char *path = format("%s/%s", packs, names.items[i]);
		if (starts_with(names.items[i], "pack_git2_") || ends_with(path, ".lock"))
			unlink(path);
	}
}

/* ---- fetching ---- */

static bool
fetch(const struct mirror_wish *wish, const char *mirror, struct failure *why)
{
	const struct mirror_fetch how = {.mirror = mirror,
	                                 .url = wish->url,
	                                 .commit = wish->commit,
	                                 .tick = wish->tick,
	                                 .transfer = wish->transfer};
	return mirror_fetch(&how, why);
}

/* The address, for people; without user and password, for the mirror is read in boxes. */
static bool
describe(const char *mirror, const char *url, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *path = format("%s/description", mirror);
	scoped_free char *shown = repository_shown_url(url);
	text_addf(&text, "%s\n", shown);
	return file_publish(AT_FDCWD, path, &text, 0644, why);
}

/* A mirror that holds all but the commit is worth keeping. */
static bool
is_useful(bool fetched, const struct failure *why)
{
	return fetched || why->code == FAILURE_NO_COMMIT;
}

static bool
clone_anew(const struct mirror_wish *wish, const struct entry *entry, struct mirror *ret,
           struct failure *why)
{
	scoped_free char *new = format("%s/new", entry->path);
	scoped_free char *place = format("%s/%d", entry->path, current_number(entry->path) + 1);
	if (!tree_remove(AT_FDCWD, new, why) || !mirror_make(new, why)
	    || !describe(new, wish->url, why))
		return false;
	bool fetched = fetch(wish, new, why);
	if (!is_useful(fetched, why)) {
		(void)!tree_remove(AT_FDCWD, new, NULL);
		return false;
	}
	if (rename(new, place) < 0)
		return fail_errno(why, "cannot rename %s", new);
	open_current(entry->path, ret);
	return fetched;
}

/* Can it be the mirror's own fault? A server that sends rubbish sends it to a new mirror too. */
static bool
may_be_damage(enum failure_code code)
{
	return code == FAILURE_DAMAGED || code == FAILURE_REPOSITORY || code == FAILURE_PERMISSION
	       || code == FAILURE_SYSTEM || code == FAILURE_NOT_FOUND;
}

static bool
replace(const struct mirror_wish *wish, const struct entry *entry, struct mirror *mirror,
        struct failure *why)
{
	scoped_free char *shown = repository_shown_url(wish->url);
	log_failure(LEVEL_WARNING, &wish->steps->about, why,
	            "the mirror of %s, %s, is damaged: it is set aside and cloned anew", shown,
	            mirror->path);
	steps_healed(wish->steps);
	failure_clear(why);
	return clone_anew(wish, entry, mirror, why);
}

/* ---- many packs ---- */

static bool
repack(const struct mirror_wish *wish, const struct entry *entry, struct mirror *mirror,
       struct failure *why)
{
	scoped_free char *new = format("%s/new", entry->path);
	scoped_free char *place = format("%s/%d", entry->path, current_number(entry->path) + 1);
	if (!tree_remove(AT_FDCWD, new, why) || !mirror_make(new, why)
	    || !mirror_repack(mirror->path, new, wish->tick, why))
		return false;
	if (rename(new, place) < 0)
		return fail_errno(why, "cannot rename %s", new);
	open_current(entry->path, mirror);
	clean_entry(entry);
	return true;
}

/* That it could not be done costs only time. */
static void
repack_if_needed(const struct mirror_wish *wish, const struct entry *entry, struct mirror *mirror)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	size_t count = 0;
	if (!mirror_count_packs(mirror->path, &count, &why) || count <= PACK_LIMIT)
		return;
	if (repack(wish, entry, mirror, &why))
		log_info(&wish->steps->about, "the mirror's %zu packs were made few", count);
	else
		log_failure(LEVEL_WARNING, &wish->steps->about, &why,
		            "the mirror keeps its %zu packs", count);
}

/* Under the lock. */
static bool
bring_up_to_date(const struct mirror_wish *wish, const struct entry *entry, struct mirror *ret,
                 struct failure *why)
{
	clean_entry(entry);
	/* Another worker may have fetched it while this one waited. */
	open_current(entry->path, ret);
	if (holds(ret, wish->commit, why))
		return true;
	if (!ret->path)
		return clone_anew(wish, entry, ret, why);
	sweep_strays(ret->path);
	if (why->code != FAILURE_NO_COMMIT)
		return replace(wish, entry, ret, why);
	failure_clear(why);
	return fetch(wish, ret->path, why)
	       || (may_be_damage(why->code) && replace(wish, entry, ret, why));
}

bool
mirror_hold(const struct mirror_wish *wish, struct mirror *ret, struct failure *why)
{
	scoped(entry_done) struct entry entry = {.path = entry_path(wish), .lock = -1};
	open_current(entry.path, ret);
	bool held = holds(ret, wish->commit, why);
	if (!held) {
		failure_clear(why);
		held = lock_entry(wish, &entry, why) && bring_up_to_date(wish, &entry, ret, why);
		if (held)
			repack_if_needed(wish, &entry, ret);
	}
	mark_used(entry.path);
	return held;
}

bool
mirror_replace(const struct mirror_wish *wish, struct mirror *mirror, struct failure *why)
{
	scoped(entry_done) struct entry entry = {.path = entry_path(wish), .lock = -1};
	scoped_free char *damaged = copy_string(mirror->path);
	scoped(failure_done) struct failure was = FAILURE_INIT;
	failure_copy(&was, why);
	if (!lock_entry(wish, &entry, why))
		return false;
	/* Another worker may have met the same damage, and was faster. */
	open_current(entry.path, mirror);
	if (!strings_equal(mirror->path, damaged) && holds(mirror, wish->commit, why))
		return true;
	failure_copy(why, &was);
	return replace(wish, &entry, mirror, why);
}

/* ---- those that nobody asks for any more ---- */

/* First out of sight, so that a sweep that is killed leaves no half mirror. */
static bool
remove_entry(const char *path)
{
	int number = current_number(path);
	scoped_free char *mirror = format("%s/%d", path, number);
	scoped_free char *out_of_sight = format("%s/new", path);
	scoped_fd int fd = open(mirror, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (number > 0 && (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0))
		return false;
	if (number > 0
	    && (!tree_remove(AT_FDCWD, out_of_sight, NULL) || rename(mirror, out_of_sight) < 0))
		return false;
	return current_number(path) == 0 && tree_remove(AT_FDCWD, path, NULL);
}

static void
add_description(const char *path, struct strings *removed)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *file = format("%s/%d/description", path, current_number(path));
	if (file_read(AT_FDCWD, file, 4096, &text, NULL) && text.length > 1)
		strings_addf(removed, "%.*s", (int)text.length - 1, text.bytes);
	else
		strings_add(removed, path);
}

/* One of the cache, as a sweep sees it. */
struct swept {
	char *path;
	int64_t used; /* wall ms */
	int64_t bytes;
};

static int
least_recent_first(const void *a, const void *b)
{
	const struct swept *left = a, *right = b;
	return (left->used > right->used) - (left->used < right->used);
}

/* false: it is in use, or written. */
static bool
sweep_entry(const struct swept *swept, struct strings *removed)
{
	scoped(strings_done) struct strings was = STRINGS_INIT;
	scoped_free char *lock = format("%s/lock", swept->path);
	scoped_fd int fd = open(lock, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	add_description(swept->path, &was);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || !remove_entry(swept->path))
		return false;
	strings_add_all(removed, &was);
	return true;
}

static bool
look_at_entry(char *path, struct swept *ret)
{
	scoped_free char *lock = format("%s/lock", path);
	struct stat about;
	*ret = (struct swept){.path = path};
	if (stat(lock, &about) < 0 || !tree_size(AT_FDCWD, path, &ret->bytes, NULL))
		return false;
	ret->used = about.st_mtim.tv_sec * 1000LL + about.st_mtim.tv_nsec / 1000000;
	return true;
}

static void
sweep_entries(struct swept *entries, size_t count, const struct mirror_limits *limits,
              struct strings *removed)
{
	int64_t total = 0, now = wall_ms();
	if (count)
		qsort(entries, count, sizeof *entries, least_recent_first);
	for (size_t i = 0; i < count; i++)
		total += entries[i].bytes;
	for (size_t i = 0; i < count; i++)
		if ((now - entries[i].used > limits->age || total > limits->bytes)
		    && sweep_entry(&entries[i], removed))
			total -= entries[i].bytes;
}

bool
mirrors_sweep(const char *cache_directory, const struct mirror_limits *limits,
              struct strings *removed, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT, paths = STRINGS_INIT;
	scoped_free char *all = format("%s/git", cache_directory);
	if (!directory_make(all, 0750, why) || !directory_list(AT_FDCWD, all, &names, why))
		return false;
	scoped_free struct swept *entries = allocate((names.count + 1) * sizeof *entries);
	size_t count = 0;
	for (size_t i = 0; i < names.count; i++) {
		strings_addf(&paths, "%s/%s", all, names.items[i]);
		if (ends_with(names.items[i], ".aside"))
			(void)!tree_remove(AT_FDCWD, paths.items[i], NULL);
		else
			count += look_at_entry(paths.items[i], &entries[count]);
	}
	sweep_entries(entries, count, limits, removed);
	return true;
}
