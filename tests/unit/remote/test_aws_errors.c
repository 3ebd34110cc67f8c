/* What AWS's error codes mean to us. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "remote/aws_errors.h"
#include "unit.h"

static const struct {
	const char *code, *message;
	int status;
	enum failure_code means;
	bool renew;
} rows[] = {
    {"NoSuchKey", NULL, 404, FAILURE_NOT_FOUND, false},
    {"NoSuchBucket", NULL, 404, FAILURE_NO_BUCKET, false},
    {"AccessDenied", "Access Denied", 403, FAILURE_ACCESS_DENIED, false},
    {"AccessDeniedException", NULL, 400, FAILURE_ACCESS_DENIED, false},
    {"com.amazonaws.sqs#QueueDoesNotExist", NULL, 400, FAILURE_NOT_FOUND, false},
    {"AWS.SimpleQueueService.NonExistentQueue", NULL, 400, FAILURE_NOT_FOUND, false},
    {"com.amazonaws.sqs#MessageNotInflight", NULL, 400, FAILURE_LEASE_LOST, false},
    {"com.amazon.coral.service#UnrecognizedClientException", NULL, 400, FAILURE_UNAUTHORIZED, true},
    {"com.amazon.coral.service#ExpiredTokenException:http://internal/", NULL, 400,
     FAILURE_CREDENTIALS, true},
    {"AWS.SimpleQueueService.NonExistentQueue;Sender", NULL, 400, FAILURE_NOT_FOUND, false},
    {"InvalidSignatureException", "Signature expired: 20261124T030937Z is now earlier", 403,
     FAILURE_CLOCK, false},
    {"InvalidSignatureException", "Signature not yet current: 20261124T030937Z is still", 403,
     FAILURE_CLOCK, false},
    {"InvalidSignatureException", "The request signature we calculated", 403, FAILURE_UNAUTHORIZED,
     true},
    {"InvalidSignatureException", NULL, 403, FAILURE_UNAUTHORIZED, true},
    {"InvalidSignatureException", "Credential should be scoped to a valid region.", 403,
     FAILURE_WRONG_REGION, false},
    {"SignatureDoesNotMatch", "Credential should be scoped to a valid region.", 403,
     FAILURE_WRONG_REGION, false},
    {"SignatureDoesNotMatch", "The request signature we calculated", 403, FAILURE_UNAUTHORIZED,
     true},
    {"RequestTimeTooSkewed", NULL, 403, FAILURE_CLOCK, false},
    {"AuthorizationHeaderMalformed", "the region 'us-east-1' is wrong", 400, FAILURE_WRONG_REGION,
     false},
    {"AuthorizationHeaderMalformed", "a non-empty Access Key must be provided", 400,
     FAILURE_UNAUTHORIZED, true},
    {"PermanentRedirect", NULL, 301, FAILURE_WRONG_REGION, false},
    {"IllegalLocationConstraintException", NULL, 400, FAILURE_WRONG_REGION, false},
    {"SlowDown", NULL, 503, FAILURE_SERVER, false},
    {"InternalError", "We encountered an internal error", 200, FAILURE_SERVER, false},
    {"ThrottlingException", NULL, 400, FAILURE_SERVER, false},
    {"com.amazonaws.sqs#KmsThrottled", NULL, 400, FAILURE_SERVER, false},
    {"com.amazonaws.sqs#KmsAccessDenied", NULL, 400, FAILURE_ACCESS_DENIED, false},
    {"com.amazonaws.sqs#KmsInvalidKeyUsage", NULL, 400, FAILURE_ACCESS_DENIED, false},
    {"com.amazonaws.sqs#KmsOptInRequired", NULL, 400, FAILURE_ACCESS_DENIED, false},
    {"com.amazonaws.sqs#RequestThrottled", NULL, 400, FAILURE_SERVER, false},
    {"com.amazonaws.sqs#OverLimit", NULL, 400, FAILURE_SERVER, false},
    {"XAmzContentSHA256Mismatch", NULL, 400, FAILURE_NETWORK, false},
    {"RequestTimeout", NULL, 400, FAILURE_NETWORK, false},
    {"PreconditionFailed", NULL, 412, FAILURE_EXISTS, false},
    {"ConditionalRequestConflict", NULL, 409, FAILURE_SERVER, false},
    {"InvalidParameterValue",
     "Reason: Message does not exist or is not available for visibility timeout change.", 400,
     FAILURE_LEASE_LOST, false},
    {"InvalidParameterValue", "Value for parameter WaitTimeSeconds is invalid", 400,
     FAILURE_REJECTED, false},
    {"NobodyKnowsThis", NULL, 400, FAILURE_REJECTED, false},
    {"NobodyKnowsThis", NULL, 500, FAILURE_SERVER, false},
    {"NobodyKnowsThis", NULL, 200, FAILURE_SERVER, false},
    {"Exception", NULL, 409, FAILURE_CONFLICT, false},
    {"", NULL, 404, FAILURE_NOT_FOUND, false},
    {NULL, NULL, 403, FAILURE_ACCESS_DENIED, false},
    {NULL, NULL, 301, FAILURE_WRONG_REGION, false},
    {NULL, NULL, 412, FAILURE_EXISTS, false},
    {NULL, NULL, 503, FAILURE_SERVER, false},
};

static void
test_codes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct aws_error error = {rows[i].code, rows[i].message};
		assert_int_equal(aws_failure_code(&error, rows[i].status), rows[i].means);
		assert_int_equal(aws_keys_expired(&error), rows[i].renew);
	}
}

/* An answer given by a server whose clock is so far ahead of ours. */
static void
add_date(struct http_answer *answer, int64_t ahead)
{
	time_t seconds = (time_t)((wall_ms() + ahead) / 1000);
	struct tm parts;
	char text[64];
	gmtime_r(&seconds, &parts);
	strftime(text, sizeof text, "date: %a, %d %b %Y %H:%M:%S GMT", &parts);
	strings_add(&answer->headers, text);
}

