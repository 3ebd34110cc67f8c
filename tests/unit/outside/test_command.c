#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/files.h"
#include "outside/command.h"
#include "unit.h"

/* The command may write <top>/job; <top>/state lies beside it. */
static char top[] = "/tmp/test-command-XXXXXX";
static char *job;

/* What one command did. */
struct ran {
	struct command_result result;
	struct text output, errors;
};

static void
ran_done(struct ran *ran)
{
	text_done(&ran->output);
	text_done(&ran->errors);
}

static int
make_top(void **state)
{
	(void)state;
	if (!mkdtemp(top))
		return -1;
	job = format("%s/job", top);
	scoped_free char *beside = format("%s/state", top);
	scoped_free char *secret = format("%s/secret", beside);
	scoped(text_done) struct text text = TEXT_INIT;
	text_add_string(&text, "sesame\n");
	return directory_make(job, 0755, NULL) && directory_make(beside, 0755, NULL)
	               && file_replace(AT_FDCWD, secret, &text, 0644, NULL)
	           ? 0
	           : -1;
}

static int
remove_top(void **state)
{
	(void)state;
	free(job);
	return tree_remove(AT_FDCWD, top, NULL) ? 0 : -1;
}

static int
open_output(void)
{
	int fd = open(top, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void
read_back(int fd, struct text *text)
{
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_true(read_all(fd, 64 << 20, text, NULL));
}

/* Runs it with what `command` leaves out: box, environment, directory, output. */
static void
run(struct command *command, struct ran *ran)
{
	const struct box box = {.writable = job};
	struct strings nothing = STRINGS_INIT;
	struct failure why = FAILURE_INIT;
	scoped(strings_done) struct strings environment = STRINGS_INIT;
	scoped_fd int output = open_output();
	scoped_fd int errors = open_output();
	command_environment(&nothing, &environment);
	if (!command->environment)
		command->environment = &environment;
	if (!command->box)
		command->box = &box;
	if (!command->directory)
		command->directory = job;
	command->output = output;
	command->errors = command->errors == -1 ? output : errors;
	if (!command_run(command, &ran->result, &why)) {
		print_error("%s: %s\n", failure_name(why.code), why.message);
		assert_true(false);
	}
	read_back(output, &ran->output);
	read_back(errors, &ran->errors);
}

static void
run_shell(const char *line, struct command *command, struct ran *ran)
{
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	strings_add(&arguments, "sh");
	strings_add(&arguments, "-c");
	strings_add(&arguments, line);
	command->arguments = &arguments;
	run(command, ran);
}

/* The line runs in the box and prints this, with status 0. */
static void
assert_prints(const char *line, const char *expected)
{
	scoped(ran_done) struct ran ran = {0};
	struct command command = {0};
	run_shell(line, &command, &ran);
	assert_string_equal(text_string(&ran.output), expected);
	assert_int_equal(ran.result.status, 0);
}

static void
assert_shell_status(const char *line, int status)
{
	scoped(ran_done) struct ran ran = {0};
	struct command command = {0};
	run_shell(line, &command, &ran);
	assert_int_equal(ran.result.end, COMMAND_EXITED);
	assert_int_equal(ran.result.status, status);
}

/* ---- ends ---- */

static void
tells_how_it_ended(void **state)
{
	(void)state;
	assert_shell_status("exit 0", 0);
	assert_shell_status("exit 3", 3);
	assert_shell_status("exit 255", 255);
	assert_shell_status("kill -KILL $$", 128 + SIGKILL);
	assert_shell_status("kill -SEGV $$", 128 + SIGSEGV);
}

static void
says_which_program_is_missing(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	struct command command = {.arguments = &arguments};
	strings_add(&arguments, "no-such-program");
	run(&command, &ran);
	assert_int_equal(ran.result.end, COMMAND_EXITED);
	assert_int_equal(ran.result.status, 127);
	assert_non_null(strstr(text_string(&ran.errors), "no-such-program: No such file"));
}

static void
says_why_there_is_no_box(void **state)
{
	(void)state;
	struct command_result result = {.status = -7};
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	struct strings environment = STRINGS_INIT;
	struct failure why = FAILURE_INIT;
	scoped_fd int output = open_output();
	const struct box box = {.writable = "/no/such/directory"};
	strings_add(&arguments, "true");
	const struct command command = {.arguments = &arguments,
	                                .environment = &environment,
	                                .directory = "/",
	                                .box = &box,
	                                .output = output,
	                                .errors = output};
	assert_false(command_run(&command, &result, &why));
	assert_int_equal(why.code, FAILURE_SANDBOX);
	assert_non_null(strstr(why.message, "/no/such/directory"));
	assert_int_equal(result.status, -7);
}

static void
ends_at_its_time_limit(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {.timeout = 300};
	run_shell("trap '' TERM INT HUP; while :; do echo noise; sleep 0.05; done", &command, &ran);
	assert_int_equal(ran.result.end, COMMAND_TIMED_OUT);
	assert_int_equal(ran.result.status, 255);
	assert_true(ran.result.wall_seconds >= 0.3);
}

/* One that writes all the time leaves no moment without something to read. */
static void
ends_a_flood_at_its_time_limit(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {.timeout = 300, .output_limit = 1000};
	run_shell("yes", &command, &ran);
	assert_int_equal(ran.result.end, COMMAND_TIMED_OUT);
	assert_true(ran.result.truncated);
	assert_true(ran.result.output_bytes > 1000);
}

static void
ends_when_it_falls_silent(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {.quiet_timeout = 300};
	run_shell("for i in 1 2 3 4 5 6; do echo $i >&2; sleep 0.1; done; sleep 600", &command,
	          &ran);
	assert_int_equal(ran.result.end, COMMAND_QUIET);
	assert_int_equal(ran.result.status, 255);
	/* What it wrote to its errors kept it alive. */
	assert_string_equal(text_string(&ran.errors), "1\n2\n3\n4\n5\n6\n");
}

static bool
stop(void *data, int64_t done, int64_t total)
{
	(void)total;
	int64_t *seen = data;
	*seen = done;
	return done < 6;
}

static void
ends_when_the_tick_says_so(void **state)
{
	(void)state;
	int64_t seen = 0;
	const struct tick tick = {.tell = stop, .data = &seen};
	scoped(ran_done) struct ran ran = {0};
	struct command command = {.tick = &tick};
	run_shell("echo hello; sleep 600", &command, &ran);
	assert_int_equal(ran.result.end, COMMAND_STOPPED);
	assert_int_equal(seen, 6);
	assert_string_equal(text_string(&ran.output), "hello\n");
}

/* ---- output ---- */

static void
bounds_each_output(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {.output_limit = 2048};
	run_shell("head -c 5000 /dev/zero | tr '\\0' x; echo short >&2; exit 4", &command, &ran);
	const char *note = "\n... output limit of 2KiB reached; the rest was dropped\n";
	assert_int_equal(ran.output.length, 2048 + strlen(note));
	assert_string_equal(text_string(&ran.output) + 2048, note);
	assert_string_equal(text_string(&ran.errors), "short\n");
	assert_true(ran.result.truncated);
	assert_int_equal(ran.result.output_bytes, 5000 + strlen("short\n"));
	assert_int_equal(ran.result.status, 4);
}

static void
leaves_what_just_fits(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {.output_limit = 5};
	run_shell("printf 12345", &command, &ran);
	assert_string_equal(text_string(&ran.output), "12345");
	assert_false(ran.result.truncated);
}

static void
keeps_the_order_of_both_in_one(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {.errors = -1};
	run_shell("for i in 1 2 3; do echo o$i; echo e$i >&2; done", &command, &ran);
	assert_string_equal(text_string(&ran.output), "o1\ne1\no2\ne2\no3\ne3\n");
}

/* ---- nothing stays ---- */

/* Whether any process still holds the file open or has this text in its command line. */
static bool
is_running(const char *needle)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	assert_true(directory_list(AT_FDCWD, "/proc", &names, NULL));
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_done) struct text line = TEXT_INIT;
		scoped_free char *path = format("/proc/%s/cmdline", names.items[i]);
		if (strspn(names.items[i], "0123456789") != strlen(names.items[i])
		    || !file_read(AT_FDCWD, path, 65536, &line, NULL))
			continue;
		if (line.length && memmem(line.bytes, line.length, needle, strlen(needle)))
			return true;
	}
	return false;
}

