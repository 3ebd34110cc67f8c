#include "models.h"

#include <string.h>

#include "base/clock.h"

#define PATH_LIMIT 255

bool
models_check_path(const char *path, struct failure *why)
{
	size_t length = path ? strlen(path) : 0;
	if (length == 0)
		return fail(why, FAILURE_REJECTED, "the model needs a path");
	if (length > PATH_LIMIT)
		return fail(why, FAILURE_REJECTED, "the model's path is longer than %d bytes",
		            PATH_LIMIT);
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			return fail(why, FAILURE_REJECTED,
			            "the model's path holds a control character");
	return true;
}

bool
models_add(struct database *db, const char *path, int64_t *ret_id, struct failure *why)
{
	if (!models_check_path(path, why)
	    || !database_do(db,
	                    "INSERT INTO models (path, created_at) VALUES (?, ?)"
	                    " ON CONFLICT (path) DO NOTHING",
	                    WITH(text_value(path), integer_value(wall_ms())), why))
		return false;
	if (database_changed(db) == 0)
		return fail(why, FAILURE_CONFLICT, "there is a model of that path");
	*ret_id = database_last_id(db);
	return true;
}

bool
models_exist(struct database *db, int64_t id, bool *ret, struct failure *why)
{
	int64_t count;
	if (!database_number(db, "SELECT count(*) FROM models WHERE id = ?",
	                     WITH(integer_value(id)), 0, &count, why))
		return false;
	*ret = count > 0;
	return true;
}

static bool
expect_change(struct database *db, struct failure *why)
{
	return database_changed(db) > 0 || fail(why, FAILURE_NOT_FOUND, "model does not exist");
}

bool
models_set_archive(struct database *db, int64_t id, const struct model_archive *archive,
                   struct failure *why)
{
	return database_do(db,
	                   "UPDATE models SET key = ?, sha256 = ?, bytes = ?, filename = ?,"
	                   " uploaded_at = ? WHERE id = ?",
	                   WITH(text_value(archive->key), text_value(archive->sha256),
	                        integer_value(archive->bytes), text_value(archive->filename),
	                        integer_value(wall_ms()), integer_value(id)),
	                   why)
	       && expect_change(db, why);
}

bool
models_set_ci(struct database *db, int64_t id, bool enabled, struct failure *why)
{
	return database_do(db, "UPDATE models SET ci_enabled = ? WHERE id = ?",
	                   WITH(integer_value(enabled), integer_value(id)), why)
	       && expect_change(db, why);
}
