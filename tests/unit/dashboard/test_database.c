#include "unit.h"

#include <stdlib.h>

#include "../../../src/dashboard/database.h"
#include "../../../src/dashboard/schema.h"

static int
open_in_memory(void **state)
{
	struct database *db;
	if (!database_open(":memory:", &db, NULL)
	    || !database_script(db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c REAL)", NULL))
		return -1;
	*state = db;
	return 0;
}

static int
close_it(void **state)
{
	struct database *db = *state;
	database_close(&db);
	return 0;
}

static int64_t
count(struct database *db)
{
	int64_t number = -1;
	assert_true(database_number(db, "SELECT count(*) FROM t", WITH_NONE, -1, &number, NULL));
	return number;
}

static bool
insert(struct database *db, int64_t a, const char *b, struct failure *why)
{
	return database_do(db, "INSERT INTO t VALUES (?, ?, ?)",
	                   WITH(integer_value(a), text_value(b), real_value(0.5)), why);
}

static void
test_values_come_back(void **state)
{
	struct database *db = *state;
	assert_true(insert(db, 7, "seven", NULL));
	assert_int_equal(database_last_id(db), 7);
	assert_true(insert(db, 8, NULL, NULL));
	scoped(rows_close) struct rows *rows = database_rows(db, "SELECT * FROM t ORDER BY a",
	                                                     WITH_NONE);
	assert_true(rows_next(rows));
	assert_int_equal(row_integer(rows, "a"), 7);
	assert_string_equal(row_text(rows, "b"), "seven");
	assert_true(row_real(rows, "c") == 0.5);
	assert_true(rows_next(rows));
	assert_null(row_text(rows, "b"));
	assert_true(row_is_null(rows, "b"));
	const char *name;
	assert_int_equal(row_value(rows, 1, &name).type, VALUE_NULL);
	assert_string_equal(name, "b");
	assert_int_equal(row_columns(rows), 3);
	assert_false(rows_next(rows));
	assert_true(rows_end(rows, NULL));
}

/* A kept statement that is in use must not be started over by its second user. */
static void
test_the_same_statement_nested(void **state)
{
	struct database *db = *state;
	int pairs = 0;
	for (int64_t i = 1; i <= 3; i++)
		assert_true(insert(db, i, "x", NULL));
	scoped(rows_close) struct rows *outer = database_rows(db, "SELECT a FROM t", WITH_NONE);
	while (rows_next(outer)) {
		scoped(rows_close) struct rows *inner = database_rows(db, "SELECT a FROM t",
		                                                      WITH_NONE);
		while (rows_next(inner))
			pairs++;
	}
	assert_int_equal(pairs, 9);
}

static void
test_what_is_not_committed_is_gone(void **state)
{
	struct database *db = *state;
	for (int commit = 0; commit < 2; commit++) {
		scoped(transaction_end) struct transaction change = TRANSACTION_INIT;
		assert_true(transaction_begin(&change, db, NULL));
		assert_true(insert(db, 1, "x", NULL));
		if (commit)
			assert_true(transaction_commit(&change, NULL));
		else
			transaction_end(&change);
		assert_int_equal(count(db), commit);
	}
}

static void
test_failures_are_told(void **state)
{
	struct database *db = *state;
	struct failure why = FAILURE_INIT;
	assert_true(insert(db, 1, "x", NULL));
	assert_false(insert(db, 1, "y", &why));
	assert_int_equal(why.code, FAILURE_INTERNAL);
	assert_non_null(strstr(why.message, "UNIQUE"));
	assert_false(database_do(db, "SELECT nonsense", WITH_NONE, &why));
	assert_non_null(strstr(why.message, "nonsense"));
	/* The kept statement works again. */
	assert_true(insert(db, 2, "x", NULL));
}

static void
test_schema_twice_is_once(void **state)
{
	struct database *db = *state;
	int64_t before, after;
	assert_true(schema_update(db, NULL));
	assert_true(database_number(db, "PRAGMA user_version", WITH_NONE, 0, &before, NULL));
	assert_true(schema_update(db, NULL));
	assert_true(database_number(db, "PRAGMA user_version", WITH_NONE, 0, &after, NULL));
	assert_true(before > 0);
	assert_int_equal(before, after);
}

int
main(void)
{
#define IN_MEMORY(TEST) cmocka_unit_test_setup_teardown(TEST, open_in_memory, close_it)
	const struct CMUnitTest tests[] = {
	    IN_MEMORY(test_values_come_back),
	    IN_MEMORY(test_the_same_statement_nested),
	    IN_MEMORY(test_what_is_not_committed_is_gone),
	    IN_MEMORY(test_failures_are_told),
	    IN_MEMORY(test_schema_twice_is_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
