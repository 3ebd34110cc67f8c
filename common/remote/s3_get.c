#include "s3_get.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"

#define RESTARTS 3           /* for an object that changes while it is read */
#define CAME_ON  (64 * 1024) /* bytes that make good for a failure */

struct getting {
	struct s3_store *store;
	const char *key;
	int fd;
	const struct tick *tick;

	struct s3_call *call; /* NULL: ended */
	struct failure why;   /* ended by; NONE: well */
	bool known;           /* head is: an answer has begun */
	struct s3_head head;
	struct digest *digest;
	int64_t done;    /* bytes written and hashed */
	int64_t counted; /* of those, when last told that it goes on */

	/* Of the answer that comes. */
	bool seen;       /* its headers were looked at */
	int64_t to_skip; /* bytes that are there already */
};

static void
getting_done(struct getting *getting)
{
	s3_cancel(&getting->call);
	digest_drop(&getting->digest);
	failure_done(&getting->why);
}

/* ---- asking for what is missing ---- */

static void
prepare(void *data, struct strings *headers)
{
	struct getting *getting = data;
	getting->seen = false;
	getting->to_skip = 0;
	if (!getting->known)
		return;
	if (!getting->store->unconditional)
		strings_addf(headers, "If-Match: %s", getting->head.etag);
	strings_addf(headers, "Range: bytes=%" PRId64 "-", getting->done);
}

/* ---- what comes ---- */

/* All of an object, wanted or because the server knows no ranges. */
static bool
see_whole(struct getting *getting, const struct http_answer *answer, struct failure *why)
{
	struct s3_head head = S3_HEAD_INIT;
	if (!s3_head_read(answer, &head, why))
		return false;
	if (getting->known && !strings_equal(head.etag, getting->head.etag))
		return fail(why, FAILURE_EXISTS, "another object lies there by now");
	if (getting->known && head.size != getting->head.size)
		return fail(why, FAILURE_BAD_ANSWER, "the object had another length before");
	getting->to_skip = getting->done;
	if (getting->known)
		return true;
	getting->known = true;
	getting->head = head;
	s3_expect(getting->call, getting->head.size);
	return true;
}

/* "bytes 10-99/100", what is missing and no other bytes. */
static bool
see_range(const struct getting *getting, const struct http_answer *answer, struct failure *why)
{
	const char *range = http_header(answer, "content-range");
	const char *etag = http_header(answer, "etag");
	scoped_free char *wanted = format("bytes %" PRId64 "-%" PRId64 "/%" PRId64, getting->done,
	                                  getting->head.size - 1, getting->head.size);
	if (!getting->known || !range || !strings_equal(range, wanted))
		return fail(why, FAILURE_BAD_ANSWER, "a range came that was not asked for: %.80s",
		            range ? range : "none");
	if (etag && !strings_equal(etag, getting->head.etag))
		return fail(why, FAILURE_EXISTS, "another object lies there by now");
	return true;
}

static bool
see(struct getting *getting, const struct http_answer *answer, struct failure *why)
{
	getting->seen = true;
	if (answer->status == 206)
		return see_range(getting, answer, why);
	return see_whole(getting, answer, why);
}

static bool
keep(struct getting *getting, const void *bytes, size_t length, struct failure *why)
{
	if (getting->done + (int64_t)length > getting->head.size)
		return fail(why, FAILURE_BAD_ANSWER, "more bytes came than the object has");
	digest_update(getting->digest, bytes, length);
	if (!write_all(getting->fd, bytes, length, why))
		return false;
	getting->done += (int64_t)length;
	if (getting->done - getting->counted >= CAME_ON) {
		getting->counted = getting->done;
		s3_came_on(getting->call);
	}
	return true;
}

