#include "base/backoff.h"

#include <sys/random.h>

/* Uniform in [0, limit]; the bias of the remainder is of no consequence here. */
static int64_t
random_up_to(int64_t limit)
{
	uint64_t number = 0;
	while (getrandom(&number, sizeof number, 0) != sizeof number)
		;
	return (int64_t)(number % ((uint64_t)limit + 1));
}

int64_t
backoff_next(struct backoff *backoff)
{
	int64_t ceiling = backoff->first;
	for (unsigned i = 0; i < backoff->tries && ceiling < backoff->cap; i++)
		ceiling *= 2;
	backoff->tries++;
	return random_up_to(ceiling < backoff->cap ? ceiling : backoff->cap);
}

void
backoff_reset(struct backoff *backoff)
{
	backoff->tries = 0;
}
