#include "base/scoped.h"

#include <errno.h>

void
close_fd(int *fd)
{
	if (*fd >= 0) {
		int kept = errno;
		close(*fd);
		errno = kept;
	}
	*fd = -1;
}

void
free_pointer(void *pointer)
{
	void **slot = pointer;
	free(*slot);
	*slot = NULL;
}

void
close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
	*dir = NULL;
}