static bool
take(void *data, const void *bytes, size_t length, struct failure *why)
{
	struct getting *getting = data;
	if (!getting->seen && !see(getting, s3_answer(getting->call), why))
		return false;
	size_t skipped = (int64_t)length < getting->to_skip ? length : (size_t)getting->to_skip;
	getting->to_skip -= (int64_t)skipped;
	return keep(getting, (const char *)bytes + skipped, length - skipped, why);
}

static bool
check(void *data, const struct http_answer *answer, struct failure *why)
{
	struct getting *getting = data;
	if (!getting->seen && !see(getting, answer, why))
		return false;
	return getting->done == getting->head.size
	       || fail(why, FAILURE_BAD_ANSWER, "%" PRId64 " bytes came, not %" PRId64,
	               getting->done, getting->head.size);
}

static void
end(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct getting *getting = data;
	(void)answer;
	getting->call = NULL;
	if (why)
		failure_copy(&getting->why, why);
}

/* ---- one reading ---- */

static bool
tell(void *data, int64_t done, int64_t total)
{
	const struct getting *getting = data;
	(void)done;
	(void)total;
	return tick_tell(getting->tick, getting->done, getting->known ? getting->head.size : 0);
}

static bool
read_object(struct getting *getting, struct failure *why)
{
	const struct tick tick = {.tell = tell, .data = getting};
	const struct s3_request request = {.operation = "GetObject",
	                                   .method = "GET",
	                                   .key = getting->key,
	                                   .prepare = prepare,
	                                   .take = take,
	                                   .check = check,
	                                   .data = getting,
	                                   .done = end,
	                                   .done_data = getting};
	getting->digest = digest_new();
	getting->call = s3_start(getting->store->s3, &request);
	while (getting->call)
		if (!s3_work(getting->store->s3, INT64_MAX, &tick, why))
			return fail_within(why, "%s", getting->key);
	if (getting->why.code == FAILURE_NONE)
		return true;
	failure_copy(why, &getting->why);
	return false;
}

static bool
get_once(struct getting *getting, struct s3_head *head, struct store_object *ret_object,
         struct failure *why)
{
	if (!read_object(getting, why))
		return false;
	*head = getting->head;
	*ret_object = (struct store_object){.size = getting->done};
	memcpy(ret_object->version, head->etag, sizeof head->etag);
	digest_finish(&getting->digest, ret_object->sha256);
	return true;
}

/* ---- again from the start ---- */

static bool
rewind_to(int fd, off_t start, struct failure *why)
{
	struct stat about;
	if (start < 0 || lseek(fd, start, SEEK_SET) < 0 || fstat(fd, &about) < 0
	    || (S_ISREG(about.st_mode) && ftruncate(fd, start) < 0))
		return fail_errno(why, "cannot begin anew with what comes from the store");
	return true;
}

/* Once more is enough to tell bytes that broke on the way from bytes that lie there broken. */
static bool
is_broken(const struct s3_head *head, const struct store_object *object)
{
	return head->sha256[0] && !strings_equal(head->sha256, object->sha256);
}

bool
s3_get_object(struct s3_store *store, const char *key, int fd, const struct tick *tick,
              struct s3_head *head, struct store_object *ret_object, struct failure *why)
{
	off_t start = lseek(fd, 0, SEEK_CUR);
	char before[SHA256_TEXT] = "";
	for (int i = 0; i < RESTARTS; i++) {
		scoped(getting_done) struct getting getting = {
		    .store = store, .key = key, .fd = fd, .tick = tick};
		if (i > 0 && !rewind_to(fd, start, why))
			return false;
		if (!get_once(&getting, head, ret_object, why)) {
			if (why->code != FAILURE_EXISTS)
				return false;
			continue;
		}
		if (!is_broken(head, ret_object) || strings_equal(before, ret_object->sha256))
			return true;
		memcpy(before, ret_object->sha256, SHA256_TEXT);
	}
	return fail(why, FAILURE_SERVER,
	            "%s: each time it is read it is another object or has other bytes", key);
}
