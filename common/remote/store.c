#include "remote/store.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "remote/store_body.h"

#define KEY_LIMIT       1024
#define COMPONENT_LIMIT 200

static const struct store_body *const bodies[] = {&store_directory, &store_s3};
#define BODIES (sizeof bodies / sizeof *bodies)

#define AT(field) offsetof(struct store_settings, field)

static const struct setting rows[] = {
    {.name = "store.type",
     .type = SETTING_CHOICE,
     .offset = AT(type),
     .standard = "directory",
     .choices = "directory s3",
     .fixed = true,
     .help = "Where jars, models and results lie: directory is one on this machine, s3 a bucket of "
             "Amazon S3 or of a server that speaks like it."},
    {.name = "store.path",
     .type = SETTING_PATH,
     .offset = AT(path),
     .standard = "/var/lib/moolloy-workers/store",
     .fixed = true,
     .help = "The store's directory; the dashboard and the workers must name the same one."},
    {.name = "store.bucket",
     .type = SETTING_STRING,
     .offset = AT(bucket),
     .fixed = true,
     .help = "For store.type s3: the bucket. The keys must be allowed s3:GetObject, s3:PutObject, "
             "s3:AbortMultipartUpload, s3:ListBucket and s3:ListBucketMultipartUploads. A "
             "lifecycle rule that ends incomplete multipart uploads takes away what dead workers "
             "leave."},
    {.name = "store.region",
     .type = SETTING_STRING,
     .offset = AT(region),
     .standard = "us-east-1",
     .fixed = true,
     .help = "Where the bucket lies; us-east-1 suits most servers that have no regions."},
    {.name = "store.endpoint",
     .type = SETTING_STRING,
     .offset = AT(endpoint),
     .fixed = true,
     .help = "Address of the S3 server, http or https, without a slash at the end; empty: "
             "Amazon's own for the region."},
    {.name = "store.path-style",
     .type = SETTING_CHOICE,
     .offset = AT(path_style),
     .standard = "auto",
     .choices = "auto yes no",
     .fixed = true,
     .help = "Does the bucket's name stand in the path of addresses (yes) or before the host's "
             "name (no)? auto: in the path if store.endpoint is set or the name has a dot."},
    {.name = "store.prefix",
     .type = SETTING_STRING,
     .offset = AT(prefix),
     .fixed = true,
     .help = "What stands before every key in the bucket, and a slash after it, for a bucket that "
             "holds other things too."},
    {.name = "store.ca-file",
     .type = SETTING_PATH,
     .offset = AT(ca_file),
     .fixed = true,
     .help = "PEM file of the authorities to trust for store.endpoint; empty: the system's."},
    {.name = "store.part-size",
     .type = SETTING_SIZE,
     .offset = AT(part_size),
     .standard = "12MiB",
     .min = (int64_t)5 << 20,
     .max = (int64_t)1 << 30,
     .fixed = true,
     .help = "What is larger than 16MiB goes into the bucket in parts of this size, at most "
             "10,000 of them; a file, in parts of at least this size. A stream, such as a result, "
             "takes (store.concurrency + 1) times as much memory, 16MiB at least."},
    {.name = "store.concurrency",
     .type = SETTING_NUMBER,
     .offset = AT(concurrency),
     .standard = "2",
     .min = 1,
     .max = 16,
     .fixed = true,
     .help = "How many parts of an object are under way at a time."},
    {.name = "store.stall-timeout",
     .type = SETTING_DURATION,
     .offset = AT(stall_timeout),
     .standard = "60s",
     .min = 1000,
     .max = 3600000,
     .fixed = true,
     .help = "A connection to the S3 server that moves no byte for so long is given up, and the "
             "request tried again."},
    {.name = "aws.access-key-file",
     .type = SETTING_SECRET,
     .offset = AT(aws.access_key),
     .help = "The id of the access key for S3 and SQS: file whose first line it is; a name without "
             "a slash is a systemd credential. Empty, with aws.secret-key-file: the keys come from "
             "the environment, aws.credentials-file, the systemd credential aws-credentials, the "
             "container's endpoint or the EC2 instance's role, whichever of these is there first."},
    {.name = "aws.secret-key-file",
     .type = SETTING_SECRET,
     .offset = AT(aws.secret_key),
     .help = "The secret of that access key, in the same way."},
    {.name = "aws.session-token-file",
     .type = SETTING_SECRET,
     .offset = AT(aws.session_token),
     .help = "The session token, in the same way, where that key is a temporary one."},
    {.name = "aws.credentials-file",
     .type = SETTING_PATH,
     .offset = AT(aws.credentials_file),
     .help = "File of access keys as the AWS tools write it; empty: AWS_SHARED_CREDENTIALS_FILE, "
             "else .aws/credentials in the home directory."},
    {.name = "aws.profile",
     .type = SETTING_STRING,
     .offset = AT(aws.profile),
     .help = "The section of that file, or of the systemd credential, to take; empty: AWS_PROFILE, "
             "else default."},
};

const struct settings store_settings_table = {.rows = rows, .count = sizeof rows / sizeof *rows};

static const struct store_body *
find_body(const char *type, struct failure *why)
{
	for (size_t i = 0; i < BODIES; i++)
		if (strings_equal(bodies[i]->type, type))
			return bodies[i];
	fail(why, FAILURE_CONFIGURATION, "store.type: unknown type '%s'", type);
	return NULL;
}

bool
store_check(const struct store_settings *settings, struct failure *why)
{
	const struct store_body *body = find_body(settings->type, why);
	return body && aws_settings_check(&settings->aws, why)
	       && (!body->check || body->check(settings, why));
}

