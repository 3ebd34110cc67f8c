/* The sources of keys that can be read at once: settings, environment, files (the order of
 * remote/credentials.h). */
#ifndef REMOTE_CREDENTIALS_LOCAL_H
#define REMOTE_CREDENTIALS_LOCAL_H

#include "base/failure.h"
#include "remote/aws_keys.h"

enum local_finding {
	LOCAL_ABSENT, /* none of them is there */
	LOCAL_FOUND,  /* *ret_keys and *ret_where ("environment"; malloc'd) are the caller's */
	LOCAL_BROKEN, /* the first that is there cannot be used: *why, FAILURE_CREDENTIALS */
};
enum local_finding credentials_look(const struct aws_settings *settings, struct aws_keys *ret_keys,
                                    char **ret_where, struct failure *why);

#endif
