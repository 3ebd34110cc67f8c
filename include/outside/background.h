/*
 * Work that may block, beside the loop: a thread of its own does it (pthreads(7)), the loop hears
 * of its end. What it works on is nobody else's until then.
 */
#ifndef OUTSIDE_BACKGROUND_H
#define OUTSIDE_BACKGROUND_H

#include "outside/loop.h"

struct background;

/* Calls work on a new thread, then ended on the loop, once; both with data. For want of a thread
 * the work is done at once, here. */
struct background *background_start(struct loop *loop, void (*work)(void *data),
                                    void (*ended)(void *data), void *data);
/* Waits for the work if it is not over; ended is not called any more. Each is dropped once: before
 * its end, by ended, or after it. */
void background_drop(struct background **background);

#endif
