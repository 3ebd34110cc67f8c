#include "remote/aws_errors.h"

#include <string.h>

#include "base/clock.h"
#include "base/units.h"

#define EXCEPTION     "Exception"
#define MESSAGE_LIMIT 200

struct row {
	const char *code;    /* without what stands around it */
	const char *message; /* the row is for messages that hold this; NULL: for all others */
	enum failure_code means;
	bool renew; /* other keys may help */
};

/* Rows of one code with a message stand before the one without. */
static const struct row rows[] = {
    {"NoSuchBucket", NULL, FAILURE_NO_BUCKET, false},
    {"NoSuchKey", NULL, FAILURE_NOT_FOUND, false},
    {"NoSuchUpload", NULL, FAILURE_NOT_FOUND, false},

    {"AccessDenied", NULL, FAILURE_ACCESS_DENIED, false},
    {"AllAccessDisabled", NULL, FAILURE_ACCESS_DENIED, false},
    {"AccountProblem", NULL, FAILURE_ACCESS_DENIED, false},
    {"KmsAccessDenied", NULL, FAILURE_ACCESS_DENIED, false},
    {"KmsDisabled", NULL, FAILURE_ACCESS_DENIED, false},
    {"KmsInvalidKeyUsage", NULL, FAILURE_ACCESS_DENIED, false},
    {"KmsInvalidState", NULL, FAILURE_ACCESS_DENIED, false},
    {"KmsNotFound", NULL, FAILURE_ACCESS_DENIED, false},
    {"KmsOptInRequired", NULL, FAILURE_ACCESS_DENIED, false},
    {"NotSignedUp", NULL, FAILURE_ACCESS_DENIED, false},
    {"OptInRequired", NULL, FAILURE_ACCESS_DENIED, false},

    {"ExpiredToken", NULL, FAILURE_CREDENTIALS, true},
    {"InvalidToken", NULL, FAILURE_CREDENTIALS, true},
    {"TokenRefreshRequired", NULL, FAILURE_CREDENTIALS, true},
    {"InvalidAccessKeyId", NULL, FAILURE_UNAUTHORIZED, true},
    {"InvalidClientTokenId", NULL, FAILURE_UNAUTHORIZED, true},
    {"UnrecognizedClient", NULL, FAILURE_UNAUTHORIZED, true},
    {"MissingAuthenticationToken", NULL, FAILURE_UNAUTHORIZED, true},

    {"RequestTimeTooSkewed", NULL, FAILURE_CLOCK, false},
    {"RequestExpired", NULL, FAILURE_CLOCK, false},
    {"InvalidSignature", "ignature expired", FAILURE_CLOCK, false},
    {"InvalidSignature", "not yet current", FAILURE_CLOCK, false},
    {"InvalidSignature", "should be scoped to", FAILURE_WRONG_REGION, false},
    {"InvalidSignature", NULL, FAILURE_UNAUTHORIZED, true},
    {"SignatureDoesNotMatch", "ignature expired", FAILURE_CLOCK, false},
    {"SignatureDoesNotMatch", "not yet current", FAILURE_CLOCK, false},
    {"SignatureDoesNotMatch", "should be scoped to", FAILURE_WRONG_REGION, false},
    {"SignatureDoesNotMatch", NULL, FAILURE_UNAUTHORIZED, true},

    {"AuthorizationHeaderMalformed", "region", FAILURE_WRONG_REGION, false},
    {"AuthorizationHeaderMalformed", NULL, FAILURE_UNAUTHORIZED, true},
    {"IllegalLocationConstraint", NULL, FAILURE_WRONG_REGION, false},
    {"PermanentRedirect", NULL, FAILURE_WRONG_REGION, false},
    {"TemporaryRedirect", NULL, FAILURE_WRONG_REGION, false},

    {"PreconditionFailed", NULL, FAILURE_EXISTS, false},
    {"ConditionalRequestConflict", NULL, FAILURE_SERVER, false},
    {"OperationAborted", NULL, FAILURE_SERVER, false},

    {"BadDigest", NULL, FAILURE_NETWORK, false},
    {"IncompleteBody", NULL, FAILURE_NETWORK, false},
    {"InvalidPart", NULL, FAILURE_SERVER, false},
    {"RequestTimeout", NULL, FAILURE_NETWORK, false},
    {"XAmzContentSHA256Mismatch", NULL, FAILURE_NETWORK, false},

    {"EntityTooLarge", NULL, FAILURE_REJECTED, false},
    {"NotImplemented", NULL, FAILURE_REJECTED, false},

    {"InternalError", NULL, FAILURE_SERVER, false},
    {"KmsThrottled", NULL, FAILURE_SERVER, false},
    {"OverLimit", NULL, FAILURE_SERVER, false},
    {"RequestLimitExceeded", NULL, FAILURE_SERVER, false},
    {"RequestThrottled", NULL, FAILURE_SERVER, false},
    {"ServiceUnavailable", NULL, FAILURE_SERVER, false},
    {"SlowDown", NULL, FAILURE_SERVER, false},
    {"Throttling", NULL, FAILURE_SERVER, false},
    {"TooManyRequests", NULL, FAILURE_SERVER, false},

    {"NonExistentQueue", NULL, FAILURE_NOT_FOUND, false},
    {"QueueDeletedRecently", NULL, FAILURE_NOT_FOUND, false},
    {"QueueDoesNotExist", NULL, FAILURE_NOT_FOUND, false},

    {"MessageNotInflight", NULL, FAILURE_LEASE_LOST, false},
    {"ReceiptHandleIsInvalid", NULL, FAILURE_LEASE_LOST, false},
    {"InvalidParameterValue", "not available for visibility timeout", FAILURE_LEASE_LOST, false},
    {"InvalidParameterValue", "receipt handle has expired", FAILURE_LEASE_LOST, false},
};

