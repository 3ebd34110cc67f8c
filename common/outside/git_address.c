#include "outside/git_address.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/scoped.h"
#include "base/text.h"

/* "user@host:path", but no path and no address with a protocol. The colons of an address in
 * brackets do not count. */
static bool
is_scp_like(const char *url)
{
	const char *bracket = strpbrk(url, "[:/");
	if (bracket && *bracket == '[' && !(bracket = strstr(bracket, "]:")))
		return false;
	const char *colon = strchr(bracket ? bracket : url, ':'), *slash = strchr(url, '/');
	return colon && colon != url && (!slash || colon < slash) && colon[1] != ':'
	       && !starts_with(colon, "://");
}

const char *
repository_protocol(const char *url)
{
	static const char *const known[] = {"https", "http", "ssh", "file", "git"};
	if (url[0] == '/')
		return "file";
	if (url[0] == '-' || strpbrk(url, "\n\r\t"))
		return NULL;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (starts_with(url, known[i]) && starts_with(url + strlen(known[i]), "://"))
			return known[i];
	return is_scp_like(url) ? "ssh" : NULL;
}

/* ---- who and where, of an address with a protocol ---- */

struct authority {
	const char *start; /* user, if any; NULL: the address has no protocol */
	const char *host;  /* behind the user */
	size_t length;     /* of host and port */
};

/* A password may hold an '@' itself: the last one before the path ends it. */
static struct authority
find_authority(const char *url)
{
	const char *start = strstr(url, "://");
	if (!start)
		return (struct authority){0};
	start += strlen("://");
	const char *end = start + strcspn(start, "/?#");
	const char *at = memrchr(start, '@', (size_t)(end - start));
	const char *host = at ? at + 1 : start;
	return (struct authority){.start = start, .host = host, .length = (size_t)(end - host)};
}

/* Without the slashes at its end. */
static size_t
trimmed_length(const char *url)
{
	size_t length = strlen(url);
	while (length > 1 && url[length - 1] == '/')
		length--;
	return length;
}

char *
repository_shown_url(const char *url)
{
	struct authority authority = find_authority(url);
	if (!authority.start)
		return copy_string(url);
	return format("%.*s%s", (int)(authority.start - url), url, authority.host);
}

char *
repository_name(const char *url)
{
	scoped_free char *shown = repository_shown_url(url);
	shown[trimmed_length(shown)] = '\0';
	const char *slash = strrchr(shown, '/'), *colon = strrchr(shown, ':');
	return copy_string(slash ? slash + 1 : colon ? colon + 1 : shown);
}

bool
repository_same_host(const char *url, const char *other)
{
	struct authority one = find_authority(url), two = find_authority(other);
	if (!one.start || !two.start || one.length != two.length)
		return false;
	return strcspn(url, ":") == strcspn(other, ":")
	       && strncasecmp(url, other, strcspn(url, ":")) == 0
	       && strncasecmp(one.host, two.host, one.length) == 0;
}

/* ---- addresses made of others ---- */

/* Cuts the last part off; *joint: what parted it from the rest. The host stays. */
static bool
go_up(const char *base, size_t *length, char *joint)
{
	const char *protocol = strstr(base, "://");
	const char *host = protocol ? protocol + strlen("://") : base;
	const char *path = protocol ? host + strcspn(host, "/") : base;
	const char *slash = memrchr(base, '/', *length);
	const char *colon = protocol ? NULL : memrchr(base, ':', *length);
	/* host:x and ../y make host:y. */
	const char *cut = slash && (!colon || slash > colon) ? slash : colon;
	if (!cut || cut < path)
		return false;
	*length = (size_t)(cut - base);
	*joint = *cut;
	return true;
}

char *
repository_resolve_url(const char *base, const char *url)
{
	size_t length = trimmed_length(base);
	char joint = '/';
	if (!starts_with(url, "./") && !starts_with(url, "../"))
		return format("%.*s", (int)trimmed_length(url), url);
	for (;;) {
		if (starts_with(url, "./"))
			url += strlen("./");
		else if (!starts_with(url, "../"))
			break;
		else if (!go_up(base, &length, &joint))
			return NULL;
		else
			url += strlen("../");
	}
	char *resolved = format("%.*s%c%s", (int)length, base, joint, url);
	resolved[trimmed_length(resolved)] = '\0';
	return resolved;
}

