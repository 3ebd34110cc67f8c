/* Boxes and runners that outlived whoever started them. */
#ifndef OUTSIDE_STRAY_H
#define OUTSIDE_STRAY_H

/*
 * Ends (SIGKILL) every box and every runner whose arguments name the state directory or something
 * below its jobs/, with all that is in the box, and waits until they are gone, at most 10 s. How
 * many there were. For who has the state directory and no job: bubblewrap's --die-with-parent
 * leaves some ms in which a box outlives its parent that is killed.
 */
int stray_end_all(const char *state_directory);

#endif
