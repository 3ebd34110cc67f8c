/* A temporary directory for the tests of a group: unit_make_directory and unit_remove_directory as
 * set-up and tear-down. */
#ifndef UNIT_DIRECTORY_H
#define UNIT_DIRECTORY_H

#include <stdlib.h>

#include "base/files.h"
#include "unit.h"

static char unit_directory[64];

static inline int
unit_make_directory(void **state)
{
	(void)state;
	strcpy(unit_directory, "/tmp/moolloy-unit-XXXXXX");
	return mkdtemp(unit_directory) ? 0 : -1;
}

static inline int
unit_remove_directory(void **state)
{
	(void)state;
	return tree_remove(AT_FDCWD, unit_directory, NULL) ? 0 : -1;
}

/* Each test in a directory of its own. */
#define unit_test_in_directory(test)                                                               \
	cmocka_unit_test_setup_teardown(test, unit_make_directory, unit_remove_directory)

/* directory/name; malloc'd. */
static inline char *
unit_path(const char *name)
{
	return format("%s/%s", unit_directory, name);
}

static inline void
unit_write(const char *name, const char *content)
{
	scoped_free char *path = unit_path(name);
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_string(&text, content);
	assert_true(file_replace(AT_FDCWD, path, &text, 0600, NULL));
}

#endif
