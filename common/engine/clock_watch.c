#include "engine/clock_watch.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include "remote/aws_errors.h"

#define LIMIT     (5 * 60 * 1000) /* what signatures and leases tolerate */
#define ASK_EVERY 5000
#define TIMEOUT   20000

bool
clock_is_near(int64_t offset, const char *server, struct failure *why)
{
	scoped_free char *apart = offset_rough(offset);
	return llabs(offset) <= LIMIT
	       || fail(why, FAILURE_CLOCK, "this host's clock is %s %s's: set it", apart, server);
}

void
clock_watch_init(struct clock_watch *watch, const struct services *services)
{
	*watch = (struct clock_watch){.services = services};
}

static void
end(struct clock_watch *watch)
{
	free_pointer(&watch->url);
	free_pointer(&watch->ca_file);
	failure_clear(&watch->why);
}

void
clock_watch_done(struct clock_watch *watch)
{
	http_cancel(&watch->call);
	end(watch);
}

/* url: any answer of it has a Date; NULL: nobody to ask. */
static void
begin(struct clock_watch *watch, const char *url, const char *ca_file, const struct failure *why)
{
	if (why->code != FAILURE_CLOCK || !url)
		return;
	clock_watch_done(watch);
	watch->url = copy_string(url);
	watch->ca_file = copy_string(ca_file);
	failure_copy(&watch->why, why);
	watch->due = clock_ms();
}

void
clock_watch_store(struct clock_watch *watch, const struct failure *why)
{
	const struct store_settings *store = &watch->services->config->store;
	scoped_free char *url = store_server(store);
	begin(watch, url, store->ca_file, why);
}

void
clock_watch_queue(struct clock_watch *watch, const struct failure *why)
{
	const struct services *services = watch->services;
	begin(watch, queue_server(services->queue), services->config->queue_ca_file, why);
}

static void
answered(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct clock_watch *watch = data;
	struct failure apart = FAILURE_INIT;
	(void)why; /* a refusal has a Date, too */
	watch->call = NULL;
	watch->due = clock_ms() + ASK_EVERY;
	if (!answer)
		return;
	if (clock_is_near(aws_clock_offset(answer), watch->url, &apart))
		end(watch);
	else
		failure_copy(&watch->why, &apart);
}

void
clock_watch_soon(struct clock_watch *watch)
{
	watch->due = clock_ms();
}

void
clock_watch_turn(struct clock_watch *watch, int64_t now)
{
	if (!watch->url || watch->call || now < watch->due)
		return;
	const struct http_request request = {
	    .method = "HEAD", .url = watch->url, .ca_file = watch->ca_file, .timeout = TIMEOUT};
	watch->call = http_start(watch->services->http, &request, answered, watch);
}

int64_t
clock_watch_due(const struct clock_watch *watch)
{
	return watch->url && !watch->call ? watch->due : -1;
}

bool
clock_watch_check(const struct clock_watch *watch, struct failure *why)
{
	if (!watch->url)
		return true;
	failure_copy(why, &watch->why);
	return false;
}
