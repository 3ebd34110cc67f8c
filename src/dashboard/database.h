/*
 * The database (SQLite): statements, rows and transactions. This is the only file that knows
 * sqlite3.h.
 *
 *	if (!database_do(db, "UPDATE models SET ci_enabled = ? WHERE id = ?",
 *	                 WITH(integer_value(on), integer_value(id)), why))
 *		return false;
 *
 *	scoped(rows_close) struct rows *rows = database_rows(
 *	    db, "SELECT id, sha FROM commits WHERE id < ?", WITH(integer_value(before)));
 *	while (rows_next(rows))
 *		use(row_integer(rows, "id"), row_text(rows, "sha"));
 *	return rows_end(rows, why);
 *
 * Values are bound, never written into the SQL, which is a constant: statements are prepared once
 * and kept. One thread, one connection.
 */
#ifndef DASHBOARD_DATABASE_H
#define DASHBOARD_DATABASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/scoped.h"

struct database;
struct rows;

/* ---- values for the ? of a statement, in their order ---- */
enum value_type { VALUE_END, VALUE_NULL, VALUE_TEXT, VALUE_INTEGER, VALUE_REAL };
struct value {
	enum value_type type;
	union {
		const char *text; /* borrowed until the statement was run or the rows are closed */
		int64_t integer;
		double real;
	};
};
#define WITH(...) ((const struct value[]){__VA_ARGS__, {.type = VALUE_END}})
#define WITH_NONE ((const struct value[]){{.type = VALUE_END}})

static inline struct value
text_value(const char *text) /* NULL is SQL's NULL */
{
	return (struct value){.type = text ? VALUE_TEXT : VALUE_NULL, .text = text};
}

static inline struct value
integer_value(int64_t integer)
{
	return (struct value){.type = VALUE_INTEGER, .integer = integer};
}

static inline struct value
real_value(double real)
{
	return (struct value){.type = VALUE_REAL, .real = real};
}

static inline struct value
null_value(void)
{
	return (struct value){.type = VALUE_NULL};
}

/* ---- opening ---- */
/* Opens or makes the file: write-ahead log, every commit synced, foreign keys enforced. */
bool must_check database_open(const char *path, struct database **ret, struct failure *why);
void database_close(struct database **db);

/* ---- changing ---- */
/* One statement that gives no rows. */
bool must_check database_do(struct database *db, const char *sql, const struct value *values,
                            struct failure *why);
/* Several statements without values: for the schema. */
bool must_check database_script(struct database *db, const char *sql, struct failure *why);
int64_t database_last_id(const struct database *db); /* of the row inserted last */
int64_t database_changed(const struct database *db); /* rows that the last database_do changed */
/* Grows with every change: the same number twice means that nothing changed in between. */
int64_t database_version(const struct database *db);

/* ---- transactions ---- */
/*
 *	scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
 *	return transaction_begin(&change, db, why) && ... && transaction_commit(&change, why);
 *
 * What was not committed is rolled back when the block ends. Transactions do not nest.
 */
struct transaction {
	struct database *db; /* NULL: none is open */
};
#define TRANSACTION_INIT                                                                           \
	{                                                                                          \
	}
bool must_check transaction_begin(struct transaction *transaction, struct database *db,
                                  struct failure *why);
bool must_check transaction_commit(struct transaction *transaction, struct failure *why);
void transaction_end(struct transaction *transaction);

/* ---- reading ---- */
/* Never NULL; what is wrong with the statement shows in rows_end(). */
struct rows *database_rows(struct database *db, const char *sql, const struct value *values);
/* The next row: false after the last, or when the database failed. */
bool rows_next(struct rows *rows);
/* Did reading work so far? */
bool must_check rows_end(struct rows *rows, struct failure *why);
/* For scoped(). */
void rows_close(struct rows **rows);

/* The columns of the present row by name; a name that the statement does not give is a bug. */
const char *row_text(struct rows *rows, const char *column); /* NULL for NULL; until the next row */
int64_t row_integer(struct rows *rows, const char *column);  /* 0 for NULL */
double row_real(struct rows *rows, const char *column);      /* 0 for NULL */
bool row_is_null(struct rows *rows, const char *column);
/* Each column in the statement's order, as value (numbers, text or NULL): for JSON. */
int row_columns(struct rows *rows);
struct value row_value(struct rows *rows, int index, const char **ret_name);

/* The first column of the first row as a number; `otherwise` if there is no row or it is NULL. */
bool must_check database_number(struct database *db, const char *sql, const struct value *values,
                                int64_t otherwise, int64_t *ret, struct failure *why);

#endif
