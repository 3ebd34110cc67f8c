/* What every unit test includes: cmocka and what it needs before it, less its macro fail(), which
 * is our function's name. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#undef fail

#endif
