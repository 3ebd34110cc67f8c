#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/files.h"
#include "outside/child.h"
#include "scripted.h"

/* An openssl s_server with a certificate for 127.0.0.1 that only its own file vouches for. */
static char top[] = "/tmp/test-http-tls-XXXXXX";
static char *key, *certificate;
static pid_t server_pid = -1;
static int server_port;

static pid_t
start_openssl(const struct strings *arguments, int output)
{
	scoped(strings_done) struct strings environment = STRINGS_INIT;
	struct child_start start = CHILD_START_INIT;
	pid_t pid = -1;
	strings_add(&environment, "PATH=/usr/bin");
	start.program = "/usr/bin/openssl";
	start.arguments = arguments;
	start.environment = &environment;
	start.output = output;
	start.dies_with_us = true;
	assert_true(child_start(&start, &pid, NULL));
	return pid;
}

static void
add_words(struct strings *list, const char *words)
{
	scoped_free char *copy = copy_string(words);
	char *rest = copy;
	for (char *word; (word = strsep(&rest, " "));)
		strings_add(list, word);
}

static void
make_certificate(void)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	int status;
	add_words(&arguments, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
	                      "-nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1");
	add_words(&arguments, "-keyout");
	strings_add(&arguments, key);
	strings_add(&arguments, "-out");
	strings_add(&arguments, certificate);
	pid_t pid = start_openssl(&arguments, -1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Reads "ACCEPT 127.0.0.1:PORT". */
static int
read_port(int fd)
{
	scoped(text_done) struct text text = TEXT_INIT;
	const char *found;
	while (!(found = strstr(text_string(&text), "127.0.0.1:")) || !strchr(found, '\n')) {
		char *room = text_reserve(&text, 256);
		ssize_t got = read(fd, room, 255);
		assert_true(got > 0);
		room[got] = '\0';
		text.length += (size_t)got;
	}
	return atoi(found + 10);
}

static int
start_server(void **state)
{
	(void)state;
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	int ends[2];
	assert_non_null(mkdtemp(top));
	key = format("%s/key.pem", top);
	certificate = format("%s/certificate.pem", top);
	make_certificate();
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	add_words(&arguments, "openssl s_server -accept 127.0.0.1:0 -www -key");
	strings_add(&arguments, key);
	strings_add(&arguments, "-cert");
	strings_add(&arguments, certificate);
	server_pid = start_openssl(&arguments, ends[1]);
	close_fd(&ends[1]);
	server_port = read_port(ends[0]);
	close_fd(&ends[0]);
	return 0;
}

static int
stop_server(void **state)
{
	(void)state;
	kill(server_pid, SIGKILL);
	waitpid(server_pid, NULL, 0);
	free(key);
	free(certificate);
	return tree_remove(AT_FDCWD, top, NULL) ? 0 : -1;
}

/* ---- asking ---- */

struct outcome {
	struct desk desk;
	int status;
	enum failure_code code;
};

static void
note(void *data, const struct http_answer *answer, const struct failure *why)
{
	struct outcome *outcome = data;
	outcome->status = answer ? answer->status : 0;
	outcome->code = why ? why->code : FAILURE_NONE;
	desk_stop(&outcome->desk);
}

static struct outcome
ask(const char *host, int port, const char *ca_file)
{
	struct outcome outcome = {0};
	scoped_free char *url = format("https://%s:%d/", host, port);
	struct http_request request = {.method = "GET", .url = url, .ca_file = ca_file};
	desk_open(&outcome.desk);
	http_start(outcome.desk.client, &request, note, &outcome);
	desk_run(&outcome.desk);
	desk_close(&outcome.desk);
	return outcome;
}

static void
a_certificate_of_the_file_is_good(void **state)
{
	(void)state;
	struct outcome outcome = ask("127.0.0.1", server_port, certificate);
	assert_int_equal(outcome.code, FAILURE_NONE);
	assert_int_equal(outcome.status, 200);
}

static void
an_unknown_certificate_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ask("127.0.0.1", server_port, NULL).code, FAILURE_TLS);
}

static void
another_name_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ask("localhost", server_port, certificate).code, FAILURE_TLS);
}

static void
a_file_that_vouches_for_nothing_is_refused(void **state)
{
	(void)state;
	assert_int_equal(ask("127.0.0.1", server_port, "/nowhere/ca.pem").code, FAILURE_TLS);
	assert_int_equal(ask("127.0.0.1", server_port, key).code, FAILURE_TLS);
}

static void
a_server_without_tls_is_refused(void **state)
{
	(void)state;
	static const struct scripted script = {.bytes = OK_ANSWER("2", "OK")};
	int port;
	scoped_fd int listening = listen_somewhere(&port);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = accept(listening, NULL, NULL);
		_exit(send(fd, script.bytes, strlen(script.bytes), 0) < 0);
	}
	assert_int_equal(ask("127.0.0.1", port, certificate).code, FAILURE_TLS);
	waitpid(pid, NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_certificate_of_the_file_is_good),
	    cmocka_unit_test(an_unknown_certificate_is_refused),
	    cmocka_unit_test(another_name_is_refused),
	    cmocka_unit_test(a_file_that_vouches_for_nothing_is_refused),
	    cmocka_unit_test(a_server_without_tls_is_refused),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
