#include "upload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

/*
 * What a model's file may be. The existing dashboard takes .tar.bz2 and .tar.gz, each with either
 * magic; workers tell by the bytes.
 */
static const struct {
	const char *ending;
	const char *magic;
	const char *other; /* magic that will do as well, or NULL */
} kinds[] = {
    {".tar.bz2", "BZh", "\x1f\x8b"},
    {".tar.gz", "\x1f\x8b", "BZh"},
    {".tar.xz",
     "\xfd"
     "7zXZ",
     NULL},
    {".tar.zst", "\x28\xb5\x2f\xfd", NULL},
    {".zip", "PK\x03\x04", NULL},
};

static bool
begins_with(const unsigned char *bytes, size_t length, const char *magic)
{
	return magic && length >= strlen(magic) && memcmp(bytes, magic, strlen(magic)) == 0;
}

const char *
upload_ending(const char *filename, const unsigned char *magic, size_t length)
{
	size_t name = strlen(filename);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t ending = strlen(kinds[i].ending);
		if (name > ending && strcasecmp(filename + name - ending, kinds[i].ending) == 0
		    && (begins_with(magic, length, kinds[i].magic)
		        || begins_with(magic, length, kinds[i].other)))
			return kinds[i].ending;
	}
	return NULL;
}

static bool
make_key(const struct request_file *file, char **ret_key, struct failure *why)
{
	unsigned char magic[8];
	if (file->fd < 0)
		return fail(why, FAILURE_REJECTED, "the form has no part 'file' with a filename");
	ssize_t got = pread(file->fd, magic, sizeof magic, 0);
	if (got < 0)
		return fail_errno(why, "cannot read the uploaded file");
	const char *ending = upload_ending(file->filename, magic, (size_t)got);
	if (!ending)
		return fail(why, FAILURE_REJECTED,
		            "a model is a .tar.bz2, .tar.gz, .tar.xz, .tar.zst or .zip");
	*ret_key = format("models/%s%s", file->sha256, ending);
	return true;
}

/* A file on its way into the store. */
struct upload {
	struct site *site;
	const struct request_file *file; /* the request's */
	char *key;
	upload_then *then;
};

static bool
put(struct store *store, void *data, const struct tick *tick, struct failure *why)
{
	const struct upload *upload = data;
	const struct store_put put = {.sha256 = upload->file->sha256};
	struct store_object object;
	return store_put_fd(store, upload->key, upload->file->fd, &put, tick, &object, why);
}

static void
answer(struct request *request, void *data)
{
	const struct upload *upload = data;
	const struct request_file *file = upload->file;
	const struct model_archive archive = {.key = upload->key,
	                                      .sha256 = file->sha256,
	                                      .bytes = file->size,
	                                      .filename = file->filename};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	int64_t id;
	if (!upload->then(request, upload->site, &archive, &id, &why)) {
		request_answer_failure(request, &why);
		return;
	}
	scoped_free char *page = format("/models/%lld", (long long)id);
	log_info(NULL, "model %lld: %s uploaded, %lld bytes", (long long)id, file->sha256,
	         (long long)file->size);
	request_answer_see(request, page);
}

static void
drop(void *data)
{
	struct upload *upload = data;
	free(upload->key);
	free(upload);
}

void
upload_keep(struct request *request, struct site *site, upload_then *then)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	char *key = NULL;
	if (!make_key(&request->file, &key, &why)) {
		request_answer_failure(request, &why);
		return;
	}
	struct upload *upload = allocate(sizeof *upload);
	*upload = (struct upload){.site = site, .file = &request->file, .key = key, .then = then};
	const struct errand errand = {.work = put, .done = answer, .drop = drop, .data = upload};
	errands_run(site->errands, request, &errand);
}

static bool
set_archive(struct request *request, struct site *site, const struct model_archive *archive,
            int64_t *ret_id, struct failure *why)
{
	*ret_id = request_id(request);
	return models_set_archive(site->db, *ret_id, archive, why);
}

void
upload_model(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	bool exists;
	if (!models_exist(site->db, request_id(request), &exists, &why))
		request_answer_failure(request, &why);
	else if (!exists)
		request_answer_text(request, 404, "404 - Page not found.");
	else
		upload_keep(request, site, set_archive);
}
