#include "s3.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "remote/aws_errors.h"
#include "remote/credentials.h"
#include "s3_address.h"
#include "s3_answers.h"

#define SLOWEST 64 /* bytes a millisecond (KiB a second, nearly): what is slower is given up */

struct s3 {
	const struct store_settings *settings;
	struct s3_schedule schedule;
	struct http_client *client;
	struct credentials *credentials;
	bool had_keys;         /* that a server took */
	struct s3_call *calls; /* under way or waiting */

	/* An operation that was tried in vain since it last worked; NULL: none. */
	const char *troubled;
	struct failure trouble; /* of its first try */
	int64_t trouble_wait;   /* ms until the next one */
	bool trouble_told;
};

struct s3_call {
	struct s3 *s3;
	struct s3_call *next, **link; /* in s3's list */
	struct s3_request request;    /* its strings are ours, its body is not */
	struct strings headers;
	char *key, *query, *url;
	char sha256[SHA256_TEXT];
	struct http_call *http; /* under way; NULL: waits */
	int64_t due;            /* when it is to start, clock_ms(); past: at once */
	int64_t late;           /* when it is given up */
	struct s3_turns turns;  /* since something useful came */
	bool renewed;           /* keys were read again */
	bool explaining;        /* a HEAD failed: asked as a GET, whose answer says why */
};

/* ---- trouble, for who waits ---- */

static void
note_trouble(const struct s3_call *call, const struct failure *why, int64_t due)
{
	struct s3 *s3 = call->s3;
	if (s3->troubled)
		return;
	s3->troubled = call->request.operation;
	s3->trouble_wait = due - clock_ms();
	failure_copy(&s3->trouble, why);
}

static void
note_success(const struct s3_call *call)
{
	if (strings_equal(call->s3->troubled, call->request.operation))
		call->s3->troubled = NULL;
}

void
s3_came_through(struct s3 *s3)
{
	s3->troubled = NULL;
}

static void
tell_trouble(struct s3 *s3, const struct tick *tick)
{
	if (!s3->troubled == !s3->trouble_told)
		return;
	tick_trouble(tick, s3->troubled ? &s3->trouble : NULL, s3->trouble_wait);
	s3->trouble_told = s3->troubled != NULL;
}

/* ---- calls ---- */

static void
free_call(struct s3_call *call)
{
	http_cancel(&call->http);
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	strings_done(&call->headers);
	free(call->key);
	free(call->query);
	free(call->url);
	free(call);
}

struct s3_call *
s3_start(struct s3 *s3, const struct s3_request *request)
{
	struct s3_call *call = allocate(sizeof *call);
	call->s3 = s3;
	call->request = *request;
	call->key = copy_string(request->key);
	call->query = copy_string(request->query);
	call->url = s3_url(s3->settings, request->key, request->query);
	if (request->headers)
		strings_add_all(&call->headers, request->headers);
	if (request->sha256)
		memcpy(call->sha256, request->sha256, SHA256_TEXT);
	else
		digest_bytes(request->body ? request->body : "", request->length, call->sha256);
	call->late = clock_ms() + s3->schedule.patience;
	s3_expect(call, (int64_t)request->length);
	call->next = s3->calls;
	call->link = &s3->calls;
	if (call->next)
		call->next->link = &call->next;
	s3->calls = call;
	return call;
}

void
s3_cancel(struct s3_call **call)
{
	if (*call)
		free_call(*call);
	*call = NULL;
}

const struct http_answer *
s3_answer(const struct s3_call *call)
{
	return http_call_answer(call->http);
}

void
s3_expect(struct s3_call *call, int64_t bytes)
{
	call->late += bytes / SLOWEST;
}

int64_t
s3_sent(const struct s3_call *call)
{
	return call->http ? http_call_sent(call->http) : 0;
}

void
s3_came_on(struct s3_call *call)
{
	call->turns = (struct s3_turns){0};
	note_success(call);
}

/* ---- what an answer means ---- */

/* "PutObject builds/x.jar in bucket b"; malloc'd. */
static char *
subject(const struct s3_call *call)
{
	return format("%s%s%s in bucket %s", call->request.operation, call->key ? " " : "",
	              call->key ? call->key : "", call->s3->settings->bucket);
}

