#include "unit.h"

#include "../../../src/dashboard/upload.h"

#define ENDING(NAME, MAGIC) upload_ending((NAME), (const unsigned char *)(MAGIC), sizeof(MAGIC) - 1)

static void
test_archives(void **state)
{
	(void)state;
	assert_string_equal(ENDING("m.tar.bz2", "BZh91AY"), ".tar.bz2");
	assert_string_equal(ENDING("M.TAR.GZ", "\x1f\x8b\x08"), ".tar.gz");
	assert_string_equal(ENDING("gzip named bzip2.tar.bz2", "\x1f\x8b\x08"), ".tar.bz2");
	assert_string_equal(ENDING("m.tar.xz", "\xfd"
	                                       "7zXZ\0"),
	                    ".tar.xz");
	assert_string_equal(ENDING("m.tar.zst", "\x28\xb5\x2f\xfd"), ".tar.zst");
	assert_string_equal(ENDING("m.zip", "PK\x03\x04"), ".zip");
}

static void
test_others(void **state)
{
	(void)state;
	assert_null(ENDING("m.tgz", "\x1f\x8b\x08"));
	assert_null(ENDING("m.tar.bz2", "BZ"));
	assert_null(ENDING("m.tar.bz2", ""));
	assert_null(ENDING("m.tar.xz", "BZh"));
	assert_null(ENDING(".tar.bz2", "BZh"));
	assert_null(ENDING("", "BZh"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_archives),
	    cmocka_unit_test(test_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
