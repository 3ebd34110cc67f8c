#include "commits.h"

#include <string.h>

#include "base/clock.h"

bool
commits_is_sha(const char *text)
{
	size_t length = strlen(text);
	return (length == 40 || length == 64) && strspn(text, "0123456789abcdef") == length;
}

bool
commits_add(struct database *db, const struct commit *commit, int64_t *ret_id, struct failure *why)
{
	if (!database_do(db,
	                 "INSERT INTO commits (sha, time, comment, added_at) VALUES (?, ?, ?, ?)"
	                 " ON CONFLICT (sha) DO NOTHING",
	                 WITH(text_value(commit->sha), integer_value(commit->time),
	                      text_value(commit->comment), integer_value(wall_ms())),
	                 why))
		return false;
	*ret_id = database_changed(db) ? database_last_id(db) : 0;
	return true;
}
