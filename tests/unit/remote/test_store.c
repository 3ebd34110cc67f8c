/* The store through its interface, with a directory as its body. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/files.h"
#include "remote/store.h"
#include "unit.h"

#define KEY       "builds/287a688f338d5d8c7b27b8915629893721a1fcac.jar"
#define ABC       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OTHER     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define PROCESSES 8

struct world {
	char top[32]; /* a temporary directory: the store is its "store" */
	int dir;      /* of the store's directory */
	struct store *store;
};

static bool
open_store_of(const char *top, struct store **ret)
{
	scoped_free char *path = format("%s/store", top);
	char type[] = "directory";
	const struct store_settings settings = {.type = type, .path = path};
	return store_open(&settings, ret, NULL);
}

static int
make_world(void **state)
{
	struct world *world = allocate(sizeof *world);
	*state = world;
	strcpy(world->top, "/tmp/test-store-XXXXXX");
	if (!mkdtemp(world->top) || !open_store_of(world->top, &world->store))
		return -1;
	scoped_free char *path = format("%s/store", world->top);
	return directory_open(AT_FDCWD, path, &world->dir, NULL) ? 0 : -1;
}

static int
remove_world(void **state)
{
	struct world *world = *state;
	store_close(&world->store);
	close_fd(&world->dir);
	bool removed = tree_remove(AT_FDCWD, world->top, NULL);
	free(world);
	return removed ? 0 : -1;
}

/* ---- shorthands ---- */

static int
holding(const char *bytes)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(write_all(fd, bytes, strlen(bytes), NULL));
	return fd;
}

static bool
put(struct world *world, const char *key, const char *bytes, struct store_put how,
    struct failure *why)
{
	scoped_fd int fd = holding(bytes);
	struct store_object object;
	return store_put_fd(world->store, key, fd, &how, NULL, &object, why);
}

static void
put_plainly(struct world *world, const char *key, const char *bytes)
{
	assert_true(put(world, key, bytes, (struct store_put){0}, NULL));
}

static void
assert_put_fails(struct world *world, const char *key, struct store_put how, enum failure_code code)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_false(put(world, key, "new", how, &why));
	assert_int_equal(why.code, code);
}

static void
assert_absent(struct world *world, const char *key, enum failure_code code)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct store_object object;
	scoped_fd int fd = holding("");
	int opened = -1;
	assert_false(store_head(world->store, key, &object, &why));
	assert_int_equal(why.code, code);
	assert_false(store_get(world->store, key, fd, NULL, &object, &why));
	assert_int_equal(why.code, code);
	assert_false(store_open_object(world->store, key, NULL, &opened, &why));
	assert_int_equal(why.code, code);
}

static void
assert_holds(struct world *world, const char *path, const char *bytes)
{
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(file_read(world->dir, path, 4096, &text, NULL));
	assert_string_equal(text_string(&text), bytes);
}

static void
write_file(struct world *world, const char *path, const char *bytes)
{
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_string(&text, bytes);
	assert_true(file_replace(world->dir, path, &text, 0644, NULL));
}

static size_t
count_uploads(struct world *world)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	assert_true(directory_list(world->dir, "builds/.uploads", &names, NULL));
	return names.count;
}

/* ---- objects ---- */

static void
what_was_put_can_be_got(void **state)
{
	struct world *world = *state;
	struct store_object object;
	put_plainly(world, KEY, "abc");
	scoped_fd int fd = holding("");
	assert_true(store_get(world->store, KEY, fd, NULL, &object, NULL));
	assert_int_equal(object.size, 3);
	assert_string_equal(object.sha256, ABC);
	char bytes[8] = "";
	assert_int_equal(pread(fd, bytes, sizeof bytes, 0), 3);
	assert_string_equal(bytes, "abc");

	memset(&object, 0, sizeof object);
	assert_true(store_head(world->store, KEY, &object, NULL));
	assert_int_equal(object.size, 3);
	assert_string_equal(object.sha256, ABC);

	scoped_fd int opened = -1;
	assert_true(store_open_object(world->store, KEY, NULL, &opened, NULL));
	assert_int_equal(read(opened, bytes, sizeof bytes), 3);
}

