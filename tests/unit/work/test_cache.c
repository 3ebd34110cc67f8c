#include "work/cache.h"

#include <sys/stat.h>
#include <time.h>

#include "unit_directory.h"

static struct store_object
object_of(const char *bytes)
{
	struct store_object object = {.size = (int64_t)strlen(bytes)};
	digest_bytes(bytes, strlen(bytes), object.sha256);
	return object;
}

static int
open_new(const char *name)
{
	scoped_free char *path = unit_path(name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void
keep(const char *bytes, int64_t limit)
{
	struct store_object object = object_of(bytes);
	scoped_fd int fd = open_new("jar");
	assert_true(write_all(fd, bytes, strlen(bytes), NULL));
	assert_true(cache_keep(unit_directory, &object, fd, limit, NULL));
}

/* What it takes for the jar with these bytes, which must be those if it is found. */
static enum cache_found
take(const char *bytes)
{
	struct store_object object = object_of(bytes);
	scoped(text_done) struct text got = TEXT_INIT;
	scoped_fd int fd = open_new("copy");
	enum cache_found found;
	assert_true(cache_take(unit_directory, object.sha256, fd, NULL, &found, NULL));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_true(read_all(fd, 1000, &got, NULL));
	assert_string_equal(text_string(&got), found == CACHE_FOUND ? bytes : "");
	return found;
}

static char *
entry_path(const char *bytes)
{
	struct store_object object = object_of(bytes);
	scoped_free char *name = format("jars/%s", object.sha256);
	return unit_path(name);
}

/* As if it had been used so many seconds ago. */
static void
age(const char *bytes, int seconds)
{
	scoped_free char *path = entry_path(bytes);
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - seconds}};
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void
what_is_kept_is_found(void **state)
{
	(void)state;
	assert_int_equal(take("one"), CACHE_ABSENT);
	keep("one", 100);
	keep("one", 100);
	assert_int_equal(take("one"), CACHE_FOUND);
	assert_int_equal(take("two"), CACHE_ABSENT);
}

static void
the_least_recently_used_goes(void **state)
{
	(void)state;
	keep("aaaa", 12);
	keep("bbbb", 12);
	keep("cccc", 12);
	age("aaaa", 30);
	age("bbbb", 20);
	age("cccc", 10);
	assert_int_equal(take("aaaa"), CACHE_FOUND); /* and is the last used one now */
	keep("dddd", 12);
	assert_int_equal(take("bbbb"), CACHE_ABSENT);
	assert_int_equal(take("aaaa"), CACHE_FOUND);
	assert_int_equal(take("cccc"), CACHE_FOUND);
	assert_int_equal(take("dddd"), CACHE_FOUND);
}

static void
what_is_too_large_is_not_kept(void **state)
{
	(void)state;
	keep("small", 6);
	keep("too large", 6);
	assert_int_equal(take("too large"), CACHE_ABSENT);
	assert_int_equal(take("small"), CACHE_FOUND);
}

static void
what_is_damaged_goes(void **state)
{
	(void)state;
	keep("a jar", 100);
	scoped_free char *path = entry_path("a jar");
	assert_int_equal(truncate(path, 3), 0);
	assert_int_equal(take("a jar"), CACHE_DAMAGED);
	assert_int_equal(take("a jar"), CACHE_ABSENT);
	keep("a jar", 100);
	assert_int_equal(take("a jar"), CACHE_FOUND);
}

static bool
refuse(void *data, int64_t done, int64_t total)
{
	(void)data;
	(void)total;
	return done == 0;
}

/* What is fetched instead is written to the same file. */
static void
half_a_jar_does_not_stay(void **state)
{
	(void)state;
	static const struct tick tick = {.tell = refuse};
	struct store_object object = object_of("a jar");
	scoped_fd int fd = open_new("copy");
	struct failure why = FAILURE_INIT;
	enum cache_found found = CACHE_DAMAGED;
	keep("a jar", 100);
	assert_false(cache_take(unit_directory, object.sha256, fd, &tick, &found, &why));
	assert_int_equal(why.code, FAILURE_CANCELLED);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	assert_int_equal(take("a jar"), CACHE_FOUND);
}

static void
a_copy_is_no_link(void **state)
{
	(void)state;
	struct stat about;
	keep("a jar", 100);
	scoped_free char *path = entry_path("a jar");
	assert_int_equal(stat(path, &about), 0);
	assert_int_equal(about.st_nlink, 1);
}

static void
another_hash_is_not_kept(void **state)
{
	(void)state;
	struct store_object object = object_of("announced");
	scoped_fd int fd = open_new("jar");
	scoped(failure_done) struct failure why = FAILURE_INIT;
	assert_true(write_all(fd, "another", 7, NULL));
	assert_false(cache_keep(unit_directory, &object, fd, 100, &why));
	assert_int_equal(why.code, FAILURE_HASH_MISMATCH);
	assert_int_equal(take("announced"), CACHE_ABSENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(what_is_kept_is_found),
	    unit_test_in_directory(the_least_recently_used_goes),
	    unit_test_in_directory(what_is_too_large_is_not_kept),
	    unit_test_in_directory(what_is_damaged_goes),
	    unit_test_in_directory(half_a_jar_does_not_stay),
	    unit_test_in_directory(a_copy_is_no_link),
	    unit_test_in_directory(another_hash_is_not_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