/* A sleep that no other process does. */
static char *
sleep_length(void)
{
	return format("86400.%d%04d", (int)getpid(), (int)(clock_us() % 10000));
}

static void
leaves_no_descendant(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {0};
	scoped_free char *seconds = sleep_length();
	scoped_free char *line = format("(setsid sh -c 'sleep %s & sleep %s' &) & sleep %s & "
	                                "until [ $(pgrep -fc '^sleep %s') = 3 ]; do :; done; "
	                                "echo three",
	                                seconds, seconds, seconds, seconds);
	run_shell(line, &command, &ran);
	/* They hold our pipe, and are gone all the same. */
	assert_string_equal(text_string(&ran.output), "three\n");
	assert_int_equal(ran.result.end, COMMAND_EXITED);
	assert_false(is_running(seconds));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
leaves_no_descendant_when_ended(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {.timeout = 400};
	scoped_free char *seconds = sleep_length();
	scoped_free char *line = format("(setsid nohup sleep %s &); sleep %s", seconds, seconds);
	run_shell(line, &command, &ran);
	assert_int_equal(ran.result.end, COMMAND_TIMED_OUT);
	assert_false(is_running(seconds));
}

/* ---- the box ---- */

static void
writes_only_where_it_may(void **state)
{
	(void)state;
	assert_prints("echo mine > here; cat here; echo x > /tmp/in-the-box && cat /tmp/in-the-box",
	              "mine\nx\n");
	scoped_free char *here = format("%s/here", job);
	assert_true(file_exists(AT_FDCWD, here));
	assert_false(file_exists(AT_FDCWD, "/tmp/in-the-box"));
	static const char *const places[] = {"/x",     "/usr/x",  "/etc/x",
	                                     "/dev/x", "/home/x", "/proc/sys/kernel/core_pattern"};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		scoped(ran_done) struct ran ran = {0};
		struct command command = {0};
		scoped_free char *line = format("echo x >> %s", places[i]);
		run_shell(line, &command, &ran);
		if (ran.result.status == 0)
			print_error("%s can be written\n", places[i]);
		assert_int_not_equal(ran.result.status, 0);
	}
}

