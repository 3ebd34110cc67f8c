/* Any bytes as a model's archive: whatever it does, it does below one directory and within the
 * limits. */
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/files.h"
#include "fuzz.h"
#include "outside/archive.h"

static const struct archive_limits limits = {.bytes = 1 << 20, .entries = 100};

static char top[] = "/tmp/fuzz-archive-XXXXXX";
static int dir = -1;

static void
remove_top(void)
{
	if (!tree_remove(AT_FDCWD, top, NULL))
		abort();
}

static void
make_top(void)
{
	must_hold(mkdtemp(top) && directory_open(AT_FDCWD, top, &dir, NULL));
	atexit(remove_top);
}

/* Files and directories, no more bytes than allowed. */
static int64_t
check(int at, const char *path)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	int64_t bytes = 0;
	scoped_fd int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	must_hold(fd >= 0 && directory_list(fd, ".", &names, NULL));
	for (size_t i = 0; i < names.count; i++) {
		struct stat about;
		must_hold(fstatat(fd, names.items[i], &about, AT_SYMLINK_NOFOLLOW) == 0);
		must_hold(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
		bytes += S_ISDIR(about.st_mode) ? check(fd, names.items[i]) : about.st_size;
	}
	return bytes;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct failure why = FAILURE_INIT;
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (dir < 0)
		make_top();
	scoped_fd int in = -1, archive = memfd_create("archive", MFD_CLOEXEC);
	must_hold(write_all(archive, bytes, length, NULL) && lseek(archive, 0, SEEK_SET) == 0);
	must_hold(mkdirat(dir, "in", 0755) == 0 && directory_open(dir, "in", &in, NULL));
	if (!archive_extract(archive, in, &limits, NULL, &why))
		must_hold(why.code == FAILURE_BAD_ARCHIVE);
	must_hold(check(dir, "in") <= limits.bytes);
	must_hold(directory_list(dir, ".", &names, NULL) && names.count == 1);
	must_hold(tree_remove(dir, "in", NULL));
	failure_done(&why);
	return 0;
}
