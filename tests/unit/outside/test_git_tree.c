#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "outside/child.h"
#include "outside/git.h"
#include "unit_directory.h"

#define FILES 300

/* In directory/repository; value may be NULL. */
static void
git(const char *command, const char *option, const char *value)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT, environment = STRINGS_INIT;
	scoped_free char *repository = unit_path("repository");
	struct child_start start = CHILD_START_INIT;
	const char *const words[] = {"git", command, option, value};
	static const char *const names[] = {"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL",
	                                    "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"};
	pid_t pid;
	int status;
	for (size_t i = 0; i < sizeof words / sizeof *words && words[i]; i++)
		strings_add(&arguments, words[i]);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		strings_addf(&environment, "%s=x", names[i]);
	start.program = "/usr/bin/git";
	start.arguments = &arguments;
	start.environment = &environment;
	start.directory = repository;
	assert_true(child_start(&start, &pid, NULL));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A repository whose one commit holds file0 and so on, in directory/repository. */
static char *
make_commit(void)
{
	scoped_free char *path = unit_path("repository"), *refs = NULL;
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(directory_make(path, 0700, NULL));
	git("init", "-q", "-bmain");
	for (int i = 0; i < FILES; i++) {
		scoped_free char *name = format("repository/file%d", i);
		unit_write(name, name);
	}
	git("add", ".", NULL);
	git("commit", "-q", "-mfirst");
	refs = unit_path("repository/.git/refs/heads/main");
	assert_true(file_read(AT_FDCWD, refs, 100, &text, NULL));
	return format("%.40s", text_string(&text));
}

/* A tree without files, of a mirror with that commit. */
static char *
make_tree(const char *commit)
{
	static struct strings protocols;
	static const struct repository_access access = {.protocols = &protocols,
	                                                .stall_timeout = 10000};
	scoped_free char *repository = unit_path("repository"), *mirror = unit_path("mirror");
	struct transfer transfer = {0};
	const struct mirror_fetch fetch = {
	    .mirror = mirror, .url = repository, .commit = commit, .transfer = &transfer};
	char *tree = unit_path("tree");
	strings_add(&protocols, "file");
	assert_true(repository_start(&access, NULL));
	assert_true(mirror_make(mirror, NULL) && mirror_fetch(&fetch, NULL));
	assert_true(tree_make(tree, mirror, "https://host/x", NULL));
	strings_done(&protocols);
	return tree;
}

static size_t
count_files(const char *tree)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	assert_true(directory_list(AT_FDCWD, tree, &names, NULL));
	return names.count - 1; /* .git */
}

static bool
stop_after_ten(void *data, int64_t done, int64_t total)
{
	int64_t *most = data;
	(void)total;
	*most = done > *most ? done : *most;
	return *most < 10;
}

/* In the middle of its files. */
static void
a_checkout_can_be_stopped(void **state)
{
	(void)state;
	int64_t most = 0;
	const struct tick tick = {.tell = stop_after_ten, .data = &most};
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_free char *commit = make_commit(), *tree = make_tree(commit);
	assert_false(tree_check_out(tree, commit, &tick, &why));
	assert_int_equal(why.code, FAILURE_CANCELLED);
	assert_in_range(count_files(tree), 10, 12);
	assert_true(tree_check_out(tree, commit, NULL, NULL));
	assert_int_equal(count_files(tree), FILES);
	assert_true(tree_verify(tree, NULL, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(a_checkout_can_be_stopped),
	};
	signal(SIGPIPE, SIG_IGN); /* as programs do */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
