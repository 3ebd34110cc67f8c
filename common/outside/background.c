#include "outside/background.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/scoped.h"
#include "base/text.h"

struct background {
	pthread_t thread;
	bool threaded; /* there is one to be waited for */
	int over;      /* eventfd: the work is */
	struct loop_source *source;
	void (*work)(void *data);
	void (*ended)(void *data);
	void *data;
};

static void
do_work(struct background *background)
{
	background->work(background->data);
	/* Fails for a counter that is full only, and it counts to one. */
	if (eventfd_write(background->over, 1) < 0)
		abort();
}

static void *
on_thread(void *background)
{
	do_work(background);
	return NULL;
}

static void
on_over(int fd, uint32_t events, void *data)
{
	(void)fd;
	(void)events;
	struct background *background = data;
	loop_source_drop(&background->source);
	background->ended(background->data);
}

/* The thread inherits the signal mask of the loop, which has blocked those that it reads itself. */
struct background *
background_start(struct loop *loop, void (*work)(void *data), void (*ended)(void *data), void *data)
{
	struct background *background = allocate(sizeof *background);
	*background = (struct background){.over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	                                  .work = work,
	                                  .ended = ended,
	                                  .data = data};
	if (background->over < 0)
		abort(); /* a loop that cannot be woken */
	background->source = loop_fd(loop, background->over, EPOLLIN, on_over, background);
	background->threaded = pthread_create(&background->thread, NULL, on_thread, background)
	                       == 0;
	if (!background->threaded)
		do_work(background);
	return background;
}

void
background_drop(struct background **background)
{
	if (!*background)
		return;
	if ((*background)->threaded)
		pthread_join((*background)->thread, NULL);
	loop_source_drop(&(*background)->source);
	close_fd(&(*background)->over);
	free_pointer(background);
}