/* S3 says which region is right in a header or in the document. */
static bool
fail_region(const struct s3_call *call, const struct http_answer *answer,
            const struct s3_error *error, struct failure *why)
{
	const char *region = http_header(answer, "x-amz-bucket-region");
	scoped_free char *what = subject(call);
	scoped(text_done) struct text right = TEXT_INIT;
	if (!region)
		region = text_string(&error->region);
	text_add_printable(&right, region, strlen(region), false);
	return fail(why, FAILURE_WRONG_REGION,
	            "%.200s: %d %.80s: the bucket lies in region %.60s, not in %.60s: set "
	            "store.region%s",
	            what, answer->status, text_string(&error->code),
	            right.length ? text_string(&right) : "(the server does not say which)",
	            call->s3->settings->region,
	            call->s3->settings->endpoint ? " and store.endpoint" : "");
}

/* What we ask is as S3 has it, so a server that calls it wrong is another one, or has limits of its
 * own: nothing that a job could be blamed for. */
static void
blame_server(struct failure *why)
{
	scoped_free char *message = copy_string(why->message);
	if (why->code == FAILURE_REJECTED || why->code == FAILURE_CONFLICT)
		fail(why, FAILURE_REFUSED, "%s", message);
}

/* What was signed, or the session token, stands in documents about these. */
static bool
may_quote_keys(enum failure_code code)
{
	return code == FAILURE_UNAUTHORIZED || code == FAILURE_CREDENTIALS || code == FAILURE_CLOCK
	       || code == FAILURE_WRONG_REGION;
}

static bool
fail_answer(const struct s3_call *call, const struct http_answer *answer,
            const struct s3_error *error, struct failure *why)
{
	scoped_free char *what = subject(call);
	const struct aws_error told = {
	    .code = error->code.length ? text_string(&error->code) : NULL,
	    .message = error->message.length ? text_string(&error->message) : NULL};
	enum failure_code code = aws_failure_code(&told, answer->status);
	if (code == FAILURE_WRONG_REGION)
		fail_region(call, answer, error, why);
	else
		aws_fail(&told, answer, what, why);
	blame_server(why);
	if (code == FAILURE_ACCESS_DENIED && strings_equal(call->request.method, "HEAD")) {
		scoped_free char *message = copy_string(why->message);
		fail(why, code, "%s (of what is absent, too, unless s3:ListBucket is allowed)",
		     message);
	}
	if (!may_quote_keys(code))
		failure_set_details(why, text_string(&answer->body), answer->body.length);
	return false;
}

/* May these keys be the wrong ones by now? They are read anew for the next try, which is due at
 * once the first time. */
static bool
renew_keys(struct s3_call *call, const struct s3_error *error)
{
	const struct aws_error told = {.code = text_string(&error->code),
	                               .message = text_string(&error->message)};
	bool before = call->renewed;
	if (!aws_keys_expired(&told))
		return false;
	credentials_forget(call->s3->credentials);
	call->renewed = true;
	call->explaining = false;
	return !before;
}

/* ---- another try? ---- */

/* With the failure as the caller gets it. */
static void
end_call(struct s3_call *call, const struct http_answer *answer, const struct failure *why)
{
	http_done *done = call->request.done;
	void *data = call->request.done_data;
	free_call(call);
	done(data, answer, why);
}

bool
s3_is_passing(enum failure_code code)
{
	return code == FAILURE_NETWORK || code == FAILURE_STALLED || code == FAILURE_SERVER
	       || code == FAILURE_BAD_ANSWER;
}

/* Keys that were good: whoever replaces them may be late, or not be done yet. */
static bool
may_get_keys(const struct s3 *s3, enum failure_code code)
{
	return (code == FAILURE_CREDENTIALS || code == FAILURE_UNAUTHORIZED) && s3->had_keys;
}

/* When the next try is due; false: there is to be none. */
static bool
next_turn(const struct s3 *s3, struct s3_turns *turns, enum failure_code code, int64_t *ret_due)
{
	turns->fresh = code != FAILURE_SERVER;
	if ((!s3_is_passing(code) && !may_get_keys(s3, code))
	    || ++turns->tries >= s3->schedule.tries)
		return false;
	turns->backoff.first = s3->schedule.first;
	turns->backoff.cap = s3->schedule.cap;
	*ret_due = clock_ms() + backoff_next(&turns->backoff);
	return true;
}

