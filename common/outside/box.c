#include "outside/box.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "outside/child.h"

/* Shown read-only where they exist; on a merged /usr the links among them are made as links. */
static const char *const system_paths[] = {"/usr",   "/bin",   "/sbin",  "/lib",
                                           "/lib32", "/lib64", "/libx32"};

/* All of /etc that programs need; nothing in it is secret. */
static const char *const etc_paths[] = {
    "/etc/alternatives",    "/etc/ca-certificates", "/etc/ca-certificates.conf",
    "/etc/group",           "/etc/ld.so.cache",     "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",    "/etc/localtime",       "/etc/mime.types",
    "/etc/nsswitch.conf",   "/etc/passwd",          "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf", "/etc/timezone",
};

static const char *const network_paths[] = {"/etc/gai.conf", "/etc/hosts", "/etc/protocols",
                                            "/etc/resolv.conf", "/etc/services"};

/* What a program may put into the box's memory-backed places, in bytes. */
#define TEMPORARY_SIZE "1073741824"
#define SHARED_SIZE    "67108864"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void
add(struct strings *arguments, const char *option, const char *from, const char *to)
{
	strings_add(arguments, option);
	strings_add(arguments, from);
	strings_add(arguments, to);
}

static void
add_all(struct strings *arguments, const char *const *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		strings_add(arguments, options[i]);
}

static void
add_system_path(struct strings *arguments, const char *path)
{
	char target[256];
	ssize_t length = readlink(path, target, sizeof target - 1);
	if (length > 0) {
		target[length] = '\0';
		add(arguments, "--symlink", target, path);
	} else if (errno == EINVAL) {
		add(arguments, "--ro-bind", path, path);
	}
}

static void
add_readonly(struct strings *arguments, const char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add(arguments, "--ro-bind-try", paths[i], paths[i]);
}

static void
add_namespaces(struct strings *arguments, bool network)
{
	static const char *const options[] = {BOX_PROGRAM,     "--unshare-all", "--die-with-parent",
	                                      "--new-session", "--cap-drop",    "ALL"};
	add_all(arguments, options, COUNT(options));
	if (network)
		strings_add(arguments, "--share-net");
}

/* /proc is read-only, or root in the box could write the machine's /proc/sys, core_pattern
 * included. */
static void
add_private_places(struct strings *arguments)
{
	static const char *const options[] = {
	    "--hostname",   "box",  "--proc", "/proc",        "--remount-ro", "/proc",
	    "--dev",        "/dev", "--size", SHARED_SIZE,    "--tmpfs",      "/dev/shm",
	    "--remount-ro", "/dev", "--size", TEMPORARY_SIZE, "--tmpfs",      "/tmp",
	};
	add_all(arguments, options, COUNT(options));
}

/* Java's configuration, whichever versions are installed. */
static void
add_java_settings(struct strings *arguments)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (!directory_list(AT_FDCWD, "/etc", &names, NULL))
		return;
	for (size_t i = 0; i < names.count; i++) {
		scoped_free char *path = format("/etc/%s", names.items[i]);
		if (starts_with(names.items[i], "java"))
			add(arguments, "--ro-bind-try", path, path);
	}
}

void
box_arguments(const struct box *box, struct strings *arguments)
{
	add_namespaces(arguments, box->network);
	add_private_places(arguments);
	for (size_t i = 0; i < COUNT(system_paths); i++)
		add_system_path(arguments, system_paths[i]);
	add_readonly(arguments, etc_paths, COUNT(etc_paths));
	add_java_settings(arguments);
	if (box->network)
		add_readonly(arguments, network_paths, COUNT(network_paths));
	/* In this order, so that something inside the writable directory can be read-only. */
	add(arguments, "--bind", box->writable, box->writable);
	for (size_t i = 0; box->readonly && i < box->readonly->count; i++)
		add(arguments, "--ro-bind", box->readonly->items[i], box->readonly->items[i]);
	/* Last, for the places above are made in it. */
	strings_add(arguments, "--remount-ro");
	strings_add(arguments, "/");
	strings_add(arguments, "--");
}

/* What a process that went wrong printed, on one line. */
static bool
fail_with_output(int fd, int status, struct failure *why)
{
	scoped(text_done) struct text output = TEXT_INIT;
	scoped(text_done) struct text line = TEXT_INIT;
	if (lseek(fd, 0, SEEK_SET) < 0 || !read_all(fd, 64 * 1024, &output, NULL))
		text_clear(&output);
	const char *bytes = text_string(&output);
	text_add_printable(&line, bytes, strcspn(bytes, "\n"), false);
	return fail(why, FAILURE_SANDBOX, BOX_PROGRAM " does not work here (status %d): %s", status,
	            text_string(&line));
}

bool
box_check(const char *writable, struct failure *why)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	struct strings environment = STRINGS_INIT;
	const struct box box = {.writable = writable};
	scoped_fd int output = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct child_start start = CHILD_START_INIT;
	struct failure inner = FAILURE_INIT;
	pid_t pid;
	int status = 0;
	box_arguments(&box, &arguments);
	strings_add(&arguments, "/usr/bin/true");
	start.program = BOX_PROGRAM;
	start.arguments = &arguments;
	start.environment = &environment;
	start.output = start.errors = output;
	if (!child_start(&start, &pid, &inner))
		return fail(why, FAILURE_SANDBOX, "%s (is bubblewrap installed?)", inner.message);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0 || fail_with_output(output, WEXITSTATUS(status), why);
}
