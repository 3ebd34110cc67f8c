#include "remote/dashboard.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "outside/json.h"

/* A small request that takes longer than this is better tried again. */
#define TIMEOUT 60000

static struct http_call *
start(struct http_client *client, const struct dashboard_access *access, const char *path,
      struct http_request *request, http_done *done, void *data)
{
	scoped_free char *url = format("%s%s", access->url, path);
	request->method = "POST";
	request->url = url;
	request->username = access->username;
	request->password = access->password;
	request->ca_file = access->ca_file;
	return http_start(client, request, done, data);
}

static struct http_call *
start_json(struct http_client *client, const struct dashboard_access *access, const char *path,
           const char *body, int64_t wait_ms, http_done *done, void *data)
{
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	/* Without a body there is nothing to have a type; curl would call it a form. */
	strings_add(&headers, body ? "Content-Type: application/json" : "Content-Type:");
	struct http_request request = {.headers = &headers,
	                               .body = body,
	                               .body_length = body ? strlen(body) : 0,
	                               .stall_timeout = wait_ms + TIMEOUT,
	                               .timeout = wait_ms + TIMEOUT};
	return start(client, access, path, &request, done, data);
}

struct http_call *
dashboard_post(struct http_client *client, const struct dashboard_access *access, const char *path,
               const char *body, http_done *done, void *data)
{
	return start_json(client, access, path, body, 0, done, data);
}

struct http_call *
dashboard_poll(struct http_client *client, const struct dashboard_access *access, const char *path,
               const char *body, int64_t wait_ms, http_done *done, void *data)
{
	return start_json(client, access, path, body, wait_ms, done, data);
}

struct http_call *
dashboard_upload_model(struct http_client *client, const struct dashboard_access *access,
                       const char *model_id, const char *path, http_done *done, void *data)
{
	const struct http_form_file file = {.field = "file",
	                                    .filename = "populated_model.tar.bz2",
	                                    .type = "application/x-bzip2",
	                                    .path = path};
	scoped_free char *url_path = format("/models/%s/upload", model_id);
	struct http_request request = {.form = &file, .redirect_is_done = true};
	return start(client, access, url_path, &request, done, data);
}

bool
dashboard_forgot_worker(const struct http_answer *answer)
{
	return answer && answer->status == 400
	       && strstr(text_string(&answer->body), "worker does not exist");
}

char *
dashboard_register_body(const char *name, const char *kind)
{
	scoped(js_drop) struct json_t *body = js_object();
	js_set_string(body, "hostname", name);
	js_set_string(body, "version", MOOLLOY_VERSION);
	js_set_string(body, "kind", kind);
	return js_text(body);
}

/* Ids become parts of URLs. */
static bool
is_id(const char *text)
{
	static const char harmless[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	return text && text[0] && strlen(text) <= 64 && text[strspn(text, harmless)] == '\0';
}

static bool
no_worker_id(const struct text *body, struct failure *why)
{
	scoped(text_done) struct text shown = TEXT_INIT;
	text_add_printable(&shown, text_string(body), body->length, false);
	return fail(why, FAILURE_BAD_ANSWER, "the answer to registering holds no worker_id: %.100s",
	            text_string(&shown));
}

bool
dashboard_worker_id(const struct http_answer *answer, char **ret_id, struct failure *why)
{
	scoped(js_drop) struct json_t *object = NULL;
	int64_t number;
	if (!js_parse(text_string(&answer->body), answer->body.length, &object, why))
		return fail_within(why, "answer to registering");
	const char *text = js_string(object, "worker_id");
	if (js_integer(object, "worker_id", &number))
		*ret_id = format("%" PRId64, number);
	else if (is_id(text))
		*ret_id = copy_string(text);
	else
		return no_worker_id(&answer->body, why);
	return true;
}

/* Digits that a number would give back the same. */
static bool
is_plain_number(const char *id)
{
	return strlen(id) <= 18 && strspn(id, "0123456789") == strlen(id)
	       && (id[0] != '0' || id[1] == '\0');
}

void
dashboard_set_id(struct json_t *object, const char *key, const char *id)
{
	int64_t number;
	if (!id)
		js_set_null(object, key);
	else if (is_plain_number(id) && number_parse(id, &number, NULL))
		js_set_integer(object, key, number);
	else
		js_set_string(object, key, id);
}
