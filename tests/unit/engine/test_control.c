#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "engine/control.h"
#include "outside/json.h"
#include "unit.h"
#include "unit_directory.h"

#define PATIENCE 20 /* s; no client waits longer */

/* The daemon's side: a loop in a thread of its own. */
struct fixture {
	struct loop *loop;
	struct control *control;
	char *path;
	pthread_t thread;
	int acted; /* how often a verb came */
};

static bool
count(void *data, struct json_t *answer, struct failure *why)
{
	(void)why;
	struct fixture *fixture = data;
	js_set_integer(answer, "acted", ++fixture->acted);
	return true;
}

static bool
refuse(void *data, struct json_t *answer, struct failure *why)
{
	(void)data;
	(void)answer;
	return fail(why, FAILURE_NOT_FOUND, "no \"job\" runs");
}

static bool
stop(void *data, struct json_t *answer, struct failure *why)
{
	(void)answer;
	(void)why;
	struct fixture *fixture = data;
	loop_stop(fixture->loop);
	return true;
}

static const struct control_verb verbs[] = {
    {"count", count}, {"refuse", refuse}, {"memory", control_memory}, {"stop", stop}, {NULL, NULL}};

static void *
serve(void *data)
{
	struct fixture *fixture = data;
	return loop_run(fixture->loop, NULL) ? fixture : NULL;
}

static void
open_fixture(struct fixture *fixture)
{
	*fixture = (struct fixture){.path = unit_path("worker.sock")};
	assert_true(loop_new(&fixture->loop, NULL));
	assert_true(
	    control_open(fixture->loop, fixture->path, verbs, fixture, &fixture->control, NULL));
	assert_int_equal(pthread_create(&fixture->thread, NULL, serve, fixture), 0);
}

static int
dial(const struct fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = PATIENCE};
	memcpy(address.sun_path, fixture->path, strlen(fixture->path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static void
say(int fd, const char *bytes)
{
	assert_int_equal(send(fd, bytes, strlen(bytes), MSG_NOSIGNAL), strlen(bytes));
}

/* What the daemon says until it hangs up. Closes fd. */
static void
expect_heard(int fd, const char *wanted)
{
	scoped_fd int owned = fd;
	scoped(text_done) struct text text = TEXT_INIT;
	ssize_t got = 1;
	while (got > 0) {
		char *room = text_reserve(&text, 4096);
		got = recv(owned, room, 4096, 0);
		/* It hangs up without having read all that was said. */
		assert_true(got >= 0 || errno == ECONNRESET);
		text.length += got > 0 ? (size_t)got : 0;
	}
	text_add(&text, "", 0);
	assert_string_equal(text_string(&text), wanted);
}

static void
expect_answer(const struct fixture *fixture, const char *question, const char *answer)
{
	int fd = dial(fixture);
	say(fd, question);
	expect_heard(fd, answer);
}

static void
close_fixture(struct fixture *fixture)
{
	void *served = NULL;
	expect_answer(fixture, "{\"verb\":\"stop\"}\n", "{\"ok\":true}\n");
	assert_int_equal(pthread_join(fixture->thread, &served), 0);
	assert_ptr_equal(served, fixture);
	control_close(&fixture->control);
	assert_null(fixture->control);
	assert_false(file_exists(AT_FDCWD, fixture->path));
	loop_free(&fixture->loop);
	free_pointer(&fixture->path);
}

static void
a_verb_acts_and_answers(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture);
	expect_answer(&fixture, "{\"verb\":\"count\"}\n", "{\"acted\":1,\"ok\":true}\n");
	expect_answer(&fixture, "{ \"verb\" : \"count\", \"more\": [1] }\n",
	              "{\"acted\":2,\"ok\":true}\n");
	expect_answer(&fixture, "{\"verb\":\"refuse\"}\n",
	              "{\"ok\":false,\"error\":\"no \\\"job\\\" runs\"}\n");
	close_fixture(&fixture);
	assert_int_equal(fixture.acted, 2);
}

static void
what_is_no_verb_is_refused(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture);
	expect_answer(&fixture, "{\"verb\":\"dance\"}\n",
	              "{\"ok\":false,\"error\":\"unknown verb 'dance'\"}\n");
	expect_answer(&fixture, "{\"verb\":\"\"}\n",
	              "{\"ok\":false,\"error\":\"unknown verb ''\"}\n");
	expect_answer(&fixture, "{\"verb\":7}\n", "{\"ok\":false,\"error\":\"unknown verb ''\"}\n");
	expect_answer(&fixture, "{}\n", "{\"ok\":false,\"error\":\"unknown verb ''\"}\n");
	expect_answer(&fixture, "[]\n", "{\"ok\":false,\"error\":\"unknown verb ''\"}\n");
	close_fixture(&fixture);
	assert_int_equal(fixture.acted, 0);
}

static void
expect_refused(const struct fixture *fixture, const char *bytes, size_t length)
{
	scoped_fd int fd = dial(fixture);
	char answer[4096];
	assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), length);
	ssize_t got = recv(fd, answer, sizeof answer - 1, 0);
	assert_true(got > 0);
	answer[got] = '\0';
	assert_true(starts_with(answer, "{\"ok\":false,\"error\":\"no valid JSON: "));
	assert_int_equal(answer[got - 1], '\n');
}

