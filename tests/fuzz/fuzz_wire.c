/* Any bytes as what libgit2 says to a server. */
#include <string.h>

#include "../../common/outside/git_wire.h"
#include "base/scoped.h"
#include "fuzz.h"

/* A commit's parent has one letter less, and there is always one branch that moved. */
static void
add_parents(const char *hash, struct strings *list)
{
	if (hash[0])
		strings_add(list, hash + 1);
}

static void
add_moved(struct strings *list)
{
	strings_add(list, "moved");
}

static void
add_none(struct strings *list)
{
	(void)list;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const struct git_known some = {.add_parents = add_parents, .add_moved = add_moved};
	static const struct git_known none = {.add_parents = add_parents, .add_moved = add_none};
	scoped(text_done) struct text all = TEXT_INIT, less = TEXT_INIT, again = TEXT_INIT;
	git_add_request(&all, (const char *)bytes, length, true, &some);
	git_add_request(&less, (const char *)bytes, length, false, &none);
	must_hold(less.length <= length);
	git_add_request(&again, text_string(&less), less.length, false, &none);
	must_hold(again.length <= less.length);
	return 0;
}
