#include "work/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/json.h"

#define LETTER_LIMIT (1024 * 1024)

/* Who waits for the dashboard should not wait long once it is back. */
#define FIRST_RETRY 500
#define RETRY_CAP   30000

struct outbox {
	int directory, parked; /* fds */
	uint64_t last;         /* sequence number given last */
	int64_t parked_count;
	struct outbox_entry **entries; /* in order of their sequence */
	size_t count;
};

static const char *const kind_names[] = {[OUTBOX_START] = "start",
                                         [OUTBOX_UPLOAD] = "upload",
                                         [OUTBOX_FINISH] = "finish",
                                         [OUTBOX_ACKNOWLEDGE] = "acknowledge",
                                         [OUTBOX_RELEASE] = "release"};
#define KINDS (sizeof kind_names / sizeof *kind_names)

const char *
outbox_kind_name(enum outbox_kind kind)
{
	return kind_names[kind];
}

void
outbox_letter_done(struct outbox_letter *letter)
{
	free(letter->job);
	free(letter->path);
	free(letter->body);
	free(letter->model);
	free(letter->file);
	free(letter->receipt);
	*letter = (struct outbox_letter){0};
}

/* ---- entries ---- */

static void
free_entry(struct outbox_entry *entry)
{
	free(entry->name);
	free(entry->job);
	free(entry);
}

static bool
kind_from_name(const char *name, enum outbox_kind *ret)
{
	for (size_t kind = 0; kind < KINDS; kind++)
		if (strcmp(kind_names[kind], name) == 0) {
			*ret = (enum outbox_kind)kind;
			return true;
		}
	return false;
}

/* "0001764000000000-34-1-finish.json"; the job's id may hold '-' itself. NULL if it is no such
 * name. */
static struct outbox_entry *
entry_from_name(const char *name, uint64_t *ret_sequence)
{
	scoped_free char *copy = copy_string(name);
	char *end = NULL;
	uint64_t sequence = strtoull(copy, &end, 10);
	char *dot = strrchr(copy, '.');
	if (*end != '-' || !dot || strcmp(dot, ".json") != 0)
		return NULL;
	*dot = '\0';
	char *job = end + 1, *kind_name = strrchr(job, '-');
	enum outbox_kind kind;
	if (!kind_name || !kind_from_name(kind_name + 1, &kind))
		return NULL;
	*kind_name = '\0';
	char *attempt = strrchr(job, '-');
	if (!attempt)
		return NULL;
	*attempt = '\0';
	struct outbox_entry *entry = allocate(sizeof *entry);
	*entry = (struct outbox_entry){.name = copy_string(name),
	                               .kind = kind,
	                               .job = copy_string(job),
	                               .attempt = atoi(attempt + 1),
	                               .backoff = {.first = FIRST_RETRY, .cap = RETRY_CAP}};
	*ret_sequence = sequence;
	return entry;
}

static void
append(struct outbox *outbox, struct outbox_entry *entry)
{
	outbox->entries = reallocate(outbox->entries,
	                             (outbox->count + 1) * sizeof *outbox->entries);
	outbox->entries[outbox->count++] = entry;
}

static void
forget_entry(struct outbox *outbox, struct outbox_entry *entry)
{
	size_t i = 0;
	while (outbox->entries[i] != entry)
		i++;
	memmove(outbox->entries + i, outbox->entries + i + 1,
	        (outbox->count - i - 1) * sizeof *outbox->entries);
	outbox->count--;
	free_entry(entry);
}

/* ---- opening ---- */

static bool
read_entries(struct outbox *outbox, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(outbox->directory, ".", &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		uint64_t sequence = 0;
		struct outbox_entry *entry = entry_from_name(names.items[i], &sequence);
		if (!entry)
			continue;
		append(outbox, entry);
		outbox->last = sequence > outbox->last ? sequence : outbox->last;
	}
	return true;
}

bool
outbox_count_parked(struct outbox *outbox, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(outbox->parked, ".", &names, why))
		return false;
	outbox->parked_count = 0;
	for (size_t i = 0; i < names.count; i++)
		outbox->parked_count += ends_with(names.items[i], ".json");
	return true;
}

