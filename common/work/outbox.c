#include "work/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/json.h"
#include "work/disk.h"

#define LETTER_LIMIT   (1024 * 1024)
#define SEQUENCE_LIMIT 9999999999999999 /* of 16 digits, so that names sort */

/* Who waits for the dashboard should not wait long once it is back. */
#define FIRST_RETRY 500
#define RETRY_CAP   30000
/* A report that was told by then needs no message to be held. */
#define FIRST_HOLD 1000

struct outbox {
	char *state;           /* the directory above */
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

/* A number of digits alone, within [1, limit]. */
static bool
read_number(const char *text, uint64_t limit, uint64_t *ret)
{
	char *end = NULL;
	uint64_t number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || number < 1 || number > limit)
		return false;
	*ret = number;
	return true;
}

/* Cuts the last part off, which follows a '-'; NULL if there is none. */
static char *
cut_last(char *text)
{
	char *dash = strrchr(text, '-');
	if (!dash)
		return NULL;
	*dash = '\0';
	return dash + 1;
}

/* "1764000000000000-34-1-finish.json"; the job's id may hold '-' itself. NULL if it is no such
 * name. */
static struct outbox_entry *
entry_from_name(const char *name, uint64_t *ret_sequence)
{
	scoped_free char *copy = copy_string(name);
	uint64_t sequence, attempt;
	enum outbox_kind kind;
	if (!ends_with(name, ".json"))
		return NULL;
	copy[strlen(copy) - strlen(".json")] = '\0';
	const char *kind_name = cut_last(copy), *number = kind_name ? cut_last(copy) : NULL;
	char *job = number ? strchr(copy, '-') : NULL;
	if (!job || !job[1] || !kind_from_name(kind_name, &kind)
	    || !read_number(number, INT32_MAX, &attempt))
		return NULL;
	*job++ = '\0';
	if (!read_number(copy, SEQUENCE_LIMIT, &sequence))
		return NULL;
	struct outbox_entry *entry = allocate(sizeof *entry);
	*entry = (struct outbox_entry){.name = copy_string(name),
	                               .kind = kind,
	                               .job = copy_string(job),
	                               .attempt = (int)attempt,
	                               .backoff = {.first = FIRST_RETRY, .cap = RETRY_CAP}};
	*ret_sequence = sequence;
	return entry;
}

/* The tarball of a letter lies beside it. */
static char *
file_name(const char *name)
{
	return format("%.*s.data", (int)(strlen(name) - strlen(".json")), name);
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

/* An upload without its tarball never got so far as to count: whoever added it does so again. */
static bool
is_whole(const struct outbox *outbox, const struct outbox_entry *entry)
{
	scoped_free char *file = file_name(entry->name);
	return entry->kind != OUTBOX_UPLOAD || file_exists(outbox->directory, file);
}

static bool
take_entry(struct outbox *outbox, const char *name, struct failure *why)
{
	uint64_t sequence = 0;
	struct outbox_entry *entry = entry_from_name(name, &sequence);
	if (!entry)
		return true;
	outbox->last = sequence > outbox->last ? sequence : outbox->last;
	if (is_whole(outbox, entry)) {
		append(outbox, entry);
		return true;
	}
	free_entry(entry);
	return file_remove(outbox->directory, name, why);
}

/* What a crash leaves: a letter half written, a tarball whose letter was told. */
static bool
is_litter(const struct outbox *outbox, const char *name)
{
	if (!ends_with(name, ".data"))
		return name[0] == '.' && ends_with(name, ".json.tmp");
	scoped_free char *letter = format("%.*s.json", (int)(strlen(name) - strlen(".data")), name);
	return !file_exists(outbox->directory, letter);
}

static bool
read_entries(struct outbox *outbox, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(outbox->directory, ".", &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];
		bool good = is_litter(outbox, name) ? file_remove(outbox->directory, name, why)
		                                    : take_entry(outbox, name, why);
		if (!good)
			return false;
	}
	return true;
}

/* A reason half written. */
static bool
sweep_parked(const struct outbox *outbox, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(outbox->parked, ".", &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++)
		if (names.items[i][0] == '.' && ends_with(names.items[i], ".tmp")
		    && !file_remove(outbox->parked, names.items[i], why))
			return false;
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

/* No life adds more than one letter a microsecond. */
static uint64_t
wall_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

bool
outbox_open(const char *state_directory, struct outbox **ret, struct failure *why)
{
	scoped(outbox_close) struct outbox *outbox = allocate(sizeof *outbox);
	outbox->directory = outbox->parked = -1;
	outbox->state = copy_string(state_directory);
	if (!open_directory(state_directory, "outbox", &outbox->directory, why)
	    || !open_directory(state_directory, "parked", &outbox->parked, why)
	    || !read_entries(outbox, why) || !sweep_parked(outbox, why)
	    || !outbox_count_parked(outbox, why))
		return false;
	/* From the clock on, so that no name of an earlier life comes again in parked. */
	uint64_t now = wall_us();
	outbox->last = outbox->last < now ? now : outbox->last;
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
	free((*outbox)->state);
	close_fd(&(*outbox)->directory);
	close_fd(&(*outbox)->parked);
	free_pointer(outbox);
}

/* ---- adding ---- */

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

/* Its bytes are on disk before its letter counts. */
static bool
move_in(const struct outbox *outbox, const char *path, const char *name, struct failure *why)
{
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fsync(fd) < 0 || renameat(AT_FDCWD, path, outbox->directory, name) < 0)
		return fail_errno(why, "cannot move %s into the outbox", path);
	return directory_sync(outbox->directory, why);
}

