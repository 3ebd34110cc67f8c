#include "remote/credentials.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "base/text.h"
#include "remote/credentials_endpoint.h"
#include "remote/credentials_local.h"

#define RENEW_BEFORE (5 * 60 * 1000)
#define TURN         200 /* ms; of waiting by hand */

struct waiter {
	credentials_done *done;
	void *data;
};

struct credentials {
	const struct aws_settings *settings;
	struct http_client *client;

	struct aws_keys keys; /* id NULL: none */
	int64_t renew_at;     /* wall_ms(); 0: never */

	struct credentials_asking *asking; /* under way */
	struct waiter *waiters;
	size_t waiting;
	struct backoff backoff;
	int64_t next_try;   /* clock_ms(); not to be asked before */
	struct failure why; /* it could not be done */

	struct aws_keys lent; /* to who waited by hand */
};

struct credentials *
credentials_new(const struct aws_settings *settings, struct http_client *client)
{
	struct credentials *credentials = allocate(sizeof *credentials);
	*credentials = (struct credentials){
	    .settings = settings, .client = client, .backoff = BACKOFF_INIT};
	return credentials;
}

void
credentials_free(struct credentials **credentials)
{
	struct credentials *self = *credentials;
	if (!self)
		return;
	credentials_ask_no_more(&self->asking);
	aws_keys_done(&self->keys);
	aws_keys_done(&self->lent);
	failure_done(&self->why);
	free(self->waiters);
	free_pointer(credentials);
}

void
credentials_forget(struct credentials *credentials)
{
	aws_keys_done(&credentials->keys);
	credentials->renew_at = 0;
}

/* ---- asking ---- */

static void
tell_waiters(struct credentials *self, const struct failure *why)
{
	/* Whoever is told may want or forget keys. */
	scoped(aws_keys_done) struct aws_keys keys = AWS_KEYS_INIT;
	scoped_free struct waiter *waiters = take_pointer(&self->waiters);
	size_t waiting = self->waiting;
	self->waiting = 0;
	if (!why)
		aws_keys_copy(&keys, &self->keys);
	for (size_t i = 0; i < waiting; i++)
		waiters[i].done(waiters[i].data, why ? NULL : &keys, why);
}

static void
keep(struct credentials *self, struct aws_keys *keys)
{
	int64_t now = wall_ms(), tenth = (keys->expires - now) / 10;
	aws_keys_done(&self->keys);
	self->keys = *keys;
	*keys = (struct aws_keys)AWS_KEYS_INIT;
	self->renew_at = 0;
	if (self->keys.expires)
		self->renew_at = self->keys.expires - (tenth < RENEW_BEFORE ? tenth : RENEW_BEFORE);
	self->next_try = 0;
	backoff_reset(&self->backoff);
}

static void
asked(void *data, struct aws_keys *keys, const struct failure *why)
{
	struct credentials *self = data;
	self->asking = NULL;
	if (keys) {
		keep(self, keys);
	} else {
		self->next_try = clock_ms() + backoff_next(&self->backoff);
		failure_copy(&self->why, why);
	}
	tell_waiters(self, why);
}

/* Unless it is being done, or was tried in vain just now. */
static bool
ask(struct credentials *self, struct failure *why)
{
	if (self->asking)
		return true;
	if (clock_ms() < self->next_try) {
		failure_copy(why, &self->why);
		return false;
	}
	return credentials_ask(self->client, asked, self, &self->asking, why);
}

/* ---- what is at hand ---- */

static bool
holds(const struct credentials *self)
{
	const struct aws_keys *keys = &self->keys;
	return keys->id && (!keys->expires || wall_ms() < keys->expires);
}

/* Keys that hold are used while new ones are asked for. */
static bool
is_at_hand(struct credentials *self)
{
	scoped(failure_done) struct failure ignored = FAILURE_INIT;
	if (!holds(self))
		return false;
	if (self->renew_at && wall_ms() >= self->renew_at)
		ask(self, &ignored);
	return true;
}

static void
add_waiter(struct credentials *self, credentials_done *done, void *data)
{
	self->waiters = reallocate(self->waiters, (self->waiting + 1) * sizeof *self->waiters);
	self->waiters[self->waiting++] = (struct waiter){done, data};
}

static void
forget_waiter(struct credentials *self, const void *data)
{
	for (size_t i = 0; i < self->waiting; i++)
		if (self->waiters[i].data == data)
			self->waiters[i] = self->waiters[--self->waiting];
}

void
credentials_want(struct credentials *credentials, credentials_done *done, void *data)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(aws_keys_done) struct aws_keys found = AWS_KEYS_INIT;
	scoped_free char *where = NULL;
	enum local_finding finding = LOCAL_FOUND;
	if (!is_at_hand(credentials)) {
		finding = credentials_look(credentials->settings, &found, &where, &why);
		if (finding == LOCAL_FOUND)
			keep(credentials, &found);
	}
	if (finding == LOCAL_FOUND)
		done(data, &credentials->keys, NULL);
	else if (finding == LOCAL_ABSENT && ask(credentials, &why))
		add_waiter(credentials, done, data);
	else
		done(data, NULL, &why);
}

/* ---- by hand ---- */

struct wait {
	struct credentials *credentials;
	bool over;
	struct failure why; /* NONE: lent */
};

static void
lend(void *data, const struct aws_keys *keys, const struct failure *why)
{
	struct wait *wait = data;
	wait->over = true;
	if (keys)
		aws_keys_copy(&wait->credentials->lent, keys);
	else
		failure_copy(&wait->why, why);
}

bool
credentials_get(struct credentials *credentials, const struct tick *tick,
                const struct aws_keys **ret_keys, struct failure *why)
{
	struct wait wait = {.credentials = credentials};
	credentials_want(credentials, lend, &wait);
	while (!wait.over)
		if (!http_work(credentials->client, clock_ms() + TURN, tick, why)) {
			forget_waiter(credentials, &wait);
			failure_done(&wait.why);
			return false;
		}
	if (wait.why.code == FAILURE_NONE) {
		*ret_keys = &credentials->lent;
		return true;
	}
	fail(why, wait.why.code, "%s", wait.why.message);
	failure_done(&wait.why);
	return false;
}

char *
credentials_describe(const struct aws_settings *settings)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(aws_keys_done) struct aws_keys keys = AWS_KEYS_INIT;
	char *where = NULL;
	switch (credentials_look(settings, &keys, &where, &why)) {
	case LOCAL_FOUND:
		return where;
	case LOCAL_BROKEN:
		return format("none: %s", why.message);
	case LOCAL_ABSENT:
		break;
	}
	char *endpoint = credentials_endpoint_describe();
	return endpoint ? endpoint : copy_string("none");
}