/* The failure of one try: it waits for the next one, or ends. */
static void
fail_try(struct s3_call *call, const struct http_answer *answer, struct failure *why)
{
	call->explaining = false;
	if (call->request.single && s3_is_passing(why->code))
		note_trouble(call, why, clock_ms());
	if (!call->request.single && next_turn(call->s3, &call->turns, why->code, &call->due)
	    && call->due < call->late) {
		note_trouble(call, why, call->due);
		return;
	}
	if (call->turns.tries > 1)
		fail_within(why, "tried %u times", call->turns.tries);
	end_call(call, answer, why);
}

/* A HEAD's answer has no body: whether key or bucket is absent, which region is right, and what
 * else is wrong is in what a GET brings. On a connection of its own: servers forget that rule
 * for errors, and what comes after the headers would be taken for the next answer. */
static bool
must_explain(const struct s3_call *call, const struct http_answer *answer)
{
	return strings_equal(call->request.method, "HEAD") && !call->explaining
	       && !(call->request.absence_is_fine && answer->status == 404) && answer->status >= 300
	       && answer->status < 500 && answer->status != 429;
}

/* A good status: that of the answer to the GET of a failed HEAD says nothing, and a 200 may hold an
 * error. */
static bool
check_good(struct s3_call *call, const struct http_answer *answer, struct failure *why)
{
	scoped(s3_error_done) struct s3_error error = S3_ERROR_INIT;
	if (call->explaining) {
		scoped_free char *what = subject(call);
		return fail(why, FAILURE_SERVER, "%s: refused, then not", what);
	}
	if (s3_error_read(&error, &answer->body))
		return fail_answer(call, answer, &error, why);
	if (!call->request.check || call->request.check(call->request.data, answer, why))
		return true;
	scoped_free char *what = subject(call);
	return fail_within(why, "%s", what);
}

static void
on_answer(struct s3_call *call, const struct http_answer *answer)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped(s3_error_done) struct s3_error error = S3_ERROR_INIT;
	if (answer->status >= 200 && answer->status < 300) {
		call->s3->had_keys = true;
		if (check_good(call, answer, &why)) {
			note_success(call);
			end_call(call, answer, NULL);
		} else {
			fail_try(call, answer, &why);
		}
		return;
	}
	if (must_explain(call, answer)) {
		call->explaining = true;
		return;
	}
	s3_error_read(&error, &answer->body);
	if (renew_keys(call, &error))
		return;
	fail_answer(call, answer, &error, &why);
	fail_try(call, answer, &why);
}

static void
on_done(void *data, const struct http_answer *answer, const struct failure *broken)
{
	struct s3_call *call = data;
	call->http = NULL;
	if (answer)
		return on_answer(call, answer);
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_free char *what = subject(call);
	failure_copy(&why, broken);
	fail_within(&why, "%s", what);
	fail_try(call, NULL, &why);
}

/* ---- one try ---- */

static bool
has_type(const struct strings *headers)
{
	for (size_t i = 0; i < headers->count; i++)
		if (starts_with(headers->items[i], "Content-Type:"))
			return true;
	return false;
}

static void
add_headers(struct s3_call *call, struct strings *headers)
{
	const struct s3_request *request = &call->request;
	strings_addf(headers, "x-amz-content-sha256: %s", call->sha256);
	strings_add_all(headers, &call->headers);
	/* curl's own would be a form's. */
	if ((request->method[0] == 'P') && !has_type(&call->headers))
		strings_add(headers, "Content-Type: application/octet-stream");
	if (request->prepare)
		request->prepare(request->data, headers);
	if (call->explaining)
		strings_add(headers, "Range: bytes=0-0");
}

/* Signed with the keys and the time of now. */
static bool
begin(struct s3_call *call, const struct tick *tick, struct failure *why)
{
	struct s3 *s3 = call->s3;
	const struct s3_request *request = &call->request;
	const struct aws_keys *keys;
	scoped(strings_done) struct strings headers = STRINGS_INIT;
	if (!credentials_get(s3->credentials, tick, &keys, why))
		return false;
	const struct http_signature signature = aws_signature(keys, "s3", s3->settings->region);
	add_headers(call, &headers);
	const struct http_request http = {
	    .method = call->explaining ? "GET" : request->method,
	    .url = call->url,
	    .headers = &headers,
	    .body = request->body,
	    .file = request->file,
	    .body_length = request->length,
	    .body_stays = true,
	    .signature = &signature,
	    .ca_file = s3->settings->ca_file,
	    .stall_timeout = s3->settings->stall_timeout,
	    .fresh_connection = call->turns.fresh || request->fresh || call->explaining,
	    .take = call->explaining ? NULL : request->take,
	    .take_data = request->data,
	};
	call->http = http_start(s3->client, &http, on_done, call);
	return true;
}

