#include "remote/credentials_endpoint.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "outside/json.h"

#define CONNECT_TIMEOUT 1000
#define TIMEOUT         3000
#define TRIES           2
#define ANSWER_LIMIT    (64 * 1024)
#define TOKEN_LIMIT     (16 * 1024)
#define NAME_LIMIT      128 /* of an instance's role */

#define CONTAINER_BASE "http://169.254.170.2"
#define INSTANCE_BASE  "http://169.254.169.254"
#define INSTANCE_IPV6  "http://[fd00:ec2::254]"
#define ROLE_PATH      "/latest/meta-data/iam/security-credentials/"

struct credentials_asking {
	struct http_client *client;
	struct http_call *call;
	const char *who; /* for messages */
	char *base;      /* instance: of its metadata service */

	/* The request under way, and what its answer leads to. */
	const char *method;
	char *url;
	struct strings headers;
	bool (*take)(struct credentials_asking *asking, const char *body, struct failure *why);
	int tries;

	struct aws_keys keys; /* in the end */
	credentials_asked *done;
	void *data;
};

static void send_request(struct credentials_asking *asking);

/* ---- who is asked ---- */

/* Loopback, and where ECS and EKS serve keys. */
static bool
is_near(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6, eks;
	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127 || !strcmp(host, "169.254.170.2")
		       || !strcmp(host, "169.254.170.23");
	return inet_pton(AF_INET6, host, &v6) == 1 && inet_pton(AF_INET6, "fd00:ec2::23", &eks) == 1
	       && (IN6_IS_ADDR_LOOPBACK(&v6) || IN6_ARE_ADDR_EQUAL(&v6, &eks));
}

/* "HOST", "HOST:PORT" or "[HOST]:PORT". */
static bool
is_near_authority(char *authority)
{
	char *host = authority[0] == '[' ? authority + 1 : authority;
	char *end = host + strcspn(host, authority[0] == '[' ? "]" : ":");
	if (authority[0] == '[' && (!*end || (end[1] && end[1] != ':')))
		return false;
	*end = '\0';
	return is_near(host);
}

/* May keys come from there? Nothing clever in the authority: another host might be meant than the
 * one seen here. */
static bool
is_trusted(const char *url)
{
	bool tls = starts_with(url, "https://"), plain = starts_with(url, "http://");
	if (!tls && !plain)
		return false;
	const char *at = url + strlen(tls ? "https://" : "http://");
	scoped_free char *authority = format("%.*s", (int)strcspn(at, "/?#"), at);
	return !strpbrk(authority, "@\\%") && (tls || is_near_authority(authority));
}

/* The container's endpoint; NULL with *why untouched: none is named. A web identity is another than
 * that of the instance, which would be asked otherwise. */