static void
bounds_the_private_tmp(void **state)
{
	(void)state;
	assert_prints("stat -f -c '%b %S' /tmp | { read blocks size; "
	              "echo $((blocks * size / 1048576)); }",
	              "1024\n");
}

static void
sees_nothing_of_the_host(void **state)
{
	(void)state;
	scoped_free char *line = format("ls %s; ls -d /root /home /run /var /sys /work /etc/shadow "
	                                "/etc/hostname /etc/ssl/private 2>/dev/null",
	                                top);
	scoped(ran_done) struct ran ran = {0};
	struct command command = {0};
	run_shell(line, &command, &ran);
	assert_string_equal(text_string(&ran.output), "job\n");
	/* Its own processes only: bwrap as the first, the shell. */
	assert_prints("set -- /proc/[0-9]*; echo $#", "2\n");
}

static void
shows_more_read_only(void **state)
{
	(void)state;
	scoped(strings_done) struct strings readonly = STRINGS_INIT;
	scoped(ran_done) struct ran ran = {0};
	strings_addf(&readonly, "%s/state", top);
	strings_addf(&readonly, "%s/jar", job);
	const struct box box = {.writable = job, .readonly = &readonly};
	struct command command = {.box = &box};
	assert_prints("echo bytes > jar", "");
	run_shell("cat ../state/secret jar; echo x > jar || rm -f jar || mv jar other || "
	          "echo x > ../state/x || echo refused",
	          &command, &ran);
	assert_string_equal(text_string(&ran.output), "sesame\nbytes\nrefused\n");
	assert_prints("cat jar", "bytes\n");
}

static void
has_no_network_unless_asked(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	const struct box box = {.writable = job, .network = true};
	struct command command = {.box = &box};
	const char *line = "ls /etc/hosts /etc/resolv.conf 2>/dev/null; readlink /proc/self/ns/net";
	char ours[64] = "";
	assert_true(readlink("/proc/self/ns/net", ours, sizeof ours - 1) > 0);
	run_shell(line, &command, &ran);
	assert_non_null(strstr(text_string(&ran.output), ours));
	text_clear(&ran.output);
	command.box = NULL;
	run_shell(line, &command, &ran);
	assert_null(strstr(text_string(&ran.output), ours));
	assert_null(strstr(text_string(&ran.output), "/etc/"));
	assert_prints("tail -n +3 /proc/net/dev | grep -v lo: ; :", "");
}

