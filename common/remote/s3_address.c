#include "s3_address.h"

#include <ctype.h>
#include <string.h>

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* ---- checks ---- */

static bool
holds_only(const char *text, const char *allowed)
{
	return text[0] && strspn(text, allowed) == strlen(text);
}

/* As S3 has them, and as older buckets and other servers do. */
static bool
check_bucket(const char *bucket, struct failure *why)
{
	if (!bucket)
		return fail(why, FAILURE_CONFIGURATION,
		            "store.bucket is not set: store.type s3 needs one");
	return (holds_only(bucket, LOWER UPPER DIGITS "._-") && strlen(bucket) >= 3
	        && strlen(bucket) <= 255 && bucket[0] != '.')
	       || fail(why, FAILURE_CONFIGURATION, "store.bucket: '%s' is no name of a bucket",
	               bucket);
}

static bool
check_region(const char *region, struct failure *why)
{
	return (region && holds_only(region, LOWER UPPER DIGITS "_-"))
	       || fail(why, FAILURE_CONFIGURATION,
	               "store.region: '%s' is no region; us-east-1 is where there are none",
	               region ? region : "");
}

static const char *
host_of(const char *endpoint)
{
	if (starts_with(endpoint, "http://"))
		return endpoint + strlen("http://");
	return starts_with(endpoint, "https://") ? endpoint + strlen("https://") : NULL;
}

static bool
check_endpoint(const char *endpoint, struct failure *why)
{
	const char *host = endpoint ? host_of(endpoint) : "";
	if (!endpoint || (host && holds_only(host, LOWER UPPER DIGITS ".-_:[]")))
		return true;
	return fail(why, FAILURE_CONFIGURATION,
	            "store.endpoint: '%s' is no http:// or https:// address of a host, without a "
	            "slash at the end",
	            endpoint);
}

/* 127.0.0.1:8080, [::1] */
static bool
is_number(const char *host)
{
	return host[0] == '[' || strspn(host, DIGITS ".") == strcspn(host, ":");
}

static bool
check_style(const struct store_settings *settings, struct failure *why)
{
	const char *host = settings->endpoint ? host_of(settings->endpoint) : NULL;
	return !host || !is_number(host) || !strings_equal(settings->path_style, "no")
	       || fail(why, FAILURE_CONFIGURATION,
	               "store.path-style: no puts the bucket before the name of store.endpoint's "
	               "host, but %s is a number",
	               settings->endpoint);
}

static bool
check_prefix(const char *prefix, struct failure *why)
{
	if (!prefix
	    || (holds_only(prefix, LOWER UPPER DIGITS "._-/") && prefix[0] != '/'
	        && !ends_with(prefix, "/") && !strstr(prefix, "//") && strlen(prefix) <= 200))
		return true;
	return fail(why, FAILURE_CONFIGURATION,
	            "store.prefix: '%s' is none: of letters, digits and ._-/ without a slash at "
	            "either end",
	            prefix);
}

bool
s3_address_check(const struct store_settings *settings, struct failure *why)
{
	return check_bucket(settings->bucket, why) && check_region(settings->region, why)
	       && check_endpoint(settings->endpoint, why) && check_style(settings, why)
	       && check_prefix(settings->prefix, why);
}

/* ---- addresses ---- */

/* Other servers than AWS seldom have a name for each bucket; AWS's certificates do not cover names
 * with a dot. */
static bool
is_path_style(const struct store_settings *settings)
{
	if (!strings_equal(settings->path_style, "auto"))
		return strings_equal(settings->path_style, "yes");
	return settings->endpoint || strchr(settings->bucket, '.');
}

char *
s3_bucket_url(const struct store_settings *settings)
{
	scoped_free char *endpoint = settings->endpoint ? copy_string(settings->endpoint)
	                                                : aws_endpoint("s3", settings->region);
	const char *host = host_of(endpoint);
	if (is_path_style(settings))
		return format("%s/%s", endpoint, settings->bucket);
	return format("%.*s%s.%s", (int)(host - endpoint), endpoint, settings->bucket, host);
}

char *
s3_full_key(const struct store_settings *settings, const char *key)
{
	return settings->prefix ? format("%s/%s", settings->prefix, key) : copy_string(key);
}

char *
s3_url(const struct store_settings *settings, const char *key, const char *query)
{
	scoped_free char *bucket = s3_bucket_url(settings);
	scoped_free char *full = key ? s3_full_key(settings, key) : copy_string("");
	struct text url = TEXT_INIT;
	text_addf(&url, "%s/", bucket);
	s3_encode(&url, full, true);
	if (query)
		text_addf(&url, "?%s", query);
	return text_take(&url);
}

void
s3_encode(struct text *text, const char *string, bool keep_slashes)
{
	for (const char *at = string; *at; at++)
		if (isalnum((unsigned char)*at) || strchr("-._~", *at)
		    || (*at == '/' && keep_slashes))
			text_add(text, at, 1);
		else
			text_addf(text, "%%%02X", (unsigned)(unsigned char)*at);
}