static bool
open_directory(const char *state_directory, const char *name, int *ret_fd, struct failure *why)
{
	scoped_free char *path = format("%s/%s", state_directory, name);
	return directory_make(path, 0700, why) && directory_open(AT_FDCWD, path, ret_fd, why);
}

bool
outbox_open(const char *state_directory, struct outbox **ret, struct failure *why)
{
	scoped(outbox_close) struct outbox *outbox = allocate(sizeof *outbox);
	outbox->directory = outbox->parked = -1;
	if (!open_directory(state_directory, "outbox", &outbox->directory, why)
	    || !open_directory(state_directory, "parked", &outbox->parked, why)
	    || !read_entries(outbox, why) || !outbox_count_parked(outbox, why))
		return false;
	/* From the clock on, so that no name of an earlier life comes again in parked. */
	if (outbox->last < (uint64_t)wall_ms())
		outbox->last = (uint64_t)wall_ms();
	*ret = take_pointer(&outbox);
	return true;
}

void
outbox_close(struct outbox **outbox)
{
	if (!*outbox)
		return;
	for (size_t i = 0; i < (*outbox)->count; i++)
		free_entry((*outbox)->entries[i]);
	free((*outbox)->entries);
	close_fd(&(*outbox)->directory);
	close_fd(&(*outbox)->parked);
	free_pointer(outbox);
}

/* ---- adding ---- */

/* The tarball of a letter lies beside it. */
static char *
file_name(const char *name)
{
	return format("%.*s.data", (int)(strlen(name) - strlen(".json")), name);
}

static char *
letter_text(const struct outbox_letter *letter)
{
	scoped(js_drop) struct json_t *object = js_object();
	js_set_string(object, "kind", kind_names[letter->kind]);
	js_set_string(object, "job", letter->job);
	js_set_integer(object, "attempt", letter->attempt);
	js_set_string(object, "path", letter->path);
	js_set_string(object, "body", letter->body);
	js_set_string(object, "model", letter->model);
	js_set_string(object, "receipt", letter->receipt);
	js_set_integer(object, "delay", letter->delay);
	js_set_bool(object, "handback", letter->handback);
	js_set_integer(object, "added", wall_ms());
	return js_pretty(object);
}

bool
outbox_add(struct outbox *outbox, const struct outbox_letter *letter, struct failure *why)
{
	scoped_free char *name = format("%016" PRIu64 "-%s-%d-%s.json", outbox->last + 1,
	                                letter->job, letter->attempt, kind_names[letter->kind]);
	scoped_free char *file = file_name(name);
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_free char *json = letter_text(letter);
	text_add_string(&text, json);
	if (letter->file && renameat(AT_FDCWD, letter->file, outbox->directory, file) < 0)
		return fail_errno(why, "cannot move %s into the outbox", letter->file);
	if (!file_replace(outbox->directory, name, &text, 0600, why))
		return fail_within(why, "outbox");
	uint64_t sequence;
	append(outbox, entry_from_name(name, &sequence));
	outbox->last++;
	return true;
}

/* ---- telling ---- */

static bool
is_first_of_job(const struct outbox *outbox, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (strcmp(outbox->entries[i]->job, outbox->entries[index]->job) == 0)
			return false;
	return true;
}

struct outbox_entry *
outbox_next(struct outbox *outbox, int64_t now)
{
	for (size_t i = 0; i < outbox->count; i++) {
		struct outbox_entry *entry = outbox->entries[i];
		if (!entry->under_way && entry->due <= now && is_first_of_job(outbox, i))
			return entry;
	}
	return NULL;
}

int64_t
outbox_next_due(const struct outbox *outbox)
{
	int64_t due = -1;
	for (size_t i = 0; i < outbox->count; i++) {
		const struct outbox_entry *entry = outbox->entries[i];
		if (!entry->under_way && is_first_of_job(outbox, i)
		    && (due < 0 || entry->due < due))
			due = entry->due;
	}
	return due;
}

