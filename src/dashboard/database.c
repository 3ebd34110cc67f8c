#include "database.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/text.h"

/* A person with a sqlite3 shell may hold the write lock; longer than this is a failure. */
#define BUSY_TIMEOUT_MS 5000

struct statement {
	const char *sql; /* owned by SQLite, as long as the statement */
	sqlite3_stmt *stmt;
	struct statement *next;
};

struct database {
	sqlite3 *sqlite;
	struct statement *statements; /* prepared, kept until the end */
};

struct rows {
	struct database *db;
	sqlite3_stmt *stmt; /* NULL: could not be prepared */
	bool kept;          /* belongs to db->statements */
	int result;         /* of the last step */
};

/* ---- failures ---- */

static enum failure_code
code_from_sqlite(int result)
{
	switch (result & 0xff) {
	case SQLITE_FULL:
		return FAILURE_DISK_FULL;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return FAILURE_PERMISSION;
	case SQLITE_IOERR:
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_CANTOPEN:
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return FAILURE_SYSTEM;
	default:
		return FAILURE_INTERNAL;
	}
}

static bool
fail_sqlite(struct failure *why, struct database *db, int result)
{
	return fail(why, code_from_sqlite(result), "database: %s", sqlite3_errmsg(db->sqlite));
}

/* ---- opening ---- */

bool
database_open(const char *path, struct database **ret, struct failure *why)
{
	struct database *db = allocate(sizeof *db);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
	            | SQLITE_OPEN_EXRESCODE;
	int result = sqlite3_open_v2(path, &db->sqlite, flags, NULL);
	if (result != SQLITE_OK) {
		fail_sqlite(why, db, result);
		database_close(&db);
		return fail_within(why, "%s", path);
	}
	sqlite3_busy_timeout(db->sqlite, BUSY_TIMEOUT_MS);
	if (!database_script(db,
	                     "PRAGMA journal_mode = WAL;"
	                     "PRAGMA synchronous = FULL;"
	                     "PRAGMA foreign_keys = ON;"
	                     "PRAGMA trusted_schema = OFF;",
	                     why)) {
		database_close(&db);
		return fail_within(why, "%s", path);
	}
	*ret = db;
	return true;
}

void
database_close(struct database **db)
{
	if (!*db)
		return;
	while ((*db)->statements) {
		struct statement *first = (*db)->statements;
		(*db)->statements = first->next;
		sqlite3_finalize(first->stmt);
		free(first);
	}
	sqlite3_close((*db)->sqlite);
	free_pointer(db);
}

/* ---- statements ---- */

static sqlite3_stmt *
kept_statement(struct database *db, const char *sql)
{
	for (struct statement *s = db->statements; s; s = s->next)
		if (strcmp(s->sql, sql) == 0)
			return s->stmt;
	return NULL;
}

static void
keep(struct database *db, sqlite3_stmt *stmt)
{
	struct statement *statement = allocate(sizeof *statement);
	statement->stmt = stmt;
	statement->sql = sqlite3_sql(stmt);
	statement->next = db->statements;
	db->statements = statement;
}

static void
bind(sqlite3_stmt *stmt, const struct value *values)
{
	int index = 1;
	int result = SQLITE_OK;
	for (const struct value *v = values; v->type != VALUE_END && result == SQLITE_OK;
	     v++, index++) {
		if (v->type == VALUE_TEXT)
			result = sqlite3_bind_text(stmt, index, v->text, -1, SQLITE_STATIC);
		else if (v->type == VALUE_INTEGER)
			result = sqlite3_bind_int64(stmt, index, v->integer);
		else if (v->type == VALUE_REAL)
			result = sqlite3_bind_double(stmt, index, v->real);
		else
			result = sqlite3_bind_null(stmt, index);
	}
	/* Our own bug: the values do not fit the statement. */
	assert(result == SQLITE_OK && index - 1 == sqlite3_bind_parameter_count(stmt));
	(void)result;
}

struct rows *
database_rows(struct database *db, const char *sql, const struct value *values)
{
	struct rows *rows = allocate(sizeof *rows);
	rows->db = db;
	rows->result = SQLITE_OK;
	sqlite3_stmt *kept = kept_statement(db, sql);
	if (kept && !sqlite3_stmt_busy(kept)) {
		rows->stmt = kept;
		rows->kept = true;
	} else {
		rows->result = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT,
		                                  &rows->stmt, NULL);
		if (rows->stmt && !kept) {
			keep(db, rows->stmt);
			rows->kept = true;
		}
	}
	if (rows->stmt)
		bind(rows->stmt, values);
	return rows;
}

