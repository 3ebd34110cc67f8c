/*
 * The dashboard as workers see it, on the loop. The same requests serve the existing dashboard and
 * ours; which fields go beyond the existing one's is its own business (it ignores them).
 */
#ifndef REMOTE_DASHBOARD_H
#define REMOTE_DASHBOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "outside/http.h"

struct json_t;

/* How to reach it; borrowed for as long as the dashboard lives. */
struct dashboard_access {
	const char *url;                 /* "http://127.0.0.1:8080", no slash at the end */
	const char *username, *password; /* NULL: none */
	const char *ca_file;
};

/*
 * Starts POST `path` ("/jobs/12/start") with the body, JSON text, or with none (Content-Length: 0)
 * if it is NULL. done as of http_start().
 */
struct http_call *dashboard_post(struct http_client *client, const struct dashboard_access *access,
                                 const char *path, const char *body, http_done *done, void *data);
/* The same with a total wait of up to `wait_ms` before the answer begins: a long poll. */
struct http_call *dashboard_poll(struct http_client *client, const struct dashboard_access *access,
                                 const char *path, const char *body, int64_t wait_ms,
                                 http_done *done, void *data);
/* POST /models/ID/upload: the file as form field "file", named populated_model.tar.bz2. A 302 or
 * 303 is success. */
struct http_call *dashboard_upload_model(struct http_client *client,
                                         const struct dashboard_access *access,
                                         const char *model_id, const char *path, http_done *done,
                                         void *data);

/* "400 - Bad request: worker does not exist", the one 400 with a meaning: register again. answer
 * may be NULL. */
bool dashboard_forgot_worker(const struct http_answer *answer);
/* Body of POST /workers/register: {"hostname":NAME,"version":...,"kind":KIND}; malloc'd. */
char *dashboard_register_body(const char *name, const char *kind);
/* The worker_id of its answer (number or string), malloc'd; false: FAILURE_BAD_ANSWER. */
bool must_check dashboard_worker_id(const struct http_answer *answer, char **ret_id,
                                    struct failure *why);
/* "12" as the number 12, "7a" as a string: ids go back as they came. For heartbeats' job_id. NULL
 * gives null. */
void dashboard_set_id(struct json_t *object, const char *key, const char *id);

#endif
