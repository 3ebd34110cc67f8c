#include "remote/aws_keys.h"

#include "base/text.h"

/* The longest session tokens are a few KiB; curl's and servers' headers end at 8 to 16. */
#define PART_LIMIT 8192

void
aws_keys_done(struct aws_keys *keys)
{
	wipe_string(&keys->id);
	wipe_string(&keys->secret);
	wipe_string(&keys->token);
	*keys = (struct aws_keys)AWS_KEYS_INIT;
}

void
aws_keys_copy(struct aws_keys *to, const struct aws_keys *from)
{
	struct aws_keys copy = {.id = copy_string(from->id),
	                        .secret = copy_string(from->secret),
	                        .token = copy_string(from->token),
	                        .expires = from->expires};
	aws_keys_done(to);
	*to = copy;
}

/* Printable ASCII without spaces: all that keys are made of, and nothing that would end a header.
 */
static bool
is_harmless(const char *part)
{
	size_t length = 0;
	while (part[length] > ' ' && part[length] < 0x7f && length <= PART_LIMIT)
		length++;
	return !part[length];
}

bool
aws_keys_check(const struct aws_keys *keys, const char *where, struct failure *why)
{
	if (!keys->id || !keys->id[0])
		return fail(why, FAILURE_CREDENTIALS, "%s: %s", where,
		            keys->secret ? "a secret access key without its id"
		                         : "a session token without its access key");
	if (!keys->secret || !keys->secret[0])
		return fail(why, FAILURE_CREDENTIALS, "%s: an access key's id without its secret",
		            where);
	if (!is_harmless(keys->id) || !is_harmless(keys->secret)
	    || (keys->token && !is_harmless(keys->token)))
		return fail(why, FAILURE_CREDENTIALS,
		            "%s: the access key, its secret or token is too long, or holds spaces "
		            "or control characters",
		            where);
	return true;
}

bool
aws_settings_check(const struct aws_settings *settings, struct failure *why)
{
	bool id = settings->access_key.path, secret = settings->secret_key.path;
	if (id == secret && (id || !settings->session_token.path))
		return true;
	return fail(why, FAILURE_CONFIGURATION,
	            "aws.access-key-file and aws.secret-key-file go together, and "
	            "aws.session-token-file goes with them");
}

struct http_signature
aws_signature(const struct aws_keys *keys, const char *service, const char *region)
{
	return (struct http_signature){.service = service,
	                               .region = region,
	                               .key_id = keys->id,
	                               .secret = keys->secret,
	                               .token = keys->token};
}

char *
aws_endpoint(const char *service, const char *region)
{
	return format("https://%s.%s.amazonaws.com%s", service, region,
	              starts_with(region, "cn-") ? ".cn" : "");
}
