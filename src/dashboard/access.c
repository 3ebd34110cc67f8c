#include "access.h"

#include <string.h>

#include "base/text.h"
#include "outside/digest.h"

/* By their hashes, so that the time does not tell the length either. */
static bool
equal(const char *a, const char *b)
{
	char hash_a[SHA256_TEXT], hash_b[SHA256_TEXT];
	digest_bytes(a, strlen(a), hash_a);
	digest_bytes(b, strlen(b), hash_b);
	return digest_equal(hash_a, hash_b);
}

bool
access_is_authorized(struct request *request, const struct dashboard_config *config)
{
	if (!config->password.value)
		return true;
	scoped_free char *name = NULL;
	scoped_free char *password = NULL;
	request_credentials(request, &name, &password);
	bool right_name = equal(name ? name : "", config->username ? config->username : "");
	bool right_password = equal(password ? password : "", config->password.value);
	return name && password && right_name && right_password;
}

/* ---- browsers ---- */

static bool
is_own_origin(const char *origin, const char *host)
{
	scoped_free char *plain = format("http://%s", host);
	scoped_free char *secure = format("https://%s", host);
	return strcasecmp(origin, plain) == 0 || strcasecmp(origin, secure) == 0;
}

static bool
is_loopback_host(const char *host)
{
	static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t length = strlen(names[i]);
		if (strncasecmp(host, names[i], length) == 0
		    && (host[length] == '\0' || host[length] == ':'))
			return true;
	}
	return false;
}

bool
access_is_cross_site(struct request *request, const struct dashboard_config *config)
{
	const char *origin = request_header(request, "Origin");
	const char *host = request_header(request, "Host");
	if (origin && (!host || !is_own_origin(origin, host)))
		return true;
	return !config->password.value && host && !is_loopback_host(host);
}

/* ---- the hook ---- */

bool
access_is_hook_path(struct request *request, const struct dashboard_config *config)
{
	if (config->hook_secret.value)
		return equal(request->parameter, config->hook_secret.value);
	/* Without any secret the hook is as open as everything else is: only where no password is
	 * needed. */
	return config->github_secret.value || !config->password.value;
}

bool
access_is_signed(struct request *request, const struct dashboard_config *config)
{
	static const char prefix[] = "sha256=";
	if (!config->github_secret.value)
		return true;
	const char *signature = request_header(request, "X-Hub-Signature-256");
	if (!signature || !starts_with(signature, prefix))
		return false;
	char wanted[SHA256_TEXT];
	digest_hmac(config->github_secret.value, text_string(&request->body), request->body.length,
	            wanted);
	return digest_equal(signature + strlen(prefix), wanted);
}