bool
outbox_read(const struct outbox *outbox, const struct outbox_entry *entry,
            struct outbox_letter *ret_letter, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(js_drop) struct json_t *object = NULL;
	if (!file_read(outbox->directory, entry->name, LETTER_LIMIT, &text, why)
	    || !js_parse(text_string(&text), text.length, &object, why))
		return fail_within(why, "outbox entry %s", entry->name);
	struct outbox_letter letter = {.kind = entry->kind, .attempt = entry->attempt};
	letter.job = copy_string(entry->job);
	letter.path = copy_string(js_string(object, "path"));
	letter.body = copy_string(js_string(object, "body"));
	letter.model = copy_string(js_string(object, "model"));
	letter.receipt = copy_string(js_string(object, "receipt"));
	letter.handback = js_true(object, "handback");
	js_integer(object, "delay", &letter.delay);
	js_integer(object, "added", &letter.added);
	if (entry->kind == OUTBOX_UPLOAD) {
		scoped_free char *file = file_name(entry->name);
		letter.file = format("/proc/self/fd/%d/%s", outbox->directory, file);
	}
	*ret_letter = letter;
	return true;
}

bool
outbox_drop(struct outbox *outbox, struct outbox_entry *entry, struct failure *why)
{
	scoped_free char *file = file_name(entry->name);
	bool removed = file_remove(outbox->directory, entry->name, why)
	               && (entry->kind != OUTBOX_UPLOAD
	                   || file_remove(outbox->directory, file, why));
	forget_entry(outbox, entry);
	return removed;
}

bool
outbox_park(struct outbox *outbox, struct outbox_entry *entry, const struct failure *reason,
            struct failure *why)
{
	scoped_free char *file = file_name(entry->name);
	scoped_free char *note = format("%s.why", entry->name);
	scoped(text_done) struct text text = TEXT_INIT;
	text_addf(&text, "%s: %s\n", failure_name(reason->code), reason->message);
	if (reason->details)
		text_addf(&text, "\n%s\n", reason->details);
	bool parked = file_replace(outbox->parked, note, &text, 0600, why);
	if (entry->kind == OUTBOX_UPLOAD)
		renameat(outbox->directory, file, outbox->parked, file);
	if (renameat(outbox->directory, entry->name, outbox->parked, entry->name) < 0)
		parked = fail_errno(why, "cannot park %s", entry->name);
	outbox->parked_count += parked;
	forget_entry(outbox, entry);
	return parked;
}

static bool
is_of(const struct outbox_entry *entry, const char *job, int attempt)
{
	return entry->attempt == attempt && strcmp(entry->job, job) == 0;
}

void
outbox_forget(struct outbox *outbox, const char *job, int attempt)
{
	for (size_t i = outbox->count; i-- > 0;) {
		struct outbox_entry *entry = outbox->entries[i];
		/* One that cannot be removed is told after a restart, and refused. */
		if (!entry->under_way && is_of(entry, job, attempt)
		    && !outbox_drop(outbox, entry, NULL))
			continue;
	}
}

bool
outbox_ends(const struct outbox *outbox, const char *job, int attempt)
{
	for (size_t i = 0; i < outbox->count; i++) {
		const struct outbox_entry *entry = outbox->entries[i];
		bool last = entry->kind == OUTBOX_ACKNOWLEDGE || entry->kind == OUTBOX_RELEASE;
		if (last && is_of(entry, job, attempt))
			return true;
	}
	return false;
}

int64_t
outbox_count(const struct outbox *outbox)
{
	return (int64_t)outbox->count;
}

int64_t
outbox_parked(const struct outbox *outbox)
{
	return outbox->parked_count;
}

bool
outbox_park_bytes(struct outbox *outbox, const char *kind, const char *bytes, size_t length,
                  struct failure *why)
{
	scoped_free char *name = format("%s-%016" PRIu64 ".json", kind, ++outbox->last);
	scoped(text_done) struct text text = TEXT_INIT;
	text_add(&text, bytes, length);
	if (!file_replace(outbox->parked, name, &text, 0600, why))
		return false;
	outbox->parked_count++;
	return true;
}
