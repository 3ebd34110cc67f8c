#include "s3_get.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"

#define FIRST    ((int64_t)32 << 20) /* bytes of the first range: all of most objects */
#define RANGE    ((int64_t)16 << 20) /* of the others, while they are not too many: */
#define PIECES   4096
#define CHUNK    ((size_t)256 << 10)  /* hashed between two looks at the connections */
#define RESTARTS 3                    /* for an object that changes while it is read */
#define CAME_ON  ((int64_t)64 * 1024) /* bytes that make good for a failure */

/* A range of the object, or all of it. */
struct piece {
	struct getting *getting;
	struct s3_call *call; /* under way */
	int64_t start,
	    end;         /* in the object; end: after its last byte, or the most that is wanted */
	int64_t done;    /* bytes written */
	int64_t counted; /* of those, when last told that it goes on */
	int64_t hashed;  /* of those */

	/* Of the answer that comes. */
	bool seen;       /* its headers were looked at */
	int64_t to_skip; /* bytes that are there already */
};

struct getting {
	struct s3_store *store;
	const char *key;
	int fd;
	off_t base;  /* where in it the object begins; -1: it is no file, and bytes go one after
	                another */
	bool ranges; /* are asked for: several may be under way */
	bool empty;  /* a range of nothing was refused */
	const struct tick *tick;

	struct failure why; /* of the first piece that failed for good */
	bool known;         /* head is: an answer has begun */
	struct s3_head head;
	struct piece first;
	struct piece *others; /* once it is known that there are some */
	size_t count;         /* of all pieces */
	size_t started, underway;
	size_t hashing; /* piece that is to be hashed next */
	struct digest *digest;
	int64_t done; /* bytes written, of all */
};

static struct piece *
piece_of(struct getting *getting, size_t which)
{
	return which == 0 ? &getting->first : &getting->others[which - 1];
}

static void
getting_done(struct getting *getting)
{
	for (size_t i = 0; i < getting->started; i++)
		s3_cancel(&piece_of(getting, i)->call);
	free(getting->others);
	digest_drop(&getting->digest);
	failure_done(&getting->why);
}

/* ---- asking for what is missing ---- */

static void
prepare(void *data, struct strings *headers)
{
	struct piece *piece = data;
	const struct getting *getting = piece->getting;
	piece->seen = false;
	piece->to_skip = 0;
	if (getting->known)
		strings_addf(headers, "If-Match: %s", getting->head.etag);
	if (getting->ranges)
		strings_addf(headers, "Range: bytes=%" PRId64 "-%" PRId64,
		             piece->start + piece->done, piece->end - 1);
	else if (getting->known)
		strings_addf(headers, "Range: bytes=%" PRId64 "-", piece->done);
}

/* ---- what comes ---- */

/* The first answer, or one that must be of the same object. */
static bool
know(struct getting *getting, const struct s3_head *head, struct failure *why)
{
	if (getting->known && !strings_equal(head->etag, getting->head.etag))
		return fail(why, FAILURE_EXISTS, "another object lies there by now");
	if (getting->known && head->size != getting->head.size)
		return fail(why, FAILURE_BAD_ANSWER, "the object had another length before");
	getting->known = true;
	getting->head = *head;
	return true;
}

/* All of an object: wanted so, or by a server that knows no ranges. */
static bool
see_whole(struct piece *piece, const struct http_answer *answer, struct failure *why)
{
	struct getting *getting = piece->getting;
	struct s3_head head;
	bool expected = getting->known;
	if (piece != &getting->first || getting->count > 1)
		return fail(why, FAILURE_BAD_ANSWER, "a range was wanted, not all of it");
	if (!s3_head_read(answer, &head, why) || !know(getting, &head, why))
		return false;
	getting->ranges = false;
	piece->end = head.size;
	piece->to_skip = piece->done;
	if (!expected)
		s3_expect(piece->call, head.size);
	return true;
}