static void
objects_are_files_that_sha256sum_can_check(void **state)
{
	struct world *world = *state;
	struct stat about;
	put_plainly(world, KEY, "abc");
	assert_holds(world, KEY, "abc");
	assert_holds(world, KEY ".sha256", ABC "  287a688f338d5d8c7b27b8915629893721a1fcac.jar\n");
	assert_int_equal(fstatat(world->dir, KEY, &about, 0), 0);
	assert_int_equal(about.st_mode & 0777, 0644);
	assert_int_equal(fstatat(world->dir, KEY ".sha256", &about, 0), 0);
	assert_int_equal(about.st_mode & 0777, 0644);
	assert_int_equal(fstatat(world->dir, "builds", &about, 0), 0);
	assert_int_equal(about.st_mode & 0777, 0755);
}

static void
absent_objects_are_not_found(void **state)
{
	struct world *world = *state;
	assert_absent(world, KEY, FAILURE_NOT_FOUND);
	put_plainly(world, KEY, "abc");
	assert_absent(world, "builds/other.jar", FAILURE_NOT_FOUND);
	assert_absent(world, "builds", FAILURE_NOT_FOUND);
	assert_absent(world, KEY "/below", FAILURE_NOT_FOUND);
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_false(store_set_sha256(world->store, "builds/other.jar", ABC, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
	assert_false(file_exists(world->dir, "builds/other.jar.sha256"));
}

static void
puts_from_the_start_of_the_file(void **state)
{
	struct world *world = *state;
	scoped_fd int fd = holding("abc");
	const struct store_put how = {.sha256 = ABC};
	struct store_object object;
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
	assert_true(store_put_fd(world->store, KEY, fd, &how, NULL, &object, NULL));
	assert_string_equal(object.sha256, ABC);
	assert_int_equal(object.size, 3);
}

static void
replaces_unless_told_not_to(void **state)
{
	struct world *world = *state;
	struct store_object object;
	put_plainly(world, KEY, "old");
	put_plainly(world, KEY, "abc");
	assert_holds(world, KEY, "abc");
	assert_true(store_head(world->store, KEY, &object, NULL));
	assert_string_equal(object.sha256, ABC);
	assert_put_fails(world, KEY, (struct store_put){.once = true}, FAILURE_EXISTS);
	assert_holds(world, KEY, "abc");
	assert_true(store_head(world->store, KEY, &object, NULL));
	assert_string_equal(object.sha256, ABC);
	assert_int_equal(count_uploads(world), 0);
}

static void
refuses_other_bytes_than_announced(void **state)
{
	struct world *world = *state;
	assert_put_fails(world, KEY, (struct store_put){.sha256 = OTHER}, FAILURE_HASH_MISMATCH);
	assert_absent(world, KEY, FAILURE_NOT_FOUND);
	put_plainly(world, KEY, "abc");
	assert_put_fails(world, KEY, (struct store_put){.sha256 = OTHER}, FAILURE_HASH_MISMATCH);
	assert_holds(world, KEY, "abc");
	assert_int_equal(count_uploads(world), 0);
}

/* ---- metadata ---- */

static void
an_object_without_metadata_can_be_given_it(void **state)
{
	struct world *world = *state;
	struct store_object object;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_int_equal(mkdirat(world->dir, "builds", 0755), 0);
	write_file(world, KEY, "abc");
	assert_true(store_head(world->store, KEY, &object, NULL));
	assert_int_equal(object.size, 3);
	assert_string_equal(object.sha256, "");
	assert_true(store_set_sha256(world->store, KEY, ABC, NULL));
	assert_true(store_head(world->store, KEY, &object, NULL));
	assert_string_equal(object.sha256, ABC);
	/* Someone else was faster. */
	assert_true(store_set_sha256(world->store, KEY, ABC, NULL));
	assert_false(store_set_sha256(world->store, KEY, OTHER, &why));
	assert_int_equal(why.code, FAILURE_EXISTS);
}

static void
metadata_that_makes_no_sense_is_none(void **state)
{
	struct world *world = *state;
	static const char *const nonsense[] = {"", "abc", OTHER, "  " OTHER " x\n",
	                                       "E" OTHER "  x\n"};
	struct store_object object;
	put_plainly(world, KEY, "abc");
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		write_file(world, KEY ".sha256", nonsense[i]);
		assert_true(store_head(world->store, KEY, &object, NULL));
		assert_string_equal(object.sha256, "");
	}
}

/* Someone removed the object alone; its metadata must not become that of the next one. */
static void
stale_metadata_goes_before_an_object_comes(void **state)
{
	struct world *world = *state;
	struct store_object object;
	put_plainly(world, KEY, "old");
	assert_int_equal(unlinkat(world->dir, KEY, 0), 0);
	assert_true(put(world, KEY, "abc", (struct store_put){.once = true}, NULL));
	assert_true(store_head(world->store, KEY, &object, NULL));
	assert_string_equal(object.sha256, ABC);
}

/* ---- streams ---- */

static struct store_upload *
begun(struct world *world, struct store_put how)
{
	struct store_upload *upload = NULL;
	assert_true(store_upload_begin(world->store, KEY, &how, &upload, NULL));
	assert_true(store_upload_write(upload, "ab", 2, NULL));
	return upload;
}

static void
a_stream_is_visible_when_finished(void **state)
{
	struct world *world = *state;
	struct store_object object;
	scoped(store_upload_drop) struct store_upload *upload = begun(world, (struct store_put){0});
	assert_absent(world, KEY, FAILURE_NOT_FOUND);
	assert_true(store_upload_write(upload, "c", 1, NULL));
	assert_true(store_upload_finish(&upload, &object, NULL));
	assert_null(upload);
	assert_string_equal(object.sha256, ABC);
	assert_holds(world, KEY, "abc");
}

static void
an_unfinished_stream_leaves_nothing(void **state)
{
	struct world *world = *state;
	struct store_upload *upload = begun(world, (struct store_put){0});
	store_upload_drop(&upload);
	assert_null(upload);
	assert_absent(world, KEY, FAILURE_NOT_FOUND);
	assert_int_equal(count_uploads(world), 0);
}

static void
an_old_object_stays_while_a_new_one_is_written(void **state)
{
	struct world *world = *state;
	put_plainly(world, KEY, "old");
	struct store_upload *upload = begun(world, (struct store_put){0});
	assert_holds(world, KEY, "old");
	store_upload_drop(&upload);
	assert_holds(world, KEY, "old");
}

/* ---- several processes ---- */

/* Runs work in a child with a store of its own; its pid. */
static pid_t
start(struct world *world, int number, int (*work)(struct store *store, int number))
{
	pid_t pid = fork();
	if (pid == 0) {
		struct store *store = NULL;
		_exit(open_store_of(world->top, &store) ? work(store, number) : 9);
	}
	return pid;
}

static int
ended(pid_t pid)
{
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* 0: put, 1: taken, 2: failed. */
static int
put_number(struct store *store, int number, bool once)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_free char *bytes = format("%d", number);
	scoped_fd int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	const struct store_put how = {.once = once};
	struct store_object object;
	if (!write_all(fd, bytes, strlen(bytes), NULL))
		return 2;
	if (store_put_fd(store, KEY, fd, &how, NULL, &object, &why))
		return 0;
	return why.code == FAILURE_EXISTS ? 1 : 2;
}

static int
put_once(struct store *store, int number)
{
	return put_number(store, number, true);
}

static int
put_over(struct store *store, int number)
{
	return put_number(store, number, false);
}

static void
assert_bytes_fit_metadata(struct world *world)
{
	struct store_object metadata, object;
	scoped_fd int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_true(store_head(world->store, KEY, &metadata, NULL));
	assert_true(store_get(world->store, KEY, nowhere, NULL, &object, NULL));
	assert_string_equal(metadata.sha256, object.sha256);
}

static void
of_many_that_put_once_one_wins(void **state)
{
	struct world *world = *state;
	pid_t pids[PROCESSES];
	int winner = -1;
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = start(world, i, put_once);
	for (int i = 0; i < PROCESSES; i++) {
		int status = ended(pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
		if (WEXITSTATUS(status) == 0) {
			assert_int_equal(winner, -1);
			winner = i;
		}
	}
	assert_int_not_equal(winner, -1);
	scoped_free char *bytes = format("%d", winner);
	assert_holds(world, KEY, bytes);
	assert_bytes_fit_metadata(world);
	assert_int_equal(count_uploads(world), 0);
}

static void
of_many_that_replace_all_fit_their_metadata(void **state)
{
	struct world *world = *state;
	pid_t pids[PROCESSES];
	put_plainly(world, KEY, "first");
	for (int i = 0; i < PROCESSES; i++)
		pids[i] = start(world, i, put_over);
	for (int i = 0; i < PROCESSES; i++)
		assert_int_equal(ended(pids[i]), 0);
	assert_bytes_fit_metadata(world);
	assert_int_equal(count_uploads(world), 0);
}

static int
die_while_writing(struct store *store, int number)
{
	const struct store_put how = {0};
	struct store_upload *upload = NULL;
	if (store_upload_begin(store, KEY, &how, &upload, NULL)
	    && store_upload_write(upload, "half", 4, NULL))
		raise(SIGKILL);
	return number;
}

static void
what_a_killed_writer_left_is_never_seen_and_swept(void **state)
{
	struct world *world = *state;
	struct store_upload *living = begun(world, (struct store_put){0});
	assert_true(WIFSIGNALED(ended(start(world, 0, die_while_writing))));
	assert_absent(world, KEY, FAILURE_NOT_FOUND);
	assert_int_equal(count_uploads(world), 2);
	put_plainly(world, "builds/another.jar", "x");
	/* What a living writer has stays. */
	assert_int_equal(count_uploads(world), 1);
	struct store_object object;
	assert_true(store_upload_write(living, "c", 1, NULL));
	assert_true(store_upload_finish(&living, &object, NULL));
	assert_string_equal(object.sha256, ABC);
	assert_int_equal(count_uploads(world), 0);
}

/* ---- hostile ---- */

static void
refuses_keys_that_lead_elsewhere(void **state)
{
	struct world *world = *state;
	scoped_free char *long_component = format("builds/%0201d", 1);
	scoped(text_done) struct text long_key = TEXT_INIT;
	for (int i = 0; i < 600; i++)
		text_add_string(&long_key, "a/");
	text_add_string(&long_key, "a");
	const char *const keys[] = {"",
	                            "/",
	                            "/etc/passwd",
	                            "../x",
	                            "a/../../x",
	                            "a/..",
	                            ".",
	                            "..",
	                            "a/./b",
	                            "a//b",
	                            "a/",
	                            ".hidden",
	                            "a/.hidden",
	                            "a b",
	                            "a\nb",
	                            "a\\b",
	                            "a\xc3\xa9",
	                            "a:b",
	                            "~root",
	                            long_key.bytes,
	                            long_component,
	                            "builds/.uploads/x"};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		assert_put_fails(world, keys[i], (struct store_put){0}, FAILURE_REJECTED);
		assert_absent(world, keys[i], FAILURE_REJECTED);
	}
	assert_put_fails(world, KEY ".sha256", (struct store_put){0}, FAILURE_REJECTED);
	scoped(strings_done) struct strings names = STRINGS_INIT;
	assert_true(directory_list(AT_FDCWD, world->top, &names, NULL));
	assert_int_equal(names.count, 1);
}

static void
follows_no_link(void **state)
{
	struct world *world = *state;
	scoped_free char *outside = format("%s/outside", world->top);
	assert_true(directory_make(outside, 0755, NULL));
	write_file(world, "../outside/secret", "secret");
	assert_int_equal(symlinkat(outside, world->dir, "out"), 0);
	assert_int_equal(mkdirat(world->dir, "builds", 0755), 0);
	assert_int_equal(symlinkat("../../outside/secret", world->dir, KEY), 0);
	assert_absent(world, "out/secret", FAILURE_NOT_FOUND);
	assert_absent(world, KEY, FAILURE_NOT_FOUND);
	assert_put_fails(world, "out/new", (struct store_put){0}, FAILURE_SYSTEM);
	assert_put_fails(world, "out/deeper/new", (struct store_put){0}, FAILURE_SYSTEM);
	assert_put_fails(world, KEY, (struct store_put){.once = true}, FAILURE_EXISTS);
	assert_false(file_exists(world->dir, "../outside/new"));
	/* The link itself is replaced, not what it names. */
	put_plainly(world, KEY, "abc");
	assert_holds(world, "../outside/secret", "secret");
	assert_holds(world, KEY, "abc");
}

static void
metadata_is_no_way_out_either(void **state)
{
	struct world *world = *state;
	struct store_object object;
	put_plainly(world, KEY, "abc");
	assert_int_equal(unlinkat(world->dir, KEY ".sha256", 0), 0);
	assert_int_equal(mkfifoat(world->dir, KEY ".sha256", 0644), 0);
	assert_true(store_head(world->store, KEY, &object, NULL));
	assert_string_equal(object.sha256, "");
	assert_int_equal(unlinkat(world->dir, KEY ".sha256", 0), 0);
	write_file(world, "../elsewhere", OTHER "  x\n");
	assert_int_equal(symlinkat("../../elsewhere", world->dir, KEY ".sha256"), 0);
	assert_true(store_head(world->store, KEY, &object, NULL));
	assert_string_equal(object.sha256, "");
	put_plainly(world, KEY, "abc");
	assert_holds(world, "../elsewhere", OTHER "  x\n");
}

/* ---- opening ---- */

static void
opening_wants_a_type_and_a_path(void **state)
{
	(void)state;
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct store *store = NULL;
	char directory[] = "directory", tape[] = "tape", path[] = "/dev/null/store";
	assert_false(store_open(&(struct store_settings){.type = tape}, &store, &why));
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	assert_false(store_open(&(struct store_settings){.type = directory}, &store, &why));
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	assert_false(
	    store_open(&(struct store_settings){.type = directory, .path = path}, &store, &why));
	assert_non_null(strstr(why.message, "/dev/null"));
	assert_null(store);
}

static void
tells_what_it_is(void **state)
{
	struct world *world = *state;
	scoped_free char *expected = format("directory %s/store", world->top);
	assert_string_equal(store_describe(world->store), expected);
}

#define in_world(test) cmocka_unit_test_setup_teardown(test, make_world, remove_world)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    in_world(what_was_put_can_be_got),
	    in_world(objects_are_files_that_sha256sum_can_check),
	    in_world(absent_objects_are_not_found),
	    in_world(puts_from_the_start_of_the_file),
	    in_world(replaces_unless_told_not_to),
	    in_world(refuses_other_bytes_than_announced),
	    in_world(an_object_without_metadata_can_be_given_it),
	    in_world(metadata_that_makes_no_sense_is_none),
	    in_world(stale_metadata_goes_before_an_object_comes),
	    in_world(a_stream_is_visible_when_finished),
	    in_world(an_unfinished_stream_leaves_nothing),
	    in_world(an_old_object_stays_while_a_new_one_is_written),
	    in_world(of_many_that_put_once_one_wins),
	    in_world(of_many_that_replace_all_fit_their_metadata),
	    in_world(what_a_killed_writer_left_is_never_seen_and_swept),
	    in_world(refuses_keys_that_lead_elsewhere),
	    in_world(follows_no_link),
	    in_world(metadata_is_no_way_out_either),
	    in_world(tells_what_it_is),
	    cmocka_unit_test(opening_wants_a_type_and_a_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