bool
rows_next(struct rows *rows)
{
	if (rows->result == SQLITE_OK || rows->result == SQLITE_ROW)
		rows->result = sqlite3_step(rows->stmt);
	return rows->result == SQLITE_ROW;
}

bool
rows_end(struct rows *rows, struct failure *why)
{
	if (rows->result == SQLITE_OK || rows->result == SQLITE_ROW || rows->result == SQLITE_DONE)
		return true;
	return fail_sqlite(why, rows->db, rows->result);
}

void
rows_close(struct rows **rows)
{
	if (!*rows)
		return;
	sqlite3_stmt *stmt = (*rows)->stmt;
	if ((*rows)->kept) {
		sqlite3_reset(stmt);
		sqlite3_clear_bindings(stmt);
	} else {
		sqlite3_finalize(stmt);
	}
	free_pointer(rows);
}

bool
database_do(struct database *db, const char *sql, const struct value *values, struct failure *why)
{
	scoped(rows_close) struct rows *rows = database_rows(db, sql, values);
	while (rows_next(rows))
		;
	return rows_end(rows, why);
}

bool
database_script(struct database *db, const char *sql, struct failure *why)
{
	int result = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
	return result == SQLITE_OK || fail_sqlite(why, db, result);
}

int64_t
database_last_id(const struct database *db)
{
	return sqlite3_last_insert_rowid(db->sqlite);
}

int64_t
database_changed(const struct database *db)
{
	return sqlite3_changes64(db->sqlite);
}

int64_t
database_version(const struct database *db)
{
	return sqlite3_total_changes64(db->sqlite);
}

/* ---- transactions ---- */

bool
transaction_begin(struct transaction *transaction, struct database *db, struct failure *why)
{
	if (!database_do(db, "BEGIN IMMEDIATE", WITH_NONE, why))
		return false;
	transaction->db = db;
	return true;
}

bool
transaction_commit(struct transaction *transaction, struct failure *why)
{
	if (!database_do(transaction->db, "COMMIT", WITH_NONE, why))
		return false;
	transaction->db = NULL;
	return true;
}

void
transaction_end(struct transaction *transaction)
{
	/* Some failures (a full disk) have rolled it back already. */
	if (transaction->db && !sqlite3_get_autocommit(transaction->db->sqlite))
		sqlite3_exec(transaction->db->sqlite, "ROLLBACK", NULL, NULL, NULL);
	transaction->db = NULL;
}

/* ---- columns ---- */

static int
column_index(struct rows *rows, const char *column)
{
	int count = sqlite3_column_count(rows->stmt);
	for (int i = 0; i < count; i++)
		if (strcmp(sqlite3_column_name(rows->stmt, i), column) == 0)
			return i;
	assert(!"no such column in the statement");
	return 0;
}

static const char *
text_at(struct rows *rows, int index)
{
	const void *text = sqlite3_column_text(rows->stmt, index);
	return text;
}

const char *
row_text(struct rows *rows, const char *column)
{
	return text_at(rows, column_index(rows, column));
}

int64_t
row_integer(struct rows *rows, const char *column)
{
	return sqlite3_column_int64(rows->stmt, column_index(rows, column));
}

double
row_real(struct rows *rows, const char *column)
{
	return sqlite3_column_double(rows->stmt, column_index(rows, column));
}

bool
row_is_null(struct rows *rows, const char *column)
{
	return sqlite3_column_type(rows->stmt, column_index(rows, column)) == SQLITE_NULL;
}

int
row_columns(struct rows *rows)
{
	return sqlite3_column_count(rows->stmt);
}

struct value
row_value(struct rows *rows, int index, const char **ret_name)
{
	*ret_name = sqlite3_column_name(rows->stmt, index);
	switch (sqlite3_column_type(rows->stmt, index)) {
	case SQLITE_INTEGER:
		return integer_value(sqlite3_column_int64(rows->stmt, index));
	case SQLITE_FLOAT:
		return real_value(sqlite3_column_double(rows->stmt, index));
	case SQLITE_NULL:
		return null_value();
	default:
		return text_value(text_at(rows, index));
	}
}

bool
database_number(struct database *db, const char *sql, const struct value *values, int64_t otherwise,
                int64_t *ret, struct failure *why)
{
	scoped(rows_close) struct rows *rows = database_rows(db, sql, values);
	int64_t number = otherwise;
	if (rows_next(rows) && sqlite3_column_type(rows->stmt, 0) != SQLITE_NULL)
		number = sqlite3_column_int64(rows->stmt, 0);
	if (!rows_end(rows, why))
		return false;
	*ret = number;
	return true;
}
