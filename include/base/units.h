/* Durations and sizes as people write them: 90s, 5m, 48h, 2d, 250ms; 512MiB, 64KiB, 2GiB, 100
 * (bytes). */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdint.h>

#include "base/attributes.h"
#include "base/failure.h"

/* Milliseconds. A bare number other than 0 is refused: 5 what? */
bool must_check duration_parse(const char *text, int64_t *ret_ms, struct failure *why);
/* Bytes. */
bool must_check size_parse(const char *text, int64_t *ret_bytes, struct failure *why);
/* A whole decimal number. */
bool must_check number_parse(const char *text, int64_t *ret, struct failure *why);

/* The shortest exact form, which parses to the same value; malloc'd. */
char *duration_format(int64_t ms);
char *size_format(int64_t bytes);
/* About three digits for logs: "1.4 s", "350 ms", "3h02m"; "12.3 MiB". malloc'd. */
char *duration_rough(int64_t ms);
char *size_rough(int64_t bytes);
/* How far a clock is off: "7m30s ahead", "1.4 s behind". malloc'd. */
char *offset_rough(int64_t ms);

#endif
