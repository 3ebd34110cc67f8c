/* Hashes against published vectors (FIPS 180-2, RFC 4231), and what is random. */
#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "outside/digest.h"
#include "unit.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define A_1M  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void
hashes_bytes(void **state)
{
	(void)state;
	char hex[SHA256_TEXT];
	digest_bytes("", 0, hex);
	assert_string_equal(hex, EMPTY);
	digest_bytes("abc", 3, hex);
	assert_string_equal(hex, ABC);
}

static void
hashes_in_parts(void **state)
{
	(void)state;
	char hex[SHA256_TEXT];
	struct digest *digest = digest_new();
	digest_update(digest, "a", 1);
	digest_update(digest, "", 0);
	digest_update(digest, "bc", 2);
	struct digest *copy = digest_copy(digest);
	digest_update(digest, "d", 1);
	digest_finish(&copy, hex);
	assert_null(copy);
	assert_string_equal(hex, ABC);
	digest_finish(&digest, hex);
	assert_string_not_equal(hex, ABC);
	scoped(digest_drop) struct digest *given_up = digest_new();
	digest_update(given_up, "x", 1);
}

struct watch {
	int64_t done;
	bool go_on;
};

static bool
watch(void *data, int64_t done, int64_t total)
{
	struct watch *watched = data;
	(void)total;
	watched->done = done;
	return watched->go_on;
}

static int
million_of_a(void)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char block[10000];
	memset(block, 'a', sizeof block);
	for (int i = 0; i < 100; i++)
		assert_true(write_all(fd, block, sizeof block, NULL));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void
hashes_what_a_file_holds(void **state)
{
	(void)state;
	char hex[SHA256_TEXT];
	struct watch watched = {.go_on = true};
	const struct tick tick = {.tell = watch, .data = &watched};
	scoped_fd int fd = million_of_a();
	assert_true(digest_fd(fd, &tick, hex, NULL));
	assert_string_equal(hex, A_1M);
	assert_int_equal(watched.done, 1000000);
	/* From where it stands: at the end there is nothing left. */
	assert_true(digest_fd(fd, NULL, hex, NULL));
	assert_string_equal(hex, EMPTY);
}

static void
hashing_a_file_can_be_stopped_and_can_fail(void **state)
{
	(void)state;
	char hex[SHA256_TEXT] = "untouched";
	scoped(failure_done) struct failure why = FAILURE_INIT;
	struct watch watched = {.go_on = false};
	const struct tick tick = {.tell = watch, .data = &watched};
	scoped_fd int fd = million_of_a();
	assert_false(digest_fd(fd, &tick, hex, &why));
	assert_int_equal(why.code, FAILURE_CANCELLED);
	scoped_fd int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_false(digest_fd(directory, NULL, hex, &why));
	assert_int_equal(why.code, FAILURE_SYSTEM);
	assert_string_equal(hex, "untouched");
}

static void
signs_with_a_key(void **state)
{
	(void)state;
	char hex[SHA256_TEXT];
	const char *bytes = "what do ya want for nothing?";
	digest_hmac("Jefe", bytes, strlen(bytes), hex);
	assert_string_equal(hex,
	                    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void
tells_what_is_a_hash_and_what_is_equal(void **state)
{
	(void)state;
	assert_true(digest_is_sha256(ABC));
	assert_false(digest_is_sha256(""));
	assert_false(digest_is_sha256(ABC "0"));
	assert_false(
	    digest_is_sha256("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"));
	assert_false(
	    digest_is_sha256("ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	assert_true(digest_equal(ABC, ABC));
	assert_true(digest_equal("", ""));
	assert_false(digest_equal(ABC, A_1M));
	assert_false(digest_equal("abc", "abcd"));
	assert_false(digest_equal("", "a"));
}

static void
hashes_as_sqs_does(void **state)
{
	(void)state;
	char hex[MD5_TEXT];
	assert_true(digest_md5("abc", 3, hex));
	assert_string_equal(hex, "900150983cd24fb0d6963f7d28e17f72");
}

static void
random_names_have_their_form(void **state)
{
	(void)state;
	scoped_free char *hex = random_hex(16), *other = random_hex(16), *long_one = random_hex(64);
	assert_int_equal(strlen(hex), 32);
	assert_int_equal(strlen(long_one), 128);
	assert_int_equal(strspn(long_one, "0123456789abcdef"), 128);
	assert_string_not_equal(hex, other);
	scoped_free char *uuid = random_uuid();
	assert_int_equal(strlen(uuid), 36);
	assert_int_equal(strspn(uuid, "0123456789abcdef-"), 36);
	assert_int_equal(uuid[14], '4');
	assert_non_null(strchr("89ab", uuid[19]));
	for (size_t i = 8; i <= 23; i += 5)
		assert_int_equal(uuid[i], '-');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hashes_bytes),
	    cmocka_unit_test(hashes_in_parts),
	    cmocka_unit_test(hashes_what_a_file_holds),
	    cmocka_unit_test(hashing_a_file_can_be_stopped_and_can_fail),
	    cmocka_unit_test(signs_with_a_key),
	    cmocka_unit_test(tells_what_is_a_hash_and_what_is_equal),
	    cmocka_unit_test(hashes_as_sqs_does),
	    cmocka_unit_test(random_names_have_their_form),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