/* "bytes 10-99/100" */
static bool
read_range(const char *text, int64_t *ret_from, int64_t *ret_to, int64_t *ret_size)
{
	int end = 0;
	return text
	       && sscanf(text, "bytes %" SCNd64 "-%" SCNd64 "/%" SCNd64 "%n", ret_from, ret_to,
	                 ret_size, &end)
	              == 3
	       && text[end] == '\0';
}

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What lies beyond the first piece. */
static void
divide(struct getting *getting)
{
	int64_t size = getting->head.size, range = RANGE;
	if (getting->count > 1 || !getting->ranges || size <= getting->first.end)
		return;
	while (size / range >= PIECES)
		range *= 2;
	size_t more = (size_t)((size - getting->first.end + range - 1) / range);
	getting->others = allocate(more * sizeof *getting->others);
	getting->count = 1 + more;
	/* Writing costs a third less where the blocks are there; where that cannot be, no more. */
	fallocate(getting->fd, FALLOC_FL_KEEP_SIZE, getting->base, size);
	for (size_t i = 0; i < more; i++) {
		int64_t from = getting->first.end + (int64_t)i * range;
		getting->others[i] = (struct piece){
		    .getting = getting, .start = from, .end = smaller(from + range, size)};
	}
}

/* What is missing and no other bytes. */
static bool
see_range(struct piece *piece, const struct http_answer *answer, struct failure *why)
{
	struct getting *getting = piece->getting;
	const char *range = http_header(answer, "content-range");
	struct s3_head head;
	int64_t from, to, size;
	if ((!getting->ranges && !getting->known) || !read_range(range, &from, &to, &size)
	    || from != piece->start + piece->done || to != smaller(piece->end, size) - 1)
		return fail(why, FAILURE_BAD_ANSWER, "a range came that was not asked for: %.80s",
		            range ? range : "none");
	if (!s3_head_read(answer, &head, why))
		return false;
	head.size = size;
	if (!know(getting, &head, why))
		return false;
	piece->end = to + 1;
	divide(getting);
	return true;
}

static bool
see(struct piece *piece, const struct http_answer *answer, struct failure *why)
{
	piece->seen = true;
	return answer->status == 206 ? see_range(piece, answer, why)
	                             : see_whole(piece, answer, why);
}

static bool
write_piece(const struct piece *piece, const char *bytes, size_t length, struct failure *why)
{
	const struct getting *getting = piece->getting;
	off_t at = getting->base + piece->start + piece->done;
	while (length > 0) {
		ssize_t put = getting->base < 0 ? write(getting->fd, bytes, length)
		                                : pwrite(getting->fd, bytes, length, at);
		if (put < 0 && errno != EINTR)
			return fail_errno(why, "cannot write what comes from the store");
		if (put > 0) {
			bytes += put;
			at += put;
			length -= (size_t)put;
		}
	}
	return true;
}

static bool
keep(struct piece *piece, const char *bytes, size_t length, struct failure *why)
{
	struct getting *getting = piece->getting;
	bool in_turn = piece == piece_of(getting, getting->hashing) && piece->hashed == piece->done;
	if (piece->start + piece->done + (int64_t)length > piece->end)
		return fail(why, FAILURE_BAD_ANSWER, "more bytes came than were asked for");
	if (!write_piece(piece, bytes, length, why))
		return false;
	if (in_turn) {
		digest_update(getting->digest, bytes, length);
		piece->hashed += (int64_t)length;
	}
	piece->done += (int64_t)length;
	getting->done += (int64_t)length;
	if (piece->done - piece->counted >= CAME_ON) {
		piece->counted = piece->done;
		s3_came_on(piece->call);
	}
	return true;
}

static bool
take(void *data, const void *bytes, size_t length, struct failure *why)
{
	struct piece *piece = data;
	if (!piece->seen && !see(piece, s3_answer(piece->call), why))
		return false;
	size_t skipped = (size_t)smaller((int64_t)length, piece->to_skip);
	piece->to_skip -= (int64_t)skipped;
	return keep(piece, (const char *)bytes + skipped, length - skipped, why);
}

static bool
check(void *data, const struct http_answer *answer, struct failure *why)
{
	struct piece *piece = data;
	if (!piece->seen && !see(piece, answer, why))
		return false;
	int64_t wanted = piece->end - piece->start;
	return piece->done == wanted
	       || fail(why, FAILURE_BAD_ANSWER, "%" PRId64 " bytes came, not %" PRId64, piece->done,
	               wanted);
}