/* The letter first: a tarball that stays where it was can be added again. */
static bool
put_in(const struct outbox *outbox, const char *name, const struct outbox_letter *letter,
       struct failure *why)
{
	scoped_free char *file = file_name(name);
	scoped_free char *json = letter_text(letter);
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_string(&text, json);
	if (!file_replace(outbox->directory, name, &text, 0600, why))
		return fail_within(why, "outbox");
	if (!letter->file || move_in(outbox, letter->file, file, why))
		return true;
	unlinkat(outbox->directory, name, 0);
	return false;
}

bool
outbox_add(struct outbox *outbox, const struct outbox_letter *letter, struct failure *why)
{
	uint64_t sequence = ++outbox->last;
	scoped_free char *name = format("%016" PRIu64 "-%s-%d-%s.json", sequence, letter->job,
	                                letter->attempt, kind_names[letter->kind]);
	if (!put_in(outbox, name, letter, why)
	    && !(disk_gave_up_reserve(outbox->state, why) && put_in(outbox, name, letter, why)))
		return false;
	append(outbox, entry_from_name(name, &sequence));
	outbox->entries[outbox->count - 1]->hold_at = clock_ms() + FIRST_HOLD;
	return true;
}

/* ---- telling ---- */

static bool
is_first_of_job(const struct outbox *outbox, size_t index)
{
	const char *job = outbox->entries[index]->job;
	for (size_t i = 0; i < index; i++)
		if (strcmp(outbox->entries[i]->job, job) == 0)
			return strcmp(job, OUTBOX_NO_JOB) == 0;
	return true;
}

struct outbox_entry *
outbox_next(struct outbox *outbox, int64_t now)
{
	struct outbox_entry *next = NULL;
	for (size_t i = 0; i < outbox->count; i++) {
		struct outbox_entry *entry = outbox->entries[i];
		if (!entry->under_way && entry->due <= now && (!next || entry->due < next->due)
		    && is_first_of_job(outbox, i))
			next = entry;
	}
	return next;
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

struct outbox_entry *
outbox_held(struct outbox *outbox)
{
	struct outbox_entry *soonest = NULL;
	for (size_t i = 0; i < outbox->count; i++) {
		struct outbox_entry *entry = outbox->entries[i];
		if (entry->kind == OUTBOX_ACKNOWLEDGE
		    && (!soonest || entry->hold_at < soonest->hold_at)
		    && !is_first_of_job(outbox, i))
			soonest = entry;
	}
	return soonest;
}

struct outbox_entry *
outbox_find(struct outbox *outbox, const char *name)
{
	for (size_t i = 0; i < outbox->count; i++)
		if (strcmp(outbox->entries[i]->name, name) == 0)
			return outbox->entries[i];
	return NULL;
}

bool
outbox_read(const struct outbox *outbox, const struct outbox_entry *entry,
            struct outbox_letter *ret_letter, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	scoped(js_drop) struct json_t *object = NULL;
	scoped(failure_done) struct failure damage = FAILURE_INIT;
	if (!file_read(outbox->directory, entry->name, LETTER_LIMIT, &text, why))
		return fail_within(why, "outbox entry %s", entry->name);
	/* Damaged it stays: no failure that is worth another try. */
	if (!js_parse(text_string(&text), text.length, &object, &damage))
		return fail(why, FAILURE_INTERNAL, "outbox entry %s is damaged: %s", entry->name,
		            damage.message);
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

static bool
move_to_parked(const struct outbox *outbox, const struct outbox_entry *entry, struct failure *why)
{
	scoped_free char *file = file_name(entry->name);
	if (entry->kind == OUTBOX_UPLOAD)
		renameat(outbox->directory, file, outbox->parked, file);
	if (renameat(outbox->directory, entry->name, outbox->parked, entry->name) < 0)
		return fail_errno(why, "cannot park %s", entry->name);
	return directory_sync(outbox->parked, why) && directory_sync(outbox->directory, why);
}

static bool
write_reason(const struct outbox *outbox, const char *name, const struct failure *reason,
             struct failure *why)
{
	scoped_free char *note = format("%s.why", name);
	scoped(text_done) struct text text = TEXT_INIT;
	text_addf(&text, "%s: %s\n", failure_name(reason->code), reason->message);
	if (reason->details)
		text_addf(&text, "\n%s\n", reason->details);
	return file_replace(outbox->parked, note, &text, 0600, why);
}

bool
outbox_park(struct outbox *outbox, struct outbox_entry *entry, const struct failure *reason,
            struct failure *why)
{
	bool parked = write_reason(outbox, entry->name, reason, why)
	              && move_to_parked(outbox, entry, why);
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
outbox_holds(const struct outbox *outbox, enum outbox_kind kind, const char *job, int attempt)
{
	for (size_t i = 0; i < outbox->count; i++) {
		const struct outbox_entry *entry = outbox->entries[i];
		if (entry->kind == kind && is_of(entry, job, attempt))
			return true;
	}
	return false;
}

bool
outbox_ends(const struct outbox *outbox, const char *job, int attempt)
{
	return outbox_holds(outbox, OUTBOX_ACKNOWLEDGE, job, attempt)
	       || outbox_holds(outbox, OUTBOX_RELEASE, job, attempt);
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
outbox_park_bytes(struct outbox *outbox, const char *kind, const struct text *bytes,
                  const struct failure *reason, struct failure *why)
{
	scoped_free char *name = format("%s-%016" PRIu64 ".json", kind, ++outbox->last);
	if (!write_reason(outbox, name, reason, why)
	    || !file_replace(outbox->parked, name, bytes, 0600, why))
		return false;
	outbox->parked_count++;
	return true;
}
