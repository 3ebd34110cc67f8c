#include "messages.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "outside/digest.h"

#define RECEIPT_BYTES 16

void
message_done(struct message *message)
{
	free(message->secret);
	free(message->receipt);
	free(message->queue);
	free(message->body);
	*message = (struct message)MESSAGE_INIT;
}

bool
messages_is_queue(const char *name)
{
	return strings_equal(name, "build") || strings_equal(name, "ci")
	       || strings_equal(name, "performance") || strings_equal(name, "correctness");
}

/* ---- what a message says ---- */

/* All digits would be read as a number: in quotes then, as the existing dashboard has it. */
static void
add_line(struct text *body, const char *key, const char *value)
{
	if (!value)
		text_addf(body, ":%s:\n", key);
	else if (value[strspn(value, "0123456789")] == '\0')
		text_addf(body, ":%s: '%s'\n", key, value);
	else
		text_addf(body, ":%s: %s\n", key, value);
}

static char *
write_body(struct rows *job)
{
	struct text body = TEXT_INIT;
	bool run = strings_equal(row_text(job, "type"), "run");
	text_addf(&body, "---\n:version: 2\n:job_id: %lld\n:job_type: :%s\n",
	          (long long)row_integer(job, "id"), run ? "run" : "build");
	add_line(&body, "commit", row_text(job, "sha"));
	if (run) {
		text_addf(&body, ":model_id: %lld\n", (long long)row_integer(job, "model_id"));
		add_line(&body, "jar_file_key", row_text(job, "jar_key"));
		add_line(&body, "model_file_key", row_text(job, "model_key"));
		add_line(&body, "algorithm", row_text(job, "algorithm"));
	}
	/* Beyond the existing dashboard; its workers do not look. */
	if (run && !row_is_null(job, "jar_sha256"))
		add_line(&body, "jar_sha256", row_text(job, "jar_sha256"));
	return text_take(&body);
}

/* ---- giving out ---- */

static void
read_message(struct rows *job, struct message *message)
{
	message->job_id = row_integer(job, "id");
	message->secret = copy_string(row_text(job, "secret"));
	message->receipt = copy_string(row_text(job, "receipt"));
	message->queue = copy_string(row_text(job, "queue"));
	message->attempt = row_integer(job, "attempt");
	message->handbacks = row_integer(job, "handbacks");
	message->body = write_body(job);
}

static bool
receive_from(struct database *db, const char *queue, const struct message_wish *wish,
             struct message *message, struct failure *why)
{
	scoped_free char *receipt = random_hex(RECEIPT_BYTES);
	int64_t now = wall_ms();
	scoped(rows_close) struct rows *job = database_rows(
	    db,
	    "UPDATE jobs SET attempt = attempt + 1, receipt = ?, leased_by = ?, visible_at = ?"
	    " WHERE id = (SELECT id FROM jobs WHERE queue = ? AND queued = 1 AND visible_at <= ?"
	    "             ORDER BY id LIMIT 1)"
	    " RETURNING id, type, (SELECT sha FROM commits WHERE commits.id = commit_id) AS sha,"
	    " model_id, jar_key, model_key, algorithm, jar_sha256,"
	    " secret, receipt, queue, attempt, handbacks",
	    WITH(text_value(receipt), text_value(wish->worker), integer_value(now + wish->lease_ms),
	         text_value(queue), integer_value(now)));
	/* To the end: the change is committed with the last step. */
	while (rows_next(job))
		read_message(job, message);
	return rows_end(job, why);
}

bool
messages_receive(struct database *db, const struct message_wish *wish, struct message *ret,
                 bool *ret_found, struct failure *why)
{
	scoped(message_done) struct message message = MESSAGE_INIT;
	for (size_t i = 0; i < wish->queues->count && !message.receipt; i++)
		if (!receive_from(db, wish->queues->items[i], wish, &message, why))
			return false;
	*ret_found = message.receipt != NULL;
	*ret = message;
	message = (struct message)MESSAGE_INIT;
	return true;
}

/* ---- what its holder says ---- */

bool
messages_extend(struct database *db, const char *receipt, int64_t lease_ms, struct failure *why)
{
	if (!database_do(db, "UPDATE jobs SET visible_at = ? WHERE receipt = ? AND queued = 1",
	                 WITH(integer_value(wall_ms() + lease_ms), text_value(receipt)), why))
		return false;
	return database_changed(db) > 0 || fail(why, FAILURE_CONFLICT, "lease is gone");
}

bool
messages_acknowledge(struct database *db, const char *receipt, struct failure *why)
{
	return database_do(db, "UPDATE jobs SET queued = 0, receipt = NULL WHERE receipt = ?",
	                   WITH(text_value(receipt)), why);
}

bool
messages_release(struct database *db, const struct message_release *release, struct failure *why)
{
	return database_do(db,
	                   "UPDATE jobs SET receipt = NULL, leased_by = NULL, visible_at = ?,"
	                   " handbacks = handbacks + ? WHERE receipt = ? AND queued = 1",
	                   WITH(integer_value(wall_ms() + release->delay_ms),
	                        integer_value(release->handback), text_value(release->receipt)),
	                   why);
}

bool
messages_move(struct database *db, int64_t ms, struct failure *why)
{
	return database_do(db, "UPDATE jobs SET visible_at = visible_at + ? WHERE queued = 1",
	                   WITH(integer_value(ms)), why);
}

bool
messages_outlook(struct database *db, bool *ret_any, int64_t *ret_next, struct failure *why)
{
	int64_t now = wall_ms();
	int64_t any, next;
	if (!database_number(
		db, "SELECT EXISTS (SELECT 1 FROM jobs WHERE queued = 1 AND visible_at <= ?)",
		WITH(integer_value(now)), 0, &any, why)
	    || !database_number(
		db, "SELECT min(visible_at) FROM jobs WHERE queued = 1 AND visible_at > ?",
		WITH(integer_value(now)), INT64_MAX, &next, why))
		return false;
	*ret_any = any;
	*ret_next = next;
	return true;
}
