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

static bool
put(struct site *site, const struct request_file *file, const char *key, struct failure *why)
{
	const struct store_put put = {.sha256 = file->sha256};
	struct store_object object;
	return store_put_fd(site->store, key, file->fd, &put, NULL, &object, why);
}

bool
upload_keep(struct site *site, const struct request_file *file, int64_t model_id,
            struct failure *why)
{
	scoped_free char *key = NULL;
	if (!make_key(file, &key, why) || !put(site, file, key, why))
		return false;
	const struct model_archive archive = {
	    .key = key, .sha256 = file->sha256, .bytes = file->size, .filename = file->filename};
	return models_set_archive(site->db, model_id, &archive, why);
}

void
upload_model(struct request *request, struct site *site)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	int64_t id = request_id(request);
	bool exists;
	if (!models_exist(site->db, id, &exists, &why)) {
		request_answer_failure(request, &why);
	} else if (!exists) {
		request_answer_text(request, 404, "404 - Page not found.");
	} else if (!upload_keep(site, &request->file, id, &why)) {
		request_answer_failure(request, &why);
	} else {
		scoped_free char *page = format("/models/%lld", (long long)id);
		log_info(NULL, "model %lld: %s uploaded, %lld bytes", (long long)id,
		         request->file.sha256, (long long)request->file.size);
		request_answer_see(request, page);
	}
}