static void
gives_exactly_the_environment(void **state)
{
	(void)state;
	scoped(strings_done) struct strings more = STRINGS_INIT, environment = STRINGS_INIT;
	scoped(strings_done) struct strings arguments = STRINGS_INIT;
	scoped(ran_done) struct ran ran = {0};
	setenv("PASSED_ON", "value", 1);
	setenv("KEPT_BACK", "secret", 1);
	strings_add(&more, "GIVEN=a=b c");
	strings_add(&more, "PASSED_ON");
	strings_add(&more, "NOT_SET_AT_ALL");
	command_environment(&more, &environment);
	strings_add(&arguments, "env");
	struct command command = {.arguments = &arguments, .environment = &environment};
	run(&command, &ran);
	scoped_free char *expected = format("PATH=/usr/bin:/bin:/usr/sbin:/sbin\nHOME=/tmp\n"
	                                    "TMPDIR=/tmp\nLANG=C.UTF-8\nGIVEN=a=b c\n"
	                                    "PASSED_ON=value\nPWD=%s\n",
	                                    job);
	assert_string_equal(text_string(&ran.output), expected);
}

static void
gives_no_other_fd(void **state)
{
	(void)state;
	int leaky = open("/etc/passwd", O_RDONLY);
	assert_prints("cd /proc/self/fd && echo * && readlink 0", "0 1 2 3\n/dev/null\n");
	close(leaky);
}

static void
has_no_terminal_and_no_powers(void **state)
{
	(void)state;
	assert_prints("grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; "
	              "(: < /dev/tty) 2>/dev/null || echo no terminal",
	              "CapEff:\t0000000000000000\nNoNewPrivs:\t1\nno terminal\n");
}

/* ---- what it used ---- */

#define BURN                                                                                       \
	"import time, os\n"                                                                        \
	"def burn(s):\n"                                                                           \
	"    t = time.process_time()\n"                                                            \
	"    while time.process_time() - t < s: pass\n"

static void
counts_all_processor_time(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {0};
	/* Half a second in one that is waited for, and half a second in an orphan that is killed
	 * with the box. */
	run_shell("cat > burn.py <<'END'\n" BURN "if os.fork() == 0:\n"
	          "    burn(0.5)\n"
	          "    os._exit(0)\n"
	          "os.wait()\n"
	          "r, w = os.pipe()\n"
	          "if os.fork() == 0:\n"
	          "    os.setsid()\n"
	          "    if os.fork() == 0:\n"
	          "        burn(0.5)\n"
	          "        os.write(w, b'x')\n"
	          "        time.sleep(600)\n"
	          "    os._exit(0)\n"
	          "os.read(r, 1)\n"
	          "END\npython3 burn.py",
	          &command, &ran);
	assert_int_equal(ran.result.status, 0);
	assert_true(ran.result.cpu_seconds > 0.85);
	assert_true(ran.result.cpu_seconds < 3);
	assert_true(ran.result.wall_seconds > 0.5);
}

static void
counts_memory(void **state)
{
	(void)state;
	scoped(ran_done) struct ran ran = {0};
	struct command command = {0};
	run_shell("python3 -c 'x = b\"x\" * 100000000'; python3 -c 'x = b\"x\" * 1000000'",
	          &command, &ran);
	assert_int_equal(ran.result.status, 0);
	assert_true(ran.result.peak_rss_bytes > 95000000);
	assert_true(ran.result.peak_rss_bytes < 200000000);
	assert_true(strcmp(ran.result.measured_by, "proc") == 0
	            || strcmp(ran.result.measured_by, "cgroup") == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tells_how_it_ended),
	    cmocka_unit_test(says_which_program_is_missing),
	    cmocka_unit_test(says_why_there_is_no_box),
	    cmocka_unit_test(ends_at_its_time_limit),
	    cmocka_unit_test(ends_a_flood_at_its_time_limit),
	    cmocka_unit_test(ends_when_it_falls_silent),
	    cmocka_unit_test(ends_when_the_tick_says_so),
	    cmocka_unit_test(bounds_each_output),
	    cmocka_unit_test(leaves_what_just_fits),
	    cmocka_unit_test(keeps_the_order_of_both_in_one),
	    cmocka_unit_test(leaves_no_descendant),
	    cmocka_unit_test(leaves_no_descendant_when_ended),
	    cmocka_unit_test(writes_only_where_it_may),
	    cmocka_unit_test(bounds_the_private_tmp),
	    cmocka_unit_test(sees_nothing_of_the_host),
	    cmocka_unit_test(shows_more_read_only),
	    cmocka_unit_test(has_no_network_unless_asked),
	    cmocka_unit_test(gives_exactly_the_environment),
	    cmocka_unit_test(gives_no_other_fd),
	    cmocka_unit_test(has_no_terminal_and_no_powers),
	    cmocka_unit_test(counts_all_processor_time),
	    cmocka_unit_test(counts_memory),
	};
	return cmocka_run_group_tests_name("command", tests, make_top, remove_top);
}
