#include "work/unfinished.h"

#include "base/files.h"
#include "base/text.h"

#define NOTE       "uploading"
#define NOTE_LIMIT 2048

bool
unfinished_note(int directory, const struct store *store, const char *key, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	if (store_is_local(store))
		return true;
	text_add_string(&text, key);
	return file_replace(directory, NOTE, &text, 0600, why);
}

/* Paths below `jobs`. */
static bool
list_notes(int jobs, const char *current, struct strings *notes, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(jobs, ".", &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped_free char *note = format("%s/" NOTE, names.items[i]);
		if (!strings_equal(names.items[i], current) && file_exists(jobs, note))
			strings_add(notes, note);
	}
	return true;
}

static bool
follow(struct store *store, int jobs, const char *note, struct strings *ended, struct failure *why)
{
	scoped(text_done) struct text key = TEXT_INIT;
	if (!file_read(jobs, note, NOTE_LIMIT, &key, why)
	    || !store_end_uploads(store, text_string(&key), why) || !file_remove(jobs, note, why))
		return false;
	strings_add(ended, text_string(&key));
	return true;
}

bool
unfinished_end(const char *state_directory, const struct store_settings *settings,
               const char *current, struct strings *ended, struct failure *why)
{
	scoped_free char *path = format("%s/jobs", state_directory);
	scoped(strings_done) struct strings notes = STRINGS_INIT;
	scoped(store_close) struct store *store = NULL;
	scoped_fd int jobs = -1;
	if (!directory_open(AT_FDCWD, path, &jobs, why) || !list_notes(jobs, current, &notes, why))
		return false;
	if (notes.count == 0)
		return true;
	if (!store_open(settings, &store, why))
		return false;
	for (size_t i = 0; i < notes.count; i++)
		if (!follow(store, jobs, notes.items[i], ended, why))
			return false;
	return true;
}
