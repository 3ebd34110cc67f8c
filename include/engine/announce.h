/* What the worker does, told to whoever looks: the status file, and the line of `systemctl status`.
 */
#ifndef ENGINE_ANNOUNCE_H
#define ENGINE_ANNOUNCE_H

#include "work/status.h"

/* As last told; all NULL: nothing was. */
struct announcement {
	char *text, *line;
};

/* Tells what changed. A status file that cannot be written is logged, and tried again at the next
 * change. */
void announce(struct announcement *told, const char *runtime_directory,
              const struct status *status);
void announcement_done(struct announcement *told);

#endif
