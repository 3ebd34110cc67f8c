#include "sqs_message.h"

#include <string.h>

#include "base/units.h"
#include "outside/digest.h"
#include "outside/json.h"

#define MOST_RECEIVES 1000000 /* that are told apart */

/* As the queue counts, approximately; 1 where it does not. */
static int
count_of_receives(const struct json_t *message)
{
	const char *text = js_string(js_member(message, "Attributes"), "ApproximateReceiveCount");
	int64_t count;
	if (!text || !number_parse(text, &count, NULL) || count < 1)
		return 1;
	return count < MOST_RECEIVES ? (int)count : MOST_RECEIVES;
}

static bool
is_whole(const struct json_t *message, const char *body)
{
	const char *wanted = js_string(message, "MD5OfBody");
	char got[MD5_TEXT];
	return !wanted || !digest_md5(body, strlen(body), got) || strings_equal(got, wanted);
}

bool
sqs_message_read(const struct json_t *message, const struct sqs_sender *sender,
                 struct queue_message *ret, struct failure *why)
{
	const char *id = js_string(message, "MessageId"), *body = js_string(message, "Body");
	const char *handle = js_string(message, "ReceiptHandle");
	if (!id || !body || !handle)
		return fail(why, FAILURE_BAD_ANSWER, "queue %s: a message lacks a field",
		            sender->name);
	if (!is_whole(message, body))
		return fail(why, FAILURE_BAD_ANSWER, "queue %s: a message does not match its MD5",
		            sender->name);
	*ret = (struct queue_message){.body = copy_string(body),
	                              .id = copy_string(id),
	                              .receipt = format("%s %s", sender->url, handle),
	                              .queue = copy_string(sender->name),
	                              .attempt = count_of_receives(message)};
	return true;
}
