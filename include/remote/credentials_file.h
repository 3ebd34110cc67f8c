/*
 * Files of access keys in the form of the AWS tools (AWS SDKs and Tools Reference Guide, "Shared
 * config and credentials files"):
 *
 *	[default]                      or [NAME]; [profile NAME] means the same
 *	aws_access_key_id = AKIA...
 *	aws_secret_access_key = ...
 *	aws_session_token = ...        of temporary keys
 *
 * Comments are lines that begin with # or ;, and what follows a blank and one of these. Of two
 * sections or lines of one name the later one wins. Everything else that may stand there, such as
 * indented lines of nested settings, is passed over: roles and credential_process are not followed.
 */
#ifndef REMOTE_CREDENTIALS_FILE_H
#define REMOTE_CREDENTIALS_FILE_H

#include <stddef.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "remote/aws_keys.h"

/* The keys of that profile. name: of the file, for messages. FAILURE_NOT_FOUND: there is no such
 * profile; FAILURE_CREDENTIALS: it is not whole, or the file is none of these: "NAME:3: ...". */
bool must_check credentials_file_parse(const char *bytes, size_t length, const char *name,
                                       const char *profile, struct aws_keys *ret_keys,
                                       struct failure *why);
/* The same from the file; one that everyone may read is refused. */
bool must_check credentials_file_read(const char *path, const char *profile,
                                      struct aws_keys *ret_keys, struct failure *why);

#endif
