#include "base/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/text.h"

#define LIMIT 4096

const char *
service_credentials(void)
{
	return environment_value("CREDENTIALS_DIRECTORY");
}

static char *
find(const char *name, struct failure *why)
{
	if (strchr(name, '/'))
		return copy_string(name);
	const char *directory = service_credentials();
	if (directory)
		return format("%s/%s", directory, name);
	fail(why, FAILURE_CREDENTIALS,
	     "'%s' is no path, and there are no systemd credentials (LoadCredential=)", name);
	return NULL;
}

static bool
take_first_line(const char *path, const struct text *text, char **ret_value, struct failure *why)
{
	const char *line = text_string(text);
	size_t length = strcspn(line, "\r\n");
	if (memchr(line, '\0', text->length))
		return fail(why, FAILURE_CREDENTIALS, "%s holds a NUL: it is no text file", path);
	if (length == 0)
		return fail(why, FAILURE_CREDENTIALS, "%s: its first line is empty", path);
	*ret_value = format("%.*s", (int)length, line);
	return true;
}

bool
secret_file_read(const char *path, size_t limit, struct text *text, struct failure *why)
{
	struct stat about;
	struct failure inner = FAILURE_INIT;
	/* All at once: growing would leave copies behind. */
	text_reserve(text, limit);
	if (stat(path, &about) == 0 && (about.st_mode & S_IROTH))
		return fail(why, FAILURE_CREDENTIALS, "%s can be read by everyone: chmod o-r it",
		            path);
	return file_read(AT_FDCWD, path, limit, text, &inner)
	       || fail(why, FAILURE_CREDENTIALS, "%s", inner.message);
}

static bool
read_first_line(const char *path, char **ret_value, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	bool good = secret_file_read(path, LIMIT, &text, why)
	            && take_first_line(path, &text, ret_value, why);
	explicit_bzero(text.bytes, text.length);
	return good;
}

bool
secret_read(const struct secret *secret, char **ret_value, struct failure *why)
{
	char *value = NULL;
	if (secret->path) {
		scoped_free char *path = find(secret->path, why);
		if (!path || !read_first_line(path, &value, why))
			return false;
	}
	*ret_value = value;
	return true;
}
