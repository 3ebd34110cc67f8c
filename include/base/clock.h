/* Time. Deadlines and durations use the monotonic clock only; wall time is for what people and
 * reports read. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"

int64_t clock_ms(void); /* monotonic, milliseconds */
int64_t clock_us(void); /* monotonic, microseconds */
int64_t wall_ms(void);  /* since 1970, milliseconds */

#define WALL_TEXT_SIZE 32
/* "2026-11-24T08:22:30Z" (RFC 3339, UTC). Returns text. */
char *wall_text(int64_t ms, char text[WALL_TEXT_SIZE]);
/* And back; a fraction of a second is dropped, the zone may be Z or +HH:MM. false: it is none. */
bool must_check wall_parse(const char *text, int64_t *ret_ms);

#endif