static void
end(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct piece *piece = data;
	struct getting *getting = piece->getting;
	piece->call = NULL;
	getting->empty = answer && answer->status == 416 && !getting->known;
	getting->underway--;
	if (why && getting->why.code == FAILURE_NONE)
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

static void
tell_trouble(void *data, const struct failure *why, int64_t wait)
{
	const struct getting *getting = data;
	tick_trouble(getting->tick, why, wait);
}

static void
start(struct getting *getting)
{
	struct piece *piece = piece_of(getting, getting->started);
	const struct s3_request request = {.operation = "GetObject",
	                                   .method = "GET",
	                                   .key = getting->key,
	                                   .prepare = prepare,
	                                   .take = take,
	                                   .check = check,
	                                   .data = piece,
	                                   .done = end,
	                                   .done_data = piece};
	piece->call = s3_start(getting->store->s3, &request);
	if (getting->ranges)
		s3_expect(piece->call, piece->end - piece->start);
	getting->started++;
	getting->underway++;
}

/* Of what came before its turn, and so lies in the file only. *ret_more: there may be more. */
static bool
hash_some(struct getting *getting, bool *ret_more, struct failure *why)
{
	char bytes[CHUNK];
	struct piece *piece = piece_of(getting, getting->hashing);
	size_t length = (size_t)smaller(piece->done - piece->hashed, CHUNK);
	*ret_more = length > 0 || piece->start + piece->done == piece->end;
	if (length > 0) {
		ssize_t got = pread(getting->fd, bytes, length,
		                    getting->base + piece->start + piece->hashed);
		if (got <= 0)
			return fail_errno(why, "cannot read again what came from the store");
		digest_update(getting->digest, bytes, (size_t)got);
		piece->hashed += got;
	} else if (*ret_more && !piece->call) {
		getting->hashing++;
	} else {
		*ret_more = false;
	}
	return true;
}

static bool
is_over(const struct getting *getting)
{
	return getting->why.code != FAILURE_NONE || getting->hashing == getting->count;
}

static bool
read_object(struct getting *getting, struct failure *why)
{
	struct s3 *s3 = getting->store->s3;
	const struct tick tick = {.tell = tell, .trouble = tell_trouble, .data = getting};
	size_t connections = (size_t)s3_settings(s3)->concurrency;
	getting->digest = digest_new();
	while (!is_over(getting)) {
		bool more;
		while (getting->started < getting->count && getting->underway < connections)
			start(getting);
		if (!hash_some(getting, &more, why)
		    || !s3_work(s3, more ? 0 : INT64_MAX, &tick, why))
			return fail_within(why, "%s", getting->key);
	}
	if (getting->why.code == FAILURE_NONE)
		return true;
	failure_copy(why, &getting->why);
	return false;
}

static bool
get_once(struct getting *getting, struct s3_head *head, struct store_object *ret_object,
         struct failure *why)
{
	getting->count = 1;
	getting->first = (struct piece){.getting = getting, .end = FIRST};
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
is_file(int fd)
{
	struct stat about;
	return fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}

static bool
rewind_to(int fd, off_t start_of, struct failure *why)
{
	if (start_of < 0 || lseek(fd, start_of, SEEK_SET) < 0
	    || (is_file(fd) && ftruncate(fd, start_of) < 0))
		return fail_errno(why, "cannot begin anew with what comes from the store");
	return true;
}

/* Once more is enough to tell bytes that broke on the way from bytes that lie there broken. */
static bool
is_broken(const struct s3_head *head, const struct store_object *object)
{
	return head->sha256[0] && !strings_equal(head->sha256, object->sha256);
}

/* After what was written, as write(2) would leave it. */
static bool
move_on(int fd, off_t to, struct failure *why)
{
	return !is_file(fd) || lseek(fd, to, SEEK_SET) >= 0
	       || fail_errno(why, "cannot seek in what comes from the store");
}

bool
s3_get_object(struct s3_store *store, const char *key, int fd, const struct tick *tick,
              struct s3_head *head, struct store_object *ret_object, struct failure *why)
{
	off_t base = lseek(fd, 0, SEEK_CUR);
	char before[SHA256_TEXT] = "";
	bool ranges = is_file(fd) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
	for (int i = 0; i < RESTARTS; i++) {
		scoped(getting_done) struct getting getting = {
		    .store = store, .key = key, .fd = fd, .ranges = ranges, .tick = tick};
		getting.base = is_file(fd) ? base : -1;
		if (i > 0 && !rewind_to(fd, base, why))
			return false;
		if (!get_once(&getting, head, ret_object, why)) {
			if (why->code != FAILURE_EXISTS && !getting.empty)
				return false;
			ranges = ranges && !getting.empty;
			continue;
		}
		if (!is_broken(head, ret_object) || strings_equal(before, ret_object->sha256))
			return move_on(fd, base + ret_object->size, why);
		memcpy(before, ret_object->sha256, SHA256_TEXT);
	}
	return fail(why, FAILURE_SERVER,
	            "%s: each time it is read it is another object or has other bytes", key);
}
