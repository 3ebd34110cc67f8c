#include "compare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "outside/json.h"

void
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

static bool
is_solution_name(const char *name)
{
	return starts_with(name, "alloy_solutions_") && ends_with(name, ".xml");
}

/* Leaves the fd after the first line's end, or at the end of a file of one line. */
static bool
skip_first_line(int fd, struct failure *why)
{
	char block[4096];
	off_t at = 0;
	for (;;) {
		ssize_t got = pread(fd, block, sizeof block, at);
		if (got < 0)
			return fail_errno(why, "cannot read a solution");
		const char *newline = memchr(block, '\n', (size_t)got);
		at += newline ? newline - block + 1 : got;
		if (newline || got == 0)
			return lseek(fd, at, SEEK_SET) >= 0
			       || fail_errno(why, "cannot seek in a solution");
	}
}

/* false without failure (code NONE) for what is no regular file. */
static bool
read_solution(int directory, const char *name, const struct tick *tick, struct solution *ret,
              struct failure *why)
{
	struct stat about;
	scoped_fd int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ELOOP)
		return false;
	if (fd < 0 || fstat(fd, &about) < 0)
		return fail_errno(why, "cannot open %s", name);
	if (!S_ISREG(about.st_mode))
		return false;
	if (!skip_first_line(fd, why) || !digest_fd(fd, tick, ret->sha256, why))
		return fail_within(why, "%s", name);
	ret->name = copy_string(name);
	ret->counterpart = NULL;
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
	for (size_t i = 0; i < names.count; i++) {
		scoped(failure_done) struct failure inner = FAILURE_INIT;
		if (!is_solution_name(names.items[i]))
			continue;
		if (read_solution(directory, names.items[i], tick,
		                  &solutions.items[solutions.count], &inner)) {
			solutions.count++;
		} else if (inner.code != FAILURE_NONE) {
			failure_copy(why, &inner);
			return false;
		}
	}
	*ret = solutions;
	solutions = (struct solutions){0};
	return true;
}

/* ---- comparing ---- */

static struct solution *
find_counterpart(struct solutions *solutions, const char *sha256)
{
	for (size_t i = 0; i < solutions->count; i++)
		if (!solutions->items[i].counterpart
		    && strcmp(solutions->items[i].sha256, sha256) == 0)
			return &solutions->items[i];
	return NULL;
}

void
comparison_make(struct comparison *comparison)
{
	size_t pairs = 0;
	for (size_t i = 0; i < comparison->run.count; i++) {
		struct solution *run = &comparison->run.items[i];
		struct solution *model = find_counterpart(&comparison->model, run->sha256);
		if (!model)
			continue;
		run->counterpart = model->name;
		model->counterpart = run->name;
		pairs++;
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
		js_set_string(object, "sha256", solution->sha256);
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
