/* Any bytes as a YAML document: what a queue or an operator may hand us. */
#include <string.h>

#include "fuzz.h"
#include "outside/yaml.h"

struct seen {
	size_t visits;
	bool in_list;
};

static bool
visit(const struct yaml_event_seen *event, void *data, struct failure *why)
{
	struct seen *seen = data;
	must_hold(event->key && event->line >= 1 && event->line <= 64 * 1024 + 1);
	must_hold((event->kind == YAML_LIST) == (event->value == NULL));
	must_hold(event->kind != YAML_ITEM || seen->in_list);
	seen->in_list = event->kind != YAML_SCALAR;
	seen->visits++;
	return !event->value || !strstr(event->value, "enough")
	       || fail(why, FAILURE_CONFIGURATION, "%s: enough", event->key);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct failure why = FAILURE_INIT;
	struct seen seen = {0};
	bool walked = yaml_walk((const char *)bytes, length, visit, &seen, &why);
	must_hold(walked == (why.code == FAILURE_NONE));
	must_hold(walked || why.message[0]);
	failure_done(&why);
	return 0;
}
