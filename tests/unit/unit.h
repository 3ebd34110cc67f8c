/* What every unit test includes: cmocka and what it needs before it, less its macro fail(), which
 * is our function's name. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#undef fail

/* The tell of a tick that stops everything at once. */
static inline bool
unit_stop(void *data, int64_t done, int64_t total)
{
	(void)data, (void)done, (void)total;
	return false;
}

#endif
