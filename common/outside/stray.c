#include "outside/stray.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/box.h"

#define PATIENCE        10000
#define ARGUMENTS_LIMIT (1024 * 1024)

/* A shell or an editor that somebody has in a job's directory is none of ours. */
static bool
is_ours(const struct text *arguments)
{
	const char *program = text_string(arguments);
	return strings_equal(program, BOX_PROGRAM)
	       || (starts_with(program, "moolloy-")
	           && memmem(arguments->bytes, arguments->length, "\0run-job", 9));
}

/* Is an argument, or the value of an option, the state directory or something of a job in it? That
 * of another worker may lie below it. */
static bool
names(const struct text *arguments, const char *state)
{
	const char *at = arguments->bytes, *end = at + arguments->length;
	size_t length = strlen(state);
	while ((at = memmem(at, (size_t)(end - at), state, length))) {
		bool begins = at > arguments->bytes && (at[-1] == '\0' || at[-1] == '=');
		if (begins && (at[length] == '\0' || starts_with(at + length, "/jobs/")))
			return true;
		at++;
	}
	return false;
}

static bool
is_stray(const char *pid, const char *state)
{
	scoped(text_done) struct text arguments = TEXT_INIT;
	scoped_free char *file = format("/proc/%s/cmdline", pid);
	/* Those that are gone, and the kernel's own, have none. */
	return file_read(AT_FDCWD, file, ARGUMENTS_LIMIT, &arguments, NULL) && arguments.length
	       && is_ours(&arguments) && names(&arguments, state);
}

/* SIGKILL to all of them; how many. */
static int
kill_all(const char *state)
{
	int count = 0;
	scoped(strings_done) struct strings list = STRINGS_INIT;
	if (!directory_list(AT_FDCWD, "/proc", &list, NULL))
		return 0;
	for (size_t i = 0; i < list.count; i++) {
		pid_t pid = atoi(list.items[i]);
		if (pid > 1 && pid != getpid() && is_stray(list.items[i], state)
		    && kill(pid, SIGKILL) == 0)
			count++;
	}
	return count;
}

int
stray_end_all(const char *state_directory)
{
	const struct timespec nap = {.tv_nsec = 2000000};
	int64_t deadline = clock_ms() + PATIENCE;
	int first = kill_all(state_directory);
	for (int left = first; left && clock_ms() < deadline; left = kill_all(state_directory))
		nanosleep(&nap, NULL);
	return first;
}
