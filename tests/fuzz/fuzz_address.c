/* Any bytes as the address of a repository, and as that of a submodule in it: "BASE\nURL". */
#include <string.h>

#include "base/scoped.h"
#include "fuzz.h"
#include "outside/git_address.h"

static void
show(const char *url)
{
	scoped_free char *shown = repository_shown_url(url), *name = repository_name(url);
	const char *authority = strstr(shown, "://");
	must_hold(strlen(shown) <= strlen(url) && strstr(shown, name) != NULL);
	if (authority && strstr(url, "://"))
		must_hold(!memchr(authority + 3, '@', strcspn(authority + 3, "/?#")));
}

/* Nothing of it becomes an option of ssh, or more than a word of its configuration. */
static void
parse(const char *url)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(ssh_address_done) struct ssh_address address = {0};
	bool good = ssh_address_parse(url, &address, &why);
	must_hold(good == (why.code == FAILURE_NONE));
	if (!good)
		return;
	must_hold(address.host[0] && address.host[0] != '-' && !strpbrk(address.host, " \n'\"$`;"));
	must_hold(address.path[0] && address.path[0] != '-');
	must_hold(!address.user || (address.user[0] && address.user[0] != '-'));
	must_hold(!address.port || strspn(address.port, "0123456789") == strlen(address.port));
}

/* What is relative stays on the host. */
static void
resolve(const char *base, const char *url)
{
	scoped_free char *resolved = repository_resolve_url(base, url);
	const char *authority = strstr(base, "://");
	bool has_host = authority && strcspn(authority + 3, "/") > 0;
	if (resolved && has_host && (starts_with(url, "./") || starts_with(url, "../")))
		must_hold(repository_same_host(base, resolved));
	if (resolved)
		show(resolved);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	scoped_free char *base = format("%.*s", (int)length, (const char *)bytes);
	char *url = strchr(base, '\n');
	if (!url)
		return 0;
	*url++ = '\0';
	scoped(strings_done) struct strings rules = STRINGS_INIT;
	strings_add(&rules, base);
	scoped_free char *rewritten = repository_rewrite_url(&rules, url);
	repository_protocol(url);
	show(url);
	parse(url);
	resolve(base, url);
	return 0;
}