static void
test_clock_offset(void **state)
{
	(void)state;
	scoped(http_answer_done) struct http_answer answer = {.status = 403};
	assert_int_equal(aws_clock_offset(&answer), 0);
	add_date(&answer, 3600 * 1000);
	assert_true(llabs(aws_clock_offset(&answer) + 3600 * 1000) <= 2000);
}

static void
test_the_failure_names_the_offset(void **state)
{
	(void)state;
	scoped(http_answer_done) struct http_answer answer = {.status = 403};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	const struct aws_error error = {"RequestTimeTooSkewed",
	                                "The difference is\ttoo large.\n'a token'"};
	add_date(&answer, -7200 * 1000);
	assert_false(aws_fail(&error, &answer, "PUT s3://bucket/key", &why));
	assert_int_equal(why.code, FAILURE_CLOCK);
	static const char begin[] = "PUT s3://bucket/key: 403 RequestTimeTooSkewed: The difference "
				    "is\\x09too large.; this host's clock is 2h00m ahead";
	assert_memory_equal(why.message, begin, strlen(begin));
}

static void
test_the_failure_names_the_region(void **state)
{
	(void)state;
	scoped(http_answer_done) struct http_answer answer = {.status = 301};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	strings_add(&answer.headers, "x-amz-bucket-region: eu-west-1");
	assert_false(aws_fail(&(struct aws_error){0}, &answer, "HEAD s3://bucket", &why));
	assert_int_equal(why.code, FAILURE_WRONG_REGION);
	assert_string_equal(why.message, "HEAD s3://bucket: 301; the right region is eu-west-1");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_codes),
	    cmocka_unit_test(test_clock_offset),
	    cmocka_unit_test(test_the_failure_names_the_offset),
	    cmocka_unit_test(test_the_failure_names_the_region),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