static void
give_up(struct s3_call *call)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_free char *what = subject(call);
	fail(&why, FAILURE_STALLED, "%s: too slow: not done within its time", what);
	end_call(call, NULL, &why);
}

/* ---- working ---- */

static struct s3_call *
find_late(const struct s3 *s3, int64_t now)
{
	struct s3_call *call = s3->calls;
	while (call && now < call->late)
		call = call->next;
	return call;
}

static struct s3_call *
find_due(const struct s3 *s3, int64_t now)
{
	struct s3_call *call = s3->calls;
	while (call && (call->http || now < call->due))
		call = call->next;
	return call;
}

/* Each may start or end calls, so the list is looked through anew. */
static bool
start_due(struct s3 *s3, const struct tick *tick, struct failure *why)
{
	scoped(failure_done) struct failure keyless = FAILURE_INIT;
	struct s3_call *call;
	while ((call = find_late(s3, clock_ms())))
		give_up(call);
	while ((call = find_due(s3, clock_ms()))) {
		if (begin(call, tick, &keyless))
			continue;
		if (keyless.code == FAILURE_CANCELLED) {
			failure_copy(why, &keyless);
			return false;
		}
		fail_try(call, NULL, &keyless);
	}
	return true;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

bool
s3_work(struct s3 *s3, int64_t due, const struct tick *tick, struct failure *why)
{
	if (!start_due(s3, tick, why))
		return false;
	for (const struct s3_call *call = s3->calls; call; call = call->next)
		due = earlier(due, call->http ? call->late : call->due);
	bool good = http_work(s3->client, due, tick, why);
	tell_trouble(s3, tick);
	return good;
}

/* ---- one call ---- */

struct asking {
	struct http_answer *answer;
	struct failure why;
	bool over, good;
};

static void
copy_answer(struct http_answer *to, const struct http_answer *from)
{
	to->status = from->status;
	strings_add_all(&to->headers, &from->headers);
	text_add(&to->body, from->body.bytes, from->body.length);
}

static void
note_end(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct asking *asking = data;
	asking->over = true;
	asking->good = !why;
	if (answer)
		copy_answer(asking->answer, answer);
	if (why)
		failure_copy(&asking->why, why);
}

bool
s3_ask(struct s3 *s3, const struct s3_request *request, const struct tick *tick,
       struct http_answer *ret_answer, struct failure *why)
{
	struct asking asking = {.answer = ret_answer};
	struct s3_request asked = *request;
	asked.done = note_end;
	asked.done_data = &asking;
	struct s3_call *call = s3_start(s3, &asked);
	while (!asking.over)
		if (!s3_work(s3, INT64_MAX, tick, why)) {
			if (!asking.over)
				s3_cancel(&call);
			failure_done(&asking.why);
			return false;
		}
	if (!asking.good && why)
		failure_copy(why, &asking.why);
	failure_done(&asking.why);
	return asking.good;
}

bool
s3_turn(struct s3 *s3, struct s3_turns *turns, const struct tick *tick, struct failure *why)
{
	int64_t due;
	if (!next_turn(s3, turns, why->code, &due))
		return false;
	while (clock_ms() < due)
		if (!s3_work(s3, due, tick, why))
			return false;
	failure_clear(why);
	return true;
}

/* ---- the bucket ---- */

struct s3 *
s3_new(const struct store_settings *settings, const struct s3_schedule *schedule)
{
	struct s3 *s3 = allocate(sizeof *s3);
	s3->settings = settings;
	s3->schedule = *schedule;
	s3->client = http_client_new(NULL);
	s3->credentials = credentials_new(&settings->aws, s3->client);
	return s3;
}

void
s3_free(struct s3 **s3)
{
	if (!*s3)
		return;
	while ((*s3)->calls)
		free_call((*s3)->calls);
	credentials_free(&(*s3)->credentials);
	http_client_free(&(*s3)->client);
	failure_done(&(*s3)->trouble);
	free_pointer(s3);
}

const struct store_settings *
s3_settings(const struct s3 *s3)
{
	return s3->settings;
}