static void
garbage_is_answered_too(void **state)
{
	(void)state;
	static const char nul[] = "{\"verb\":\"cou\0nt\"}\n";
	struct fixture fixture;
	scoped(text_done) struct text large = TEXT_INIT;
	open_fixture(&fixture);
	expect_refused(&fixture, "\n", 1);
	expect_refused(&fixture, "GET / HTTP/1.1\r\n\r\n", 18);
	expect_refused(&fixture, "\xff\xfe\n", 3);
	expect_refused(&fixture, nul, sizeof nul - 1);
	expect_refused(&fixture, "{\"verb\":\"count\"} {\"verb\":\"count\"}\n", 34);
	/* A line that does not end. */
	while (large.length <= 8192)
		text_add_string(&large, "a line without an end ");
	expect_refused(&fixture, large.bytes, large.length);
	close_fixture(&fixture);
	assert_int_equal(fixture.acted, 0);
}

static void
a_line_may_come_in_pieces(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture);
	int slow = dial(&fixture);
	say(slow, "{\"ver");
	/* Others are served meanwhile. */
	expect_answer(&fixture, "{\"verb\":\"count\"}\n", "{\"acted\":1,\"ok\":true}\n");
	say(slow, "b\":\"count\"");
	expect_answer(&fixture, "{\"verb\":\"count\"}\n", "{\"acted\":2,\"ok\":true}\n");
	say(slow, "}\n");
	expect_heard(slow, "{\"acted\":3,\"ok\":true}\n");
	close_fixture(&fixture);
}

static void
who_leaves_early_does_no_harm(void **state)
{
	(void)state;
	struct fixture fixture;
	open_fixture(&fixture);
	for (int i = 0; i < 20; i++) {
		scoped_fd int silent = dial(&fixture);
		scoped_fd int half = dial(&fixture);
		say(half, "{\"verb\":");
		scoped_fd int deaf = dial(&fixture);
		say(deaf, "{\"verb\":\"refuse\"}\n");
	}
	expect_answer(&fixture, "{\"verb\":\"count\"}\n", "{\"acted\":1,\"ok\":true}\n");
	close_fixture(&fixture);
}

/* Any number of clients that say nothing must not keep out one that does. */
static void
the_silent_make_room(void **state)
{
	(void)state;
	struct fixture fixture;
	int silent[40];
	open_fixture(&fixture);
	for (size_t i = 0; i < 40; i++)
		silent[i] = dial(&fixture);
	expect_answer(&fixture, "{\"verb\":\"count\"}\n", "{\"acted\":1,\"ok\":true}\n");
	/* The first was let go, the last may still ask. */
	expect_heard(silent[0], "");
	say(silent[39], "{\"verb\":\"count\"}\n");
	expect_heard(silent[39], "{\"acted\":2,\"ok\":true}\n");
	for (size_t i = 1; i < 39; i++)
		close_fd(&silent[i]);
	close_fixture(&fixture);
}

static void
memory_is_told_in_bytes(void **state)
{
	(void)state;
	static const char *const names[] = {"rss", "pss", "private", "cpu_ns"};
	scoped(js_drop) struct json_t *answer = js_object();
	assert_true(control_memory(NULL, answer, NULL));
	for (size_t i = 0; i < 4; i++) {
		int64_t number = 0;
		assert_true(js_integer(answer, names[i], &number));
		assert_true(number > 0);
	}
	int64_t rss = 0, private = 0;
	js_integer(answer, "rss", &rss);
	js_integer(answer, "private", &private);
	assert_true(rss > 100 * 1024 && private <= rss);
}

static void
the_socket_is_not_everybodys(void **state)
{
	(void)state;
	struct fixture fixture;
	struct stat about;
	unit_write("worker.sock", "left by a crash");
	open_fixture(&fixture);
	assert_int_equal(stat(fixture.path, &about), 0);
	assert_true(S_ISSOCK(about.st_mode));
	assert_int_equal(about.st_mode & 07777, 0660);
	close_fixture(&fixture);
}

static void
a_bad_place_is_told_of(void **state)
{
	(void)state;
	struct loop *loop = NULL;
	struct control *control = NULL;
	struct failure why = FAILURE_INIT;
	scoped_free char *none = unit_path("none/worker.sock");
	scoped_free char *deep = format("%s/%0120d.sock", unit_directory, 1);
	assert_true(loop_new(&loop, NULL));
	assert_false(control_open(loop, none, verbs, NULL, &control, &why));
	assert_int_equal(why.code, FAILURE_NOT_FOUND);
	assert_false(control_open(loop, deep, verbs, NULL, &control, &why));
	assert_int_equal(why.code, FAILURE_CONFIGURATION);
	assert_non_null(strstr(why.message, "runtime-directory"));
	control_close(&control);
	loop_free(&loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    unit_test_in_directory(a_verb_acts_and_answers),
	    unit_test_in_directory(what_is_no_verb_is_refused),
	    unit_test_in_directory(garbage_is_answered_too),
	    unit_test_in_directory(a_line_may_come_in_pieces),
	    unit_test_in_directory(who_leaves_early_does_no_harm),
	    unit_test_in_directory(the_silent_make_room),
	    cmocka_unit_test(memory_is_told_in_bytes),
	    unit_test_in_directory(the_socket_is_not_everybodys),
	    unit_test_in_directory(a_bad_place_is_told_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
