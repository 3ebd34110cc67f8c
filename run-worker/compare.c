#include "compare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "outside/json.h"

/* Bytes; a solution is some kilobytes. A larger file is not hashed, and equals nothing. */
#define LARGEST (1LL << 30)

static void
solutions_done(struct solutions *solutions)
{
	for (size_t i = 0; i < solutions->count; i++)
		free(solutions->items[i].name);
	free(solutions->items);
	*solutions = (struct solutions){0};
}

void
comparison_done(struct comparison *comparison)
{
	solutions_done(&comparison->run);
	solutions_done(&comparison->model);
}

/* ---- reading ---- */

bool
solution_is_name(const char *name)
{
	return starts_with(name, "alloy_solutions_") && ends_with(name, ".xml");
}

/* Leaves the fd after the first line's end, or at the end of a file of one line. */
static bool
skip_first_line(int fd, struct failure *why)
{
	char block[65536];
	off_t at = 0;
	for (;;) {
		ssize_t got = pread(fd, block, sizeof block, at);
		if (got < 0)
			return fail_errno(why, "cannot read it");
		const char *newline = memchr(block, '\n', (size_t)got);
		at += newline ? newline - block + 1 : got;
		if (newline || got == 0)
			return lseek(fd, at, SEEK_SET) >= 0 || fail_errno(why, "cannot seek in it");
	}
}

/* *ret_fd stays as it is for what is no regular file: whoever made it may have left anything. */
static bool
open_regular(int directory, const char *name, int *ret_fd, off_t *ret_size, struct failure *why)
{
	struct stat about;
	scoped_fd int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		return true;
	if (fd < 0 || fstat(fd, &about) < 0)
		return fail_errno(why, "cannot open %s", name);
	if (!S_ISREG(about.st_mode))
		return true;
	*ret_fd = take_fd(&fd);
	*ret_size = about.st_size;
	return true;
}

static bool
read_solution(int directory, const char *name, const struct tick *tick, struct solutions *solutions,
              struct failure *why)
{
	struct solution solution = {0};
	scoped_fd int fd = -1;
	off_t size = 0;
	if (!open_regular(directory, name, &fd, &size, why))
		return false;
	if (fd < 0)
		return true;
	if (size <= LARGEST
	    && (!skip_first_line(fd, why) || !digest_fd(fd, tick, solution.sha256, why)))
		return fail_within(why, "%s", name);
	solution.name = copy_string(name);
	solutions->items[solutions->count++] = solution;
	return true;
}

bool
solutions_read(int directory, const struct tick *tick, struct solutions *ret, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped(solutions_done) struct solutions solutions = {0};
	if (!directory_list(directory, ".", &names, why))
		return false;
	solutions.items = allocate((names.count + 1) * sizeof *solutions.items);
	for (size_t i = 0; i < names.count; i++)
		if (solution_is_name(names.items[i])
		    && !read_solution(directory, names.items[i], tick, &solutions, why))
			return false;
	*ret = solutions;
	solutions = (struct solutions){0};
	return true;
}

/* ---- comparing ---- */

static int
by_hash(const void *a, const void *b)
{
	const struct solution *const *left = a, *const *right = b;
	int order = strcmp((*left)->sha256, (*right)->sha256);
	return order ? order : strcmp((*left)->name, (*right)->name);
}

/* Pointers to them in the order of their hashes; malloc'd. */
static struct solution **
sorted(const struct solutions *solutions)
{
	struct solution **list = allocate((solutions->count + 1) * sizeof *list);
	for (size_t i = 0; i < solutions->count; i++)
		list[i] = &solutions->items[i];
	qsort(list, solutions->count, sizeof *list, by_hash);
	return list;
}

void
comparison_make(struct comparison *comparison)
{
	scoped_free struct solution **run = sorted(&comparison->run);
	scoped_free struct solution **model = sorted(&comparison->model);
	size_t r = 0, m = 0, pairs = 0;
	while (r < comparison->run.count && m < comparison->model.count) {
		int order = strcmp(run[r]->sha256, model[m]->sha256);
		if (order == 0 && run[r]->sha256[0]) {
			run[r]->counterpart = model[m]->name;
			model[m]->counterpart = run[r]->name;
			pairs++;
		}
		r += order <= 0;
		m += order >= 0;
	}
	comparison->equal = pairs == comparison->run.count && pairs == comparison->model.count;
}

/* ---- telling ---- */

static struct json_t *
unmatched(const struct solutions *solutions)
{
	struct json_t *list = js_array();
	for (size_t i = 0; i < solutions->count; i++) {
		const struct solution *solution = &solutions->items[i];
		if (solution->counterpart)
			continue;
		struct json_t *object = js_object();
		js_set_string(object, "name", solution->name);
		js_set_string(object, "sha256", solution->sha256[0] ? solution->sha256 : NULL);
		js_append(list, object);
	}
	return list;
}

static struct json_t *
matched(const struct comparison *comparison)
{
	struct json_t *list = js_array();
	for (size_t i = 0; i < comparison->run.count; i++) {
		const struct solution *run = &comparison->run.items[i];
		if (!run->counterpart)
			continue;
		struct json_t *object = js_object();
		js_set_string(object, "run", run->name);
		js_set_string(object, "model", run->counterpart);
		js_set_string(object, "sha256", run->sha256);
		js_append(list, object);
	}
	return list;
}

void
comparison_write(const struct comparison *comparison, bool correct, struct text *json)
{
	scoped(js_drop) struct json_t *object = js_object();
	js_set_bool(object, "correct", correct);
	js_set(object, "matched", matched(comparison));
	js_set(object, "missing", unmatched(&comparison->model));
	js_set(object, "unexpected", unmatched(&comparison->run));
	scoped_free char *text = js_pretty(object);
	text_add_string(json, text);
}
