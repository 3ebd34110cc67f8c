/*
 * The control socket, <runtime>/<worker>.sock: one JSON line {"verb":"memory"} in, one JSON line
 * out:
 * {"ok":true,...} or {"ok":false,"error":"..."}. Who may connect is a matter of the socket's mode
 * (0660).
 */
#ifndef ENGINE_CONTROL_H
#define ENGINE_CONTROL_H

#include "base/attributes.h"
#include "base/failure.h"
#include "outside/loop.h"

struct json_t;

/* One verb; adds to the answer, which is an object. */
struct control_verb {
	const char *name;
	bool (*act)(void *data, struct json_t *answer, struct failure *why);
};

struct control;
/* verbs: ends with a NULL name; borrowed, as are data and loop. */
bool must_check control_open(struct loop *loop, const char *path, const struct control_verb *verbs,
                             void *data, struct control **ret, struct failure *why);
/* Removes the socket. */
void control_close(struct control **control);

/* What this process uses: pss, private, rss (bytes, from /proc/self/smaps_rollup), cpu_ns
 * (/proc/self/schedstat). For the verb "memory". */
bool control_memory(void *data, struct json_t *answer, struct failure *why);

#endif