char *
store_server(const struct store_settings *settings)
{
	const struct store_body *body = find_body(settings->type, NULL);
	return body && body->server ? body->server(settings) : NULL;
}

bool
store_open(const struct store_settings *settings, struct store **ret, struct failure *why)
{
	const struct store_body *body = find_body(settings->type, why);
	return body && body->open(settings, ret, why);
}

void
store_set_tick(struct store *store, const struct tick *tick)
{
	store->tick = *tick;
}

void
store_close(struct store **store)
{
	if (*store) {
		free_pointer(&(*store)->description);
		(*store)->body->close(*store);
	}
	*store = NULL;
}

const char *
store_describe(const struct store *store)
{
	return store->description;
}

bool
store_is_local(const struct store *store)
{
	return store->body->local;
}

/* Of harmless characters, not hidden, not ".", not "..", and a file name with any ending. */
static bool
is_component(const char *text, size_t length)
{
	static const char harmless[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	return length > 0 && length <= COMPONENT_LIMIT && text[0] != '.'
	       && strspn(text, harmless) >= length;
}

/* "builds/x.jar" */
static bool
check_key(const char *key, struct failure *why)
{
	for (const char *at = key; strlen(key) <= KEY_LIMIT;) {
		size_t length = strcspn(at, "/");
		if (!is_component(at, length))
			break;
		if (!at[length])
			return true;
		at += length + 1;
	}
	return fail(why, FAILURE_REJECTED, "'%.80s' is no valid key of a store", key);
}

bool
store_head(struct store *store, const char *key, struct store_object *ret_object,
           struct failure *why)
{
	return check_key(key, why) && store->body->head(store, key, ret_object, why);
}

bool
store_get(struct store *store, const char *key, int fd, const struct tick *tick,
          struct store_object *ret_object, struct failure *why)
{
	return check_key(key, why) && store->body->get(store, key, fd, tick, ret_object, why);
}

bool
store_open_object(struct store *store, const char *key, const struct tick *tick, int *ret_fd,
                  struct failure *why)
{
	return check_key(key, why) && store->body->open_object(store, key, tick, ret_fd, why);
}

bool
store_set_sha256(struct store *store, const char *key, const char *sha256, struct failure *why)
{
	return check_key(key, why) && store->body->set_sha256(store, key, sha256, why);
}

bool
store_upload_begin(struct store *store, const char *key, const struct store_put *put,
                   struct store_upload **ret, struct failure *why)
{
	return check_key(key, why) && store->body->begin(store, key, put, ret, why);
}

bool
store_upload_write(struct store_upload *upload, const void *bytes, size_t length,
                   struct failure *why)
{
	return upload->store->body->write(upload, bytes, length, why);
}

bool
store_upload_finish(struct store_upload **upload, struct store_object *ret_object,
                    struct failure *why)
{
	bool finished = (*upload)->store->body->finish(*upload, ret_object, why);
	store_upload_drop(upload);
	return finished;
}

bool
store_end_uploads(struct store *store, const char *key, struct failure *why)
{
	return check_key(key, why)
	       && (!store->body->end_uploads || store->body->end_uploads(store, key, why));
}

void
store_upload_drop(struct store_upload **upload)
{
	if (*upload)
		(*upload)->store->body->drop(*upload);
	*upload = NULL;
}

/* Writes all that fd holds to the upload. */
static bool
copy_in(struct store_upload *upload, int fd, const struct tick *tick, struct failure *why)
{
	char block[65536];
	int64_t done = 0;
	ssize_t got;
	while ((got = pread(fd, block, sizeof block, done)) > 0) {
		if (!store_upload_write(upload, block, (size_t)got, why))
			return false;
		done += got;
		if (!tick_tell(tick, done, 0))
			return fail(why, FAILURE_CANCELLED, "stopped while storing");
	}
	return got == 0 || fail_errno(why, "cannot read what is to be stored");
}

/* A file that is stored, and what it was like before anything was read of it. */
struct file {
	int fd;
	struct stat before;
};

static bool
is_unchanged(const struct file *file)
{
	const struct stat *before = &file->before;
	struct stat now;
	return fstat(file->fd, &now) == 0 && now.st_size == before->st_size
	       && memcmp(&now.st_ctim, &before->st_ctim, sizeof now.st_ctim) == 0;
}

/* Whatever the server makes of bytes that changed under way: that they did is the reason. */
static bool
send_file(struct store_upload *upload, const struct file *file, const char *key,
          struct failure *why)
{
	struct store *store = upload->store;
	bool sent = store->body->send
	                ? store->body->send(upload, file->fd, file->before.st_size, why)
	                : copy_in(upload, file->fd, &store->tick, why);
	if (is_unchanged(file) || (!sent && why->code == FAILURE_CANCELLED))
		return sent;
	return fail(why, FAILURE_HASH_MISMATCH, "%s was changed while it was stored", key);
}

static bool
put_fd(struct store *store, const char *key, int fd, const struct store_put *put,
       struct store_object *ret_object, struct failure *why)
{
	scoped(store_upload_drop) struct store_upload *upload = NULL;
	struct file file = {.fd = fd};
	if (fstat(fd, &file.before) < 0)
		return fail_errno(why, "cannot look at what is to be stored");
	return store_upload_begin(store, key, put, &upload, why)
	       && send_file(upload, &file, key, why)
	       && store_upload_finish(&upload, ret_object, why);
}

bool
store_put_fd(struct store *store, const char *key, int fd, const struct store_put *put,
             const struct tick *tick, struct store_object *ret_object, struct failure *why)
{
	const struct tick standing = store->tick;
	store->tick = tick ? *tick : standing;
	bool stored = put_fd(store, key, fd, put, ret_object, why);
	store->tick = standing;
	return stored;
}
