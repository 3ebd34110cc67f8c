#include "remote/store.h"

#include <string.h>

#include "base/text.h"
#include "remote/store_body.h"

#define KEY_LIMIT       1024
#define COMPONENT_LIMIT 200

static const struct store_body *const bodies[] = {&store_directory};
#define BODIES (sizeof bodies / sizeof *bodies)

static const struct setting rows[] = {
    {.name = "store.type",
     .type = SETTING_CHOICE,
     .offset = offsetof(struct store_settings, type),
     .standard = "directory",
     .choices = "directory",
     .fixed = true,
     .help = "Where jars, models and results lie: directory is one on this machine."},
    {.name = "store.path",
     .type = SETTING_PATH,
     .offset = offsetof(struct store_settings, path),
     .standard = "/var/lib/moolloy-workers/store",
     .fixed = true,
     .help = "The store's directory; the dashboard and the workers must name the same one."},
    {.name = "aws.access-key-file",
     .type = SETTING_SECRET,
     .offset = offsetof(struct store_settings, aws.access_key),
     .help = "The id of the access key for S3 and SQS: file whose first line it is; a name without "
             "a slash is a systemd credential. Empty, with aws.secret-key-file: the keys come from "
             "the environment, aws.credentials-file, the systemd credential aws-credentials, the "
             "container's endpoint or the EC2 instance's role, whichever of these is there first."},
    {.name = "aws.secret-key-file",
     .type = SETTING_SECRET,
     .offset = offsetof(struct store_settings, aws.secret_key),
     .help = "The secret of that access key, in the same way."},
    {.name = "aws.session-token-file",
     .type = SETTING_SECRET,
     .offset = offsetof(struct store_settings, aws.session_token),
     .help = "The session token, in the same way, where that key is a temporary one."},
    {.name = "aws.credentials-file",
     .type = SETTING_PATH,
     .offset = offsetof(struct store_settings, aws.credentials_file),
     .help = "File of access keys as the AWS tools write it; empty: AWS_SHARED_CREDENTIALS_FILE, "
             "else .aws/credentials in the home directory."},
    {.name = "aws.profile",
     .type = SETTING_STRING,
     .offset = offsetof(struct store_settings, aws.profile),
     .help = "The section of that file, or of the systemd credential, to take; empty: AWS_PROFILE, "
             "else default."},
};

const struct settings store_settings_table = {.rows = rows, .count = sizeof rows / sizeof *rows};

bool
store_open(const struct store_settings *settings, struct store **ret, struct failure *why)
{
	for (size_t i = 0; i < BODIES; i++)
		if (strings_equal(bodies[i]->type, settings->type))
			return bodies[i]->open(settings, ret, why);
	return fail(why, FAILURE_CONFIGURATION, "store.type: unknown type '%s'", settings->type);
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
	for (;;) {
		ssize_t got = pread(fd, block, sizeof block, done);
		if (got < 0)
			return fail_errno(why, "cannot read what is to be stored");
		if (got == 0)
			return true;
		if (!store_upload_write(upload, block, (size_t)got, why))
			return false;
		done += got;
		if (!tick_tell(tick, done, 0))
			return fail(why, FAILURE_CANCELLED, "stopped while storing");
	}
}

bool
store_put_fd(struct store *store, const char *key, int fd, const struct store_put *put,
             const struct tick *tick, struct store_object *ret_object, struct failure *why)
{
	scoped(store_upload_drop) struct store_upload *upload = NULL;
	return store_upload_begin(store, key, put, &upload, why) && copy_in(upload, fd, tick, why)
	       && store_upload_finish(&upload, ret_object, why);
}
