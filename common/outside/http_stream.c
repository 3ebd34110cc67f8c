/* An answer read as it comes, blocking: the multi interface driven by hand, so that the tick is
 * asked while waiting. */
#include <stdlib.h>
#include <string.h>

#include "http_private.h"

#define SLICE 200 /* ms between two ticks */

struct http_stream {
	CURLM *multi;
	struct transfer transfer;
	const struct tick *tick;
	struct text bytes; /* came, not read yet */
	size_t taken;      /* of those, read */
	bool paused;       /* curl holds back the rest until they are */
	bool ended;
	CURLcode result;
	int64_t received;
};

/* Bytes are kept only up to what one call brings; more waits in curl and the kernel. */
static size_t
on_bytes(char *bytes, size_t size, size_t count, void *data)
{
	struct http_stream *stream = data;
	if (stream->bytes.length > 0) {
		stream->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	text_add(&stream->bytes, bytes, size * count);
	return size * count;
}

static void
look_for_end(struct http_stream *stream)
{
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(stream->multi, &left));)
		if (message->msg == CURLMSG_DONE) {
			stream->ended = true;
			stream->result = message->data.result;
		}
}

/* Lets curl work, waits a slice if there was nothing to do. */
static bool
pump(struct http_stream *stream, struct failure *why)
{
	int running = 0;
	if (curl_multi_perform(stream->multi, &running) != CURLM_OK)
		return fail(why, FAILURE_INTERNAL, "%s: curl's state broke", stream->transfer.name);
	look_for_end(stream);
	if (stream->ended || stream->bytes.length > 0)
		return true;
	curl_multi_poll(stream->multi, NULL, 0, SLICE, NULL);
	if (!tick_tell(stream->tick, stream->received, 0))
		return fail(why, FAILURE_CANCELLED, "%s: stopped", stream->transfer.name);
	return true;
}

/* The first byte of the body, or the end, says that the headers are there. */
static bool
await_headers(struct http_stream *stream, struct failure *why)
{
	long status = 0;
	while (!stream->ended && stream->bytes.length == 0)
		if (!pump(stream, why))
			return false;
	if (stream->ended && stream->result != CURLE_OK)
		return transfer_fail(&stream->transfer, stream->result, why);
	curl_easy_getinfo(stream->transfer.easy, CURLINFO_RESPONSE_CODE, &status);
	stream->transfer.answer.status = (int)status;
	return true;
}

bool
http_open(const struct http_request *request, const struct tick *tick, struct http_stream **ret,
          struct failure *why)
{
	scoped(http_close) struct http_stream *stream = allocate(sizeof *stream);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	stream->tick = tick;
	stream->multi = curl_multi_init();
	if (!stream->multi)
		abort();
	transfer_init(&stream->transfer, request, on_bytes, stream);
	curl_multi_add_handle(stream->multi, stream->transfer.easy);
	if (!await_headers(stream, why))
		return false;
	*ret = take_pointer(&stream);
	return true;
}

const struct http_answer *
http_stream_answer(const struct http_stream *stream)
{
	return &stream->transfer.answer;
}

bool
http_stream_check(const struct http_stream *stream, struct failure *why)
{
	return transfer_check(&stream->transfer, &stream->transfer.answer, &stream->bytes, why);
}

static size_t
hand_out(struct http_stream *stream, void *buffer, size_t size)
{
	size_t left = stream->bytes.length - stream->taken;
	size_t length = left < size ? left : size;
	memcpy(buffer, stream->bytes.bytes + stream->taken, length);
	stream->taken += length;
	stream->received += (int64_t)length;
	if (stream->taken == stream->bytes.length) {
		text_clear(&stream->bytes);
		stream->taken = 0;
	}
	return length;
}

bool
http_read(struct http_stream *stream, void *buffer, size_t size, size_t *ret_length,
          struct failure *why)
{
	while (stream->bytes.length == 0 && !stream->ended) {
		if (stream->paused) {
			stream->paused = false;
			curl_easy_pause(stream->transfer.easy, CURLPAUSE_CONT);
			look_for_end(stream);
		} else if (!pump(stream, why)) {
			return false;
		}
	}
	if (stream->bytes.length == 0 && stream->result != CURLE_OK)
		return transfer_fail(&stream->transfer, stream->result, why);
	*ret_length = stream->bytes.length ? hand_out(stream, buffer, size) : 0;
	return true;
}

void
http_close(struct http_stream **stream)
{
	if (!*stream)
		return;
	curl_multi_remove_handle((*stream)->multi, (*stream)->transfer.easy);
	transfer_done(&(*stream)->transfer);
	curl_multi_cleanup((*stream)->multi);
	text_done(&(*stream)->bytes);
	free_pointer(stream);
}