char *
repository_rewrite_url(const struct strings *rules, const char *url)
{
	size_t best = 0;
	const char *to = "";
	for (size_t i = 0; i < rules->count; i++) {
		const char *rule = rules->items[i];
		size_t length = strcspn(rule, " ");
		if (rule[length] && length > best && strncmp(url, rule, length) == 0) {
			best = length;
			to = rule + length + strspn(rule + length, " ");
		}
	}
	return format("%s%s", best ? to : "", url + best);
}

/* ---- ssh ---- */

void
ssh_address_done(struct ssh_address *address)
{
	free(address->user);
	free(address->host);
	free(address->port);
	free(address->path);
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* A malloc'd copy, percent-decoded if so wanted; a %00 would end it: left as it is. */
static char *
decoded(const char *bytes, size_t length, bool percent)
{
	char *copy = format("%.*s", (int)length, bytes), *to = copy;
	for (const char *from = copy; *from; from++) {
		int high = percent && *from == '%' ? hex_digit(from[1]) : -1;
		int low = high >= 0 ? hex_digit(from[2]) : -1;
		bool code = low >= 0 && high + low > 0;
		*to++ = code ? (char)(high * 16 + low) : *from;
		from += code ? 2 : 0;
	}
	*to = '\0';
	return copy;
}

/* [host]:port or host:port. The brackets are not for ssh. */
static void
split_host(const char *bytes, size_t length, bool has_port, struct ssh_address *ret)
{
	const char *end = bytes + length;
	const char *bracket = bytes[0] == '[' ? memchr(bytes, ']', length) : NULL;
	const char *rest = bracket ? bracket + 1 : bytes;
	const char *colon = has_port ? memchr(rest, ':', (size_t)(end - rest)) : NULL;
	if (colon)
		ret->port = format("%.*s", (int)(end - colon - 1), colon + 1);
	if (bracket)
		ret->host = decoded(bytes + 1, (size_t)(bracket - bytes - 1), false);
	else
		ret->host = decoded(bytes, (size_t)((colon ? colon : end) - bytes), has_port);
}

/* How long the part before the path is. */
static size_t
authority_length(const char *rest, bool long_form)
{
	if (long_form)
		return strcspn(rest, "/");
	const char *bracket = strstr(rest, "]:");
	return bracket && strchr(rest, '[') < bracket ? (size_t)(bracket + 1 - rest)
	                                              : strcspn(rest, ":");
}

/* ssh and its configuration put user and host into command lines: no more than what such names are
 * made of. */
static bool
is_sane(const struct ssh_address *address)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-+@:%";
	const char *user = address->user ? address->user : "git";
	const char *port = address->port ? address->port : "22";
	return address->host[0] && address->host[0] != '-' && address->path[0]
	       && address->path[0] != '-' && user[0] && user[0] != '-' && port[0]
	       && strspn(address->host, word) == strlen(address->host)
	       && strspn(user, word) == strlen(user) && strspn(port, "0123456789") == strlen(port);
}

bool
ssh_address_parse(const char *url, struct ssh_address *ret, struct failure *why)
{
	bool long_form = starts_with(url, "ssh://");
	const char *rest = long_form ? url + strlen("ssh://") : url;
	size_t length = authority_length(rest, long_form);
	const char *at = memrchr(rest, '@', length), *host = at ? at + 1 : rest;
	const char *path = rest + length + (rest[length] && !long_form);
	*ret = (struct ssh_address){0};
	if (at)
		ret->user = decoded(rest, (size_t)(at - rest), long_form);
	split_host(host, (size_t)(rest + length - host), long_form, ret);
	ret->path = decoded(path, strlen(path), long_form);
	if (long_form && ret->path[0] == '/' && ret->path[1] == '~')
		memmove(ret->path, ret->path + 1, strlen(ret->path));
	if (is_sane(ret))
		return true;
	scoped_free char *shown = repository_shown_url(url);
	return fail(why, FAILURE_BAD_REPOSITORY, "'%.200s' is no ssh address", shown);
}