/* Where the name begins, and how long it is: "com.amazonaws.sqs#NAMEException:http://..." */
static const char *
bare_name(const char *code, size_t *ret_length)
{
	const char *hash = strrchr(code, '#');
	const char *name = hash ? hash + 1 : code;
	size_t length = strcspn(name, ":;"), ending = strlen(EXCEPTION);
	const char *dot = memrchr(name, '.', length);
	if (dot) {
		length -= (size_t)(dot + 1 - name);
		name = dot + 1;
	}
	if (length > ending && strncmp(name + length - ending, EXCEPTION, ending) == 0)
		length -= ending;
	*ret_length = length;
	return name;
}

static const struct row *
find_row(const struct aws_error *error)
{
	size_t length = 0;
	const char *message = error->message;
	const char *name = error->code ? bare_name(error->code, &length) : NULL;
	for (size_t i = 0; name && i < sizeof rows / sizeof *rows; i++) {
		const struct row *row = &rows[i];
		bool named = strlen(row->code) == length && !strncmp(row->code, name, length);
		if (named && (!row->message || (message && strstr(message, row->message))))
			return row;
	}
	return NULL;
}

static enum failure_code
code_from_status(int status)
{
	switch (status) {
	case 301:
	case 307:
		return FAILURE_WRONG_REGION;
	case 403:
		return FAILURE_ACCESS_DENIED;
	case 412:
		return FAILURE_EXISTS;
	default:
		return status < 300 ? FAILURE_SERVER : http_failure_code(status);
	}
}

enum failure_code
aws_failure_code(const struct aws_error *error, int status)
{
	const struct row *row = find_row(error);
	return row ? row->means : code_from_status(status);
}

bool
aws_keys_expired(const struct aws_error *error)
{
	const struct row *row = find_row(error);
	return row && row->renew;
}

int64_t
aws_clock_offset(const struct http_answer *answer)
{
	int64_t date = http_date(answer);
	return date ? wall_ms() - date : 0;
}

/* What is worth saying beside the server's own words; malloc'd. */
static char *
advice(enum failure_code code, const struct http_answer *answer)
{
	const char *region = http_header(answer, "x-amz-bucket-region");
	scoped_free char *offset = offset_rough(aws_clock_offset(answer));
	if (code == FAILURE_CLOCK)
		return format("; this host's clock is %s the server's", offset);
	if (code == FAILURE_WRONG_REGION && region)
		return format("; the right region is %.64s", region);
	return copy_string("");
}

bool
aws_fail(const struct aws_error *error, const struct http_answer *answer, const char *what,
         struct failure *why)
{
	enum failure_code code = aws_failure_code(error, answer->status);
	scoped_free char *more = advice(code, answer);
	/* Further lines of a message quote what was signed, a session token among it. */
	const char *message = error->message ? error->message : "";
	int length = (int)strcspn(message, "\r\n");
	scoped_free char *told = format("%.80s%s%.*s", error->code ? error->code : "",
	                                error->code && length ? ": " : "",
	                                length < MESSAGE_LIMIT ? length : MESSAGE_LIMIT, message);
	scoped(text_done) struct text line = TEXT_INIT;
	text_add_printable(&line, told, strlen(told), false);
	return fail(why, code, "%.160s: %d%s%s%s", what, answer->status, line.length ? " " : "",
	            text_string(&line), more);
}
