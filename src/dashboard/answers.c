#include "answers.h"

#include <string.h>

#include "base/text.h"

static bool
is_host(const char *host)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]_";
	return host && host[0] && host[strspn(host, allowed)] == '\0';
}

void
request_answer_see(struct request *request, const char *path)
{
	const char *host = request_header(request, "Host");
	const char *proto = request_header(request, "X-Forwarded-Proto");
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	if (is_host(host))
		strings_addf(&headers, "Location: %s://%s%s",
		             strings_equal(proto, "https") ? "https" : "http", host, path);
	else
		strings_addf(&headers, "Location: %s", path);
	const struct answer answer = {.status = request_is_http10(request) ? 302 : 303,
	                              .headers = &headers};
	request_answer(request, &answer);
}

void
request_answer_result(struct request *request, bool good, const struct failure *why)
{
	if (good)
		request_answer_text(request, 200, "OK");
	else
		request_answer_failure(request, why);
}