static char *
container_url(struct failure *why)
{
	const char *web = environment_value("AWS_WEB_IDENTITY_TOKEN_FILE");
	const char *relative = environment_value("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = environment_value("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	if (web) {
		fail(why, FAILURE_CREDENTIALS,
		     "AWS_WEB_IDENTITY_TOKEN_FILE: web identities are not followed; an EKS pod "
		     "identity or keys in a file are");
		return NULL;
	}
	if (relative && relative[0] == '/')
		return format(CONTAINER_BASE "%s", relative);
	if (relative)
		fail(why, FAILURE_CREDENTIALS,
		     "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '%.200s' is no path", relative);
	else if (full && is_trusted(full))
		return copy_string(full);
	else if (full)
		fail(why, FAILURE_CREDENTIALS,
		     "AWS_CONTAINER_CREDENTIALS_FULL_URI: '%.200s' is neither https nor on this "
		     "host",
		     full);
	return NULL;
}

/* The instance's metadata service; NULL: not to be asked. */
static char *
instance_base(void)
{
	const char *disabled = environment_value("AWS_EC2_METADATA_DISABLED");
	const char *named = environment_value("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = environment_value("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	if (disabled && strcasecmp(disabled, "true") == 0)
		return NULL;
	char *base = copy_string(named                                   ? named
	                         : mode && strcasecmp(mode, "ipv6") == 0 ? INSTANCE_IPV6
	                                                                 : INSTANCE_BASE);
	while (ends_with(base, "/"))
		base[strlen(base) - 1] = '\0';
	return base;
}

/* Whoever knows the path gets the keys. */
static char *
without_path(const char *url)
{
	const char *host = strstr(url, "://") + strlen("://");
	return format("%.*s", (int)(host + strcspn(host, "/?#") - url), url);
}

char *
credentials_endpoint_describe(void)
{
	struct failure why = FAILURE_INIT;
	scoped_free char *container = container_url(&why);
	if (container) {
		scoped_free char *shown = without_path(container);
		return format("container %s", shown);
	}
	if (why.code != FAILURE_NONE)
		return format("none: %s", why.message);
	scoped_free char *instance = instance_base();
	return instance ? format("instance %s", instance) : NULL;
}

/* ---- the answers ---- */

/* "2026-11-24T08:22:30Z"; keys without it do not run out. */
static bool
take_expiration(const struct json_t *answer, struct aws_keys *keys, struct failure *why)
{
	const char *expiration = js_string(answer, "Expiration");
	if (!expiration || wall_parse(expiration, &keys->expires))
		return true;
	return fail(why, FAILURE_CREDENTIALS, "the Expiration '%.40s' is no point in time",
	            expiration);
}

/* {"AccessKeyId":..,"SecretAccessKey":..,"Token":..,"Expiration":..}, of an instance also "Code".
 */
static bool
take_keys(struct credentials_asking *asking, const char *body, struct failure *why)
{
	scoped(js_drop) struct json_t *answer = NULL;
	struct aws_keys *keys = &asking->keys;
	/* The parser's own words would quote from it. */
	if (!js_parse(body, strlen(body), &answer, NULL))
		return fail(why, FAILURE_CREDENTIALS, "the answer is no JSON object");
	const char *code = js_string(answer, "Code"), *message = js_string(answer, "Message");
	if (code && strcasecmp(code, "Success") != 0)
		return fail(why, FAILURE_CREDENTIALS, "%.80s: %.200s", code,
		            message ? message : "");
	keys->id = copy_string(js_string(answer, "AccessKeyId"));
	keys->secret = copy_string(js_string(answer, "SecretAccessKey"));
	keys->token = copy_string(js_string(answer, "Token"));
	asking->take = NULL;
	return aws_keys_check(keys, "the answer", why) && take_expiration(answer, keys, why);
}

/* The role's name, on the first line. */
static bool
take_role(struct credentials_asking *asking, const char *body, struct failure *why)
{
	static const char harmless[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-";
	size_t length = strspn(body, harmless);
	if (!length || length > NAME_LIMIT || body[length + strspn(body + length, "\r\n")])
		return fail(why, FAILURE_CREDENTIALS, "the role's name could not be understood");
	free_pointer(&asking->url);
	asking->url = format("%s" ROLE_PATH "%.*s", asking->base, (int)length, body);
	asking->take = take_keys;
	return true;
}

static bool
take_session(struct credentials_asking *asking, const char *body, struct failure *why)
{
	size_t length = strcspn(body, "\r\n");
	if (!length || length > TOKEN_LIMIT || body[length])
		return fail(why, FAILURE_CREDENTIALS, "the session token could not be understood");
	strings_done(&asking->headers);
	strings_addf(&asking->headers, "X-aws-ec2-metadata-token: %s", body);
	free_pointer(&asking->url);
	asking->method = "GET";
	asking->url = format("%s" ROLE_PATH, asking->base);
	asking->take = take_role;
	return true;
}

/* ---- the requests ---- */

static void
free_asking(struct credentials_asking *asking)
{
	http_cancel(&asking->call);
	aws_keys_done(&asking->keys);
	for (size_t i = 0; i < asking->headers.count; i++)
		explicit_bzero(asking->headers.items[i], strlen(asking->headers.items[i]));
	strings_done(&asking->headers);
	free(asking->url);
	free(asking->base);
	free(asking);
}

/* "GET http://HOST/PATH: 404": what comes after the address. */
static const char *
without_request(const char *message)
{
	const char *url = strstr(message, " http"), *end = strstr(message, ": ");
	return url && end && url < end ? end + strlen(": ") : message;
}

static void
end(struct credentials_asking *asking, const struct failure *why)
{
	scoped_free char *shown = without_path(asking->url);
	struct aws_keys keys = asking->keys;
	struct failure told = FAILURE_INIT;
	credentials_asked *done = asking->done;
	void *data = asking->data;
	if (why)
		fail(&told, FAILURE_CREDENTIALS, "no keys at hand, and none from the %s: %s (%s)",
		     asking->who, without_request(why->message), shown);
	else
		asking->keys = (struct aws_keys)AWS_KEYS_INIT;
	free_asking(asking);
	done(data, why ? NULL : &keys, why ? &told : NULL);
}

static void
answered(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct credentials_asking *asking = data;
	struct failure inner = FAILURE_INIT;
	asking->call = NULL;
	if (why && why->retryable && ++asking->tries < TRIES) {
		send_request(asking);
		return;
	}
	if (why && asking->take == take_role && why->code == FAILURE_NOT_FOUND)
		fail(&inner, FAILURE_CREDENTIALS, "the instance has none");
	else if (why)
		failure_copy(&inner, why);
	if (why) {
		end(asking, &inner);
	} else if (!asking->take(asking, text_string(&answer->body), &inner)) {
		end(asking, &inner);
	} else if (asking->take) {
		asking->tries = 0;
		send_request(asking);
	} else {
		end(asking, NULL);
	}
	failure_done(&inner);
}

static void
send_request(struct credentials_asking *asking)
{
	const struct http_request request = {.method = asking->method,
	                                     .url = asking->url,
	                                     .headers = &asking->headers,
	                                     .connect_timeout = CONNECT_TIMEOUT,
	                                     .timeout = TIMEOUT,
	                                     .direct = starts_with(asking->url, "http://"),
	                                     .answer_limit = ANSWER_LIMIT};
	asking->call = http_start(asking->client, &request, answered, asking);
}

/* The container's authorization token, read anew each time: its file changes. */
static bool
add_authorization(struct strings *headers, struct failure *why)
{
	const char *path = environment_value("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *token = environment_value("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct failure inner = FAILURE_INIT;
	scoped(text_done) struct text text = TEXT_INIT;
	if (path && !file_read(AT_FDCWD, path, TOKEN_LIMIT, &text, &inner))
		return fail(why, FAILURE_CREDENTIALS, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: %s",
		            inner.message);
	if (!path && !token)
		return true;
	scoped_free char *line = copy_string(path ? text_string(&text) : token);
	size_t length = strcspn(line, "\r\n");
	if (!length || line[length + strspn(line + length, "\r\n")])
		return fail(why, FAILURE_CREDENTIALS,
		            "the container's authorization token is empty or of several lines");
	line[length] = '\0';
	strings_addf(headers, "Authorization: %s", line);
	explicit_bzero(line, length);
	return true;
}

static bool
set_out(struct credentials_asking *asking, struct failure *why)
{
	struct failure wrong = FAILURE_INIT;
	asking->url = container_url(&wrong);
	if (wrong.code != FAILURE_NONE)
		return fail(why, FAILURE_CREDENTIALS, "%s", wrong.message);
	if (asking->url) {
		asking->who = "container's endpoint";
		asking->method = "GET";
		asking->take = take_keys;
		return add_authorization(&asking->headers, why);
	}
	asking->base = instance_base();
	if (!asking->base)
		return fail(why, FAILURE_CREDENTIALS,
		            "no keys in settings, environment or files, and no endpoint to ask");
	asking->who = "EC2 instance's role";
	asking->method = "PUT";
	asking->url = format("%s/latest/api/token", asking->base);
	asking->take = take_session;
	strings_add(&asking->headers, "X-aws-ec2-metadata-token-ttl-seconds: 60");
	return true;
}

bool
credentials_ask(struct http_client *client, credentials_asked *done, void *data,
                struct credentials_asking **ret, struct failure *why)
{
	struct credentials_asking *asking = allocate(sizeof *asking);
	asking->client = client;
	asking->done = done;
	asking->data = data;
	if (!set_out(asking, why)) {
		free_asking(asking);
		return false;
	}
	send_request(asking);
	*ret = asking;
	return true;
}

void
credentials_ask_no_more(struct credentials_asking **asking)
{
	if (*asking)
		free_asking(*asking);
	*asking = NULL;
}
