/*
 * Signs of life for the watchdog of the service manager. Its turn proves that the loop turns; it
 * says nothing while a duty hangs that no turn can mend: a request about the lease that never
 * ends, a runner that is dead without our having heard.
 */
#ifndef ENGINE_PULSE_H
#define ENGINE_PULSE_H

#include "engine/lease.h"
#include "engine/slot.h"

struct pulse {
	int64_t every;   /* ms; 0: nobody listens */
	int64_t due;     /* clock_ms() */
	int64_t orphan;  /* clock_ms() since when the runner is known to be dead; 0: it is not */
	bool was_silent; /* said in the log */
};

void pulse_init(struct pulse *pulse);
void pulse_turn(struct pulse *pulse, const struct lease *lease, const struct slot *slot,
                int64_t now);
int64_t pulse_due(const struct pulse *pulse);

#endif
