/* Any bytes as a file of access keys, which an operator or another tool writes. */
#include <string.h>

#include "fuzz.h"
#include "remote/credentials_file.h"

/* Nothing in it that would end a header's line or begin another. */
static void
must_be_harmless(const char *part)
{
	for (; part && *part; part++)
		must_hold(*part > ' ' && *part < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const char *const profiles[] = {"default", "x", ""};
	for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++) {
		struct failure why = FAILURE_INIT;
		struct aws_keys keys = AWS_KEYS_INIT;
		bool good = credentials_file_parse((const char *)bytes, length, "FILE", profiles[i],
		                                   &keys, &why);
		must_hold(good == (why.code == FAILURE_NONE));
		must_hold(good ? keys.id && keys.secret : !keys.id && why.message[0]);
		must_be_harmless(keys.id);
		must_be_harmless(keys.secret);
		must_be_harmless(keys.token);
		aws_keys_done(&keys);
		failure_done(&why);
	}
	return 0;
}
