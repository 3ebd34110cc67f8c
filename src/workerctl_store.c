#include "workerctl_store.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "base/files.h"
#include "base/text.h"
#include "base/units.h"
#include "outside/child.h"
#include "remote/store.h"
#include "work/config.h"

static volatile sig_atomic_t ended;

static void
on_signal(int number)
{
	(void)number;
	ended = 1;
}

static bool
go_on(void *data, int64_t done, int64_t total)
{
	(void)data;
	(void)done;
	(void)total;
	return !ended;
}

static const struct tick until_ended = {.tell = go_on};

/* ---- the store ---- */

static bool
read_settings(const struct store_call *call, struct store_settings *settings, struct failure *why)
{
	const struct settings *table = &store_settings_table;
	const char *file = call->config;
	config_init(table, settings);
	if (!file && file_exists(AT_FDCWD, CONFIG_COMMON))
		file = CONFIG_COMMON;
	return (!file || config_read_known(table, settings, file, why))
	       && config_read_secrets(table, settings, why) && store_check(settings, why);
}

static void
print_object(const char *key, const struct store_object *object)
{
	scoped_free char *size = size_rough(object->size);
	printf("%s: %" PRId64 " bytes (%s), SHA-256 %s", key, object->size, size,
	       object->sha256[0] ? object->sha256 : "not known");
	if (object->version[0])
		printf(", version %s", object->version);
	printf("\n");
}

/* ---- head, get, put ---- */

static bool
do_head(struct store *store, const struct store_call *call, struct failure *why)
{
	struct store_object object;
	if (call->file)
		return fail(why, FAILURE_USAGE, "head takes a key only");
	if (!store_head(store, call->key, &object, why))
		return false;
	print_object(call->key, &object);
	return true;
}

static bool
get_into(struct store *store, const char *key, int fd, struct store_object *ret_object,
         struct failure *why)
{
	struct store_object object, metadata;
	if (!store_get(store, key, fd, &until_ended, &object, why)
	    || !store_head(store, key, &metadata, why))
		return false;
	if (metadata.sha256[0] && !strings_equal(metadata.sha256, object.sha256))
		return fail(why, FAILURE_HASH_MISMATCH, "%s hashes to %s, not to %s", key,
		            object.sha256, metadata.sha256);
	*ret_object = object;
	return true;
}

/* FILE appears when it is whole and right: until then it is FILE.part. */
static bool
do_get(struct store *store, const struct store_call *call, struct failure *why)
{
	struct store_object object;
	if (!call->file)
		return fail(why, FAILURE_USAGE, "get into which file?");
	scoped_free char *part = format("%s.part", call->file);
	scoped_fd int fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return fail_errno(why, "cannot make %s", part);
	if (!get_into(store, call->key, fd, &object, why)
	    || (renameat2(AT_FDCWD, part, AT_FDCWD, call->file, RENAME_NOREPLACE) < 0
	        && !fail_errno(why, "cannot name it %s", call->file))) {
		unlink(part);
		return false;
	}
	print_object(call->key, &object);
	return true;
}

static bool
put_stream(struct store *store, const char *key, const struct store_put *put,
           struct store_object *ret_object, struct failure *why)
{
	scoped(store_upload_drop) struct store_upload *upload = NULL;
	char block[65536];
	ssize_t got;
	if (!store_upload_begin(store, key, put, &upload, why))
		return false;
	while ((got = read(STDIN_FILENO, block, sizeof block)) > 0)
		if (!store_upload_write(upload, block, (size_t)got, why))
			return false;
	if (ended)
		return fail(why, FAILURE_CANCELLED, "stopped while storing");
	if (got < 0)
		return fail_errno(why, "cannot read standard input");
	return store_upload_finish(&upload, ret_object, why);
}

static bool
put_file(struct store *store, const struct store_call *call, const struct store_put *put,
         struct store_object *ret_object, struct failure *why)
{
	scoped_fd int fd = open(call->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno(why, "cannot open %s", call->file);
	return store_put_fd(store, call->key, fd, put, &until_ended, ret_object, why);
}

static bool
do_put(struct store *store, const struct store_call *call, struct failure *why)
{
	const struct store_put put = {.once = !call->replace};
	struct store_object object;
	if (!call->file)
		return fail(why, FAILURE_USAGE, "put which file?");
	bool stored = strings_equal(call->file, "-")
	                  ? put_stream(store, call->key, &put, &object, why)
	                  : put_file(store, call, &put, &object, why);
	if (stored)
		print_object(call->key, &object);
	return stored;
}

static const struct {
	const char *name;
	bool (*act)(struct store *store, const struct store_call *call, struct failure *why);
} verbs[] = {{"head", do_head}, {"get", do_get}, {"put", do_put}};

/* ---- the call ---- */

static bool
act(const struct store_settings *settings, const struct store_call *call, struct failure *why)
{
	scoped(store_close) struct store *store = NULL;
	if (!store_open(settings, &store, why))
		return false;
	store_set_tick(store, &until_ended);
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strings_equal(verbs[i].name, call->verb))
			return verbs[i].act(store, call, why);
	return fail(why, FAILURE_USAGE, "store %s? head, get or put", call->verb ? call->verb : "");
}

bool
store_call(const struct store_call *call, struct failure *why)
{
	const struct sigaction action = {.sa_handler = on_signal};
	struct store_settings settings = {0};
	child_hide_memory();
	signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to connections that are gone */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (!call->key)
		return fail(why, FAILURE_USAGE, "store head KEY, get KEY FILE or put KEY FILE");
	bool done = read_settings(call, &settings, why) && act(&settings, call, why);
	settings_done(&store_settings_table, &settings);
	return done;
}
