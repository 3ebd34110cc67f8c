/* Any bytes as an answer of S3. */
#include <string.h>

#include "fuzz.h"
#include "outside/xml.h"

static bool
visit(const char *path, const char *text, void *data, struct failure *why)
{
	size_t *visits = data;
	must_hold(path[0] != '\0' && text != NULL);
	must_hold(++*visits <= 100000);
	return !strstr(text, "enough") || fail(why, FAILURE_CONFLICT, "%.100s: enough", path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct failure why = FAILURE_INIT;
	size_t visits = 0;
	bool walked = xml_walk((const char *)bytes, length, visit, &visits, &why);
	must_hold(walked == (why.code == FAILURE_NONE));
	must_hold(!walked || visits > 0);
	must_hold(walked || why.message[0]);
	failure_done(&why);
	return 0;
}
