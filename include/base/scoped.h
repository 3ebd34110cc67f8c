/*
 * Ownership in the declaration.
 *
 *	scoped_fd int fd = -1;                          closed when the block ends
 *	scoped_free char *path = format("%s/x", dir);   freed
 *	scoped(text_done) struct text body = TEXT_INIT; text_done(&body)
 *
 * To hand the thing on, take it: `*ret_fd = take_fd(&fd)`. Destructors accept half-built objects
 * and -1 or NULL. Return from main, never exit(), or scoped variables do not run.
 */
#ifndef BASE_SCOPED_H
#define BASE_SCOPED_H

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define scoped(destructor) __attribute__((cleanup(destructor)))
#define scoped_fd          scoped(close_fd)
#define scoped_free        scoped(free_pointer)
#define scoped_dir         scoped(close_dir)

/* Closes *fd if it is one, and forgets it. errno is kept. */
void close_fd(int *fd);
/* pointer: the address of any malloc'd pointer; freed and set to NULL. */
void free_pointer(void *pointer);
void close_dir(DIR **dir);

/* The fd, which is now the caller's: *fd becomes -1. */
static inline int
take_fd(int *fd)
{
	int taken = *fd;
	*fd = -1;
	return taken;
}

/* The pointer, which is now the caller's: *P becomes NULL. */
#define take_pointer(P)                                                                            \
	({                                                                                         \
		__typeof__(P) take_from_ = (P);                                                    \
		__typeof__(*take_from_) taken_ = *take_from_;                                      \
		*take_from_ = NULL;                                                                \
		taken_;                                                                            \
	})

#endif
