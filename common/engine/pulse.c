#include "engine/pulse.h"

#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"

#define REQUEST_LIMIT (3 * 60 * 1000) /* longer than any request may take by its own limits */
#define ORPHAN_LIMIT  10000           /* the loop tells of a death in the same turn */

void
pulse_init(struct pulse *pulse)
{
	*pulse = (struct pulse){.every = service_watchdog() / 2};
}

static bool
is_dead_unseen(const struct slot *slot)
{
	siginfo_t how = {0};
	return slot->state != SLOT_IDLE && !slot->ended
	       && waitid(P_PID, (id_t)slot->pid, &how, WEXITED | WNOHANG | WNOWAIT) == 0
	       && how.si_pid == slot->pid;
}

/* What hangs; NULL: nothing does. */
static const char *
find_hanging(struct pulse *pulse, const struct lease *lease, const struct slot *slot, int64_t now)
{
	bool dead = is_dead_unseen(slot);
	if (!dead)
		pulse->orphan = 0;
	else if (!pulse->orphan)
		pulse->orphan = now;
	if (pulse->orphan && now - pulse->orphan > ORPHAN_LIMIT)
		return "the runner's end was not noticed";
	if (lease->under_way && now - lease->asked > REQUEST_LIMIT)
		return "a request about the lease does not end";
	return NULL;
}

void
pulse_turn(struct pulse *pulse, const struct lease *lease, const struct slot *slot, int64_t now)
{
	if (!pulse->every || now < pulse->due)
		return;
	pulse->due = now + pulse->every;
	const char *hanging = find_hanging(pulse, lease, slot, now);
	if (!hanging)
		service_notify("WATCHDOG=1");
	else if (!pulse->was_silent)
		log_error(NULL, "no sign of life for the watchdog: %s", hanging);
	pulse->was_silent = hanging != NULL;
}

int64_t
pulse_due(const struct pulse *pulse)
{
	return pulse->every ? pulse->due : -1;
}
