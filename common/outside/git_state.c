#include "git_state.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

struct git_state git_state;

/* What the machine refuses is not the repository's fault. libgit2 keeps no errno, only its text. */
static enum failure_code
code_from_system(const char *message, enum failure_code otherwise)
{
	static const int machines[] = {ENOSPC, EDQUOT, EACCES, EPERM, EROFS,
	                               EIO,    EMFILE, ENFILE, ENOMEM};
	for (size_t i = 0; message && i < sizeof machines / sizeof *machines; i++)
		if (ends_with(message, strerror(machines[i])))
			return failure_from_errno(machines[i]);
	return otherwise;
}

static enum failure_code
code_from_git(int result, enum failure_code otherwise)
{
	const git_error *error = git_error_last();
	int class = error ? error->klass : GIT_ERROR_NONE;
	if (result == GIT_EUSER)
		return FAILURE_CANCELLED;
	if (result == GIT_ECERTIFICATE || class == GIT_ERROR_SSL)
		return FAILURE_TLS;
	if (result == GIT_EAUTH)
		return FAILURE_UNAUTHORIZED;
	if (class == GIT_ERROR_NET || class == GIT_ERROR_HTTP || class == GIT_ERROR_SSH)
		return FAILURE_NETWORK;
	if (class == GIT_ERROR_NOMEMORY)
		return FAILURE_SYSTEM;
	return code_from_system(error ? error->message : NULL, otherwise);
}

bool
git_fail(int result, enum failure_code otherwise, struct failure *why, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	scoped_free char *what = formatv(fmt, args);
	va_end(args);
	if (git_state.why.code != FAILURE_NONE) {
		failure_copy(why, &git_state.why);
		failure_clear(&git_state.why);
		return fail_within(why, "%s", what);
	}
	const git_error *error = git_error_last();
	return fail(why, code_from_git(result, otherwise), "%s: %s", what,
	            error && error->message ? error->message : "unknown error");
}

int
git_transport_failed(void)
{
	git_error_set_str(GIT_ERROR_NET, git_state.why.message);
	return -1;
}

enum failure_code
git_code_of_reading(int result, enum failure_code otherwise)
{
	const git_error *error = git_error_last();
	int class = error ? error->klass : GIT_ERROR_NONE;
	bool damaged = result == GIT_ENOTFOUND || class == GIT_ERROR_ODB || class == GIT_ERROR_ZLIB
	               || class == GIT_ERROR_OBJECT || class == GIT_ERROR_TREE;
	return damaged ? FAILURE_DAMAGED : otherwise;
}

void
git_begin(const struct tick *tick)
{
	git_state.tick = tick;
	failure_clear(&git_state.why);
	git_error_clear();
}

void
git_drop_repository(git_repository **repository)
{
	git_repository_free(*repository);
}

void
git_drop_commit(git_commit **commit)
{
	git_commit_free(*commit);
}

void
git_drop_index(git_index **index)
{
	git_index_free(*index);
}
