/* moolloy-workerctl: what workers do, for the people who run them. Reads their files; asks their
 * control sockets. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/text.h"
#include "base/units.h"
#include "outside/json.h"
#include "work/config.h"
#include "work/outcome.h"
#include "workerctl_store.h"

#define RUNTIME_DIRECTORY "/run/moolloy-workers"
#define STATE_DIRECTORY   "/var/lib/moolloy-workers"
#define ANSWER_SECONDS    10
#define FILE_LIMIT        (1024 * 1024)

struct call {
	const char *runtime, *state; /* directories */
	bool json;
	const char *config; /* file, for store; or NULL */
	bool replace;
	const char *verb;
	const char *argument; /* or NULL */
	char **more;          /* what follows; ends with NULL */
};

/* ---- files of a worker ---- */

static bool
read_json(int directory, const char *path, struct json_t **ret, struct failure *why)
{
	scoped(text_done) struct text text = TEXT_INIT;
	return file_read(directory, path, FILE_LIMIT, &text, why)
	       && (js_parse(text_string(&text), text.length, ret, why)
	           || fail_within(why, "%s", path));
}

/* Names of the workers that have a status file. */
static bool
list_workers(const struct call *call, struct strings *names, struct failure *why)
{
	scoped(strings_done) struct strings files = STRINGS_INIT;
	if (!directory_list(AT_FDCWD, call->runtime, &files, why))
		return false;
	for (size_t i = 0; i < files.count; i++) {
		size_t length = strlen(files.items[i]);
		if (ends_with(files.items[i], ".json") && files.items[i][0] != '.')
			strings_addf(names, "%.*s", (int)(length - strlen(".json")),
			             files.items[i]);
	}
	return names->count > 0
	       || fail(why, FAILURE_NOT_FOUND, "no worker has a status file in %s", call->runtime);
}

/* ---- its control socket ---- */

static bool
connect_to(const char *path, int *ret_fd, struct failure *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = ANSWER_SECONDS};
	if (strlen(path) >= sizeof address.sun_path)
		return fail(why, FAILURE_USAGE, "%s is too long for a socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	scoped_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno(why, "cannot make a socket");
	/* The latter also for connecting, to a worker that accepts nobody. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return fail_errno(why, "cannot reach %s (does the worker run?)", path);
	*ret_fd = take_fd(&fd);
	return true;
}

/* A process id may be another's by now: where nobody listens no worker lives. Of one that does not
 * take the call, or from us not, the id is all there is to go by. */
static bool
is_running(const struct call *call, const char *worker, int64_t pid)
{
	scoped_free char *path = format("%s/%s.sock", call->runtime, worker);
	scoped(failure_done) struct failure why = FAILURE_INIT;
	scoped_fd int fd = -1;
	return connect_to(path, &fd, &why)
	       || (why.code != FAILURE_NOT_FOUND && why.code != FAILURE_NETWORK && pid > 0
	           && getpgid((pid_t)pid) >= 0);
}

/* ---- status ---- */

static const char *
or_dash(const char *text)
{
	return text ? text : "-";
}

/* Its first line, fit for a terminal: it may hold what a server or a repository said. */
static char *
printable(const char *text)
{
	struct text line = TEXT_INIT;
	text_add_printable(&line, text, strcspn(text, "\n"), false);
	return text_take(&line);
}

/* "execute 12.0 MiB of 40.0 MiB" */
static char *
progress_text(const struct json_t *job)
{
	const struct json_t *progress = js_member(job, "progress");
	const char *step = or_dash(js_string(job, "step")), *unit = js_string(progress, "unit");
	int64_t done = 0, total = 0;
	if (!progress)
		return copy_string(step);
	js_integer(progress, "done", &done);
	js_integer(progress, "total", &total);
	bool bytes = strings_equal(unit, "bytes");
	scoped_free char *so_far = bytes ? size_rough(done) : format("%" PRId64, done);
	scoped_free char *all = bytes ? size_rough(total)
	                              : format("%" PRId64 " %s", total, or_dash(unit));
	return total ? format("%s, %s of %s", step, so_far, all) : format("%s, %s", step, so_far);
}

static void
print_counters(const struct json_t *counters)
{
	static const struct {
		const char *key, *word;
	} ends[] = {{"succeeded", "succeeded"},
	            {"failed", "failed"},
	            {"handed_back", "handed back"},
	            {"lost", "lost"}};
	printf("  jobs since its start:");
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		int64_t count = 0;
		js_integer(counters, ends[i].key, &count);
		printf("%s %" PRId64 " %s", i ? "," : "", count, ends[i].word);
	}
	printf("\n");
}

static void
print_status(const struct call *call, const char *worker, const struct json_t *status)
{
	const struct json_t *job = js_member(status, "job");
	int64_t pid = 0, outbox = 0, parked = 0, ambiguous = 0, healed = 0;
	js_integer(status, "pid", &pid);
	js_integer(status, "outbox", &outbox);
	js_integer(status, "parked", &parked);
	js_integer(status, "ambiguous", &ambiguous);
	js_integer(status, "healed", &healed);
	const char *state = js_string(status, "state");
	bool stopped = strings_equal(state, "stopped");
	printf("%s (%s): %s%s\n", worker, or_dash(js_string(status, "worker")), or_dash(state),
	       stopped || is_running(call, worker, pid) ? "" : ", but its process is gone");
	if (js_string(status, "why")) {
		scoped_free char *why = printable(js_string(status, "why"));
		printf("  no job is claimed: %s\n", why);
	}
	printf("  dashboard: %s%s\n",
	       js_true(status, "registered") ? "registered as worker " : "not registered",
	       js_true(status, "registered") ? or_dash(js_string(status, "worker_id")) : "");
	if (js_string(status, "dashboard_why")) {
		scoped_free char *why = printable(js_string(status, "dashboard_why"));
		printf("  it does not hear us: %s\n", why);
	}
	if (job) {
		scoped_free char *progress = progress_text(job);
		printf("  job %s (%s of %.12s) since %s: %s\n", or_dash(js_string(job, "id")),
		       or_dash(js_string(job, "type")), or_dash(js_string(job, "commit")),
		       or_dash(js_string(job, "since")), progress);
	}
	if (js_string(job, "trouble")) {
		scoped_free char *trouble = printable(js_string(job, "trouble"));
		printf("  and waits: %s\n", trouble);
	}
	printf("  reports waiting: %" PRId64 ", parked: %" PRId64 "\n", outbox, parked);
	if (ambiguous)
		printf("  finishes sent and not answered, and so sent again: %" PRId64 "\n",
		       ambiguous);
	if (healed)
		printf("  mirrors, templates and jars that were damaged, and made anew: %" PRId64
		       "\n",
		       healed);
	print_counters(js_member(status, "counters"));
	printf("  version %s, pid %" PRId64 ", unchanged since %s\n",
	       or_dash(js_string(status, "version")), pid, or_dash(js_string(status, "updated")));
}

static bool
show_status_of(const struct call *call, const char *worker, struct failure *why)
{
	scoped_free char *path = format("%s/%s.json", call->runtime, worker);
	scoped(js_drop) struct json_t *status = NULL;
	if (!read_json(AT_FDCWD, path, &status, why))
		return why->code == FAILURE_NOT_FOUND ? fail(
			   why, FAILURE_NOT_FOUND, "no worker %s: there is no %s", worker, path)
		                                      : false;
	if (call->json) {
		scoped_free char *text = js_text(status);
		printf("%s\n", text);
	} else {
		print_status(call, worker, status);
	}
	return true;
}

static bool
do_status(const struct call *call, struct failure *why)
{
	scoped(strings_done) struct strings names = STRINGS_INIT;
	if (call->argument)
		return show_status_of(call, call->argument, why);
	if (!list_workers(call, &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++)
		if (!show_status_of(call, names.items[i], why))
			return false;
	return true;
}

/* ---- explain ---- */

static void
explain(enum failure_code code)
{
	printf("%-16s %s. %s\n", failure_name(code), failure_meaning(code),
	       failure_retryable(code) ? "Tried again, here or by another worker."
	                               : "Not tried again.");
}

static bool
do_explain(const struct call *call, struct failure *why)
{
	enum failure_code code;
	if (!call->argument) {
		for (code = FAILURE_NONE + 1; code < FAILURE_CODES; code++)
			explain(code);
		return true;
	}
	if (!failure_from_name(call->argument, &code))
		return fail(why, FAILURE_USAGE,
		            "no failure is called '%s'; explain without a name lists them",
		            call->argument);
	explain(code);
	return true;
}

/* ---- what waits, what was parked, what was kept ---- */

/* When it was added, what it is, why it was parked if it was, and its name. */
static void
print_letter(int directory, const char *name)
{
	scoped(text_done) struct text note = TEXT_INIT;
	scoped_free char *why_file = format("%s.why", name);
	scoped(js_drop) struct json_t *letter = NULL;
	int64_t added = 0;
	char time[WALL_TEXT_SIZE] = "-";
	if (read_json(directory, name, &letter, NULL) && js_integer(letter, "added", &added))
		wall_text(added, time);
	/* Other things than letters are parked, too: messages that could not be read. */
	if (js_string(letter, "job"))
		printf("%s  job %s  %s", time, js_string(letter, "job"),
		       or_dash(js_string(letter, "kind")));
	else
		printf("%s  %.*s", time, (int)strcspn(name, "-"), name);
	if (file_read(directory, why_file, FILE_LIMIT, &note, NULL)) {
		scoped_free char *line = printable(text_string(&note));
		printf("  %s", line);
	}
	printf("  (%s)\n", name);
}

static bool
list_letters(const struct call *call, const char *kind, struct failure *why)
{
	scoped_free char *path = format("%s/%s/%s", call->state, call->argument, kind);
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_fd int directory = -1;
	size_t count = 0;
	if (!directory_open(AT_FDCWD, path, &directory, why)
	    || !directory_list(directory, ".", &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++)
		if (ends_with(names.items[i], ".json") && names.items[i][0] != '.') {
			print_letter(directory, names.items[i]);
			count++;
		}
	if (!count)
		printf("nothing in %s\n", path);
	return true;
}

static bool
do_outbox(const struct call *call, struct failure *why)
{
	return list_letters(call, "outbox", why);
}

static bool
do_parked(const struct call *call, struct failure *why)
{
	return list_letters(call, "parked", why);
}

/* Of a job that could not be done, or of one that was, with a verdict against it. */
static void
print_failure(const char *name, const struct outcome *outcome)
{
	scoped_free char *message = printable(outcome->why.message);
	printf("%-16s %s%s: %s", name, outcome->success ? "done, " : "",
	       failure_name(outcome->why.code), message);
	if (outcome->why.step)
		printf(" (step %s)", outcome->why.step);
	printf("\n");
}

static void
print_job(int jobs, const char *name)
{
	scoped_fd int directory = -1;
	scoped(outcome_done) struct outcome outcome = OUTCOME_INIT;
	if (!directory_open(jobs, name, &directory, NULL)
	    || !outcome_read(directory, &outcome, NULL))
		printf("%-16s no outcome: running, or cut off\n", name);
	else if (outcome.success && outcome.why.code == FAILURE_NONE)
		printf("%-16s done\n", name);
	else
		print_failure(name, &outcome);
}

static bool
do_jobs(const struct call *call, struct failure *why)
{
	scoped_free char *path = format("%s/%s/jobs", call->state, call->argument);
	scoped(strings_done) struct strings names = STRINGS_INIT;
	scoped_fd int jobs = -1;
	if (!directory_open(AT_FDCWD, path, &jobs, why) || !directory_list(jobs, ".", &names, why))
		return false;
	for (size_t i = 0; i < names.count; i++)
		print_job(jobs, names.items[i]);
	if (!names.count)
		printf("no job directories in %s\n", path);
	return true;
}

/* ---- asking ---- */

static bool
ask(const struct call *call, struct json_t **ret_answer, struct failure *why)
{
	scoped_free char *path = format("%s/%s.sock", call->runtime, call->argument);
	scoped_free char *question = format("{\"verb\":\"%s\"}\n", call->verb);
	scoped(text_done) struct text text = TEXT_INIT;
	scoped_fd int fd = -1;
	scoped(js_drop) struct json_t *answer = NULL;
	if (!connect_to(path, &fd, why) || !write_all(fd, question, strlen(question), why)
	    || !read_all(fd, FILE_LIMIT, &text, why)
	    || !js_parse(text_string(&text), text.length, &answer, why))
		return fail_within(why, "%s does not answer", call->argument);
	if (!js_true(answer, "ok"))
		return fail(why, FAILURE_REJECTED, "%s: %s", call->argument,
		            or_dash(js_string(answer, "error")));
	*ret_answer = take_pointer(&answer);
	return true;
}

static bool
do_ask(const struct call *call, struct failure *why)
{
	scoped(js_drop) struct json_t *answer = NULL;
	if (!ask(call, &answer, why))
		return false;
	scoped_free char *text = call->json ? js_text(answer) : NULL;
	printf("%s\n", text ? text : "done");
	return true;
}

static bool
do_memory(const struct call *call, struct failure *why)
{
	static const char *const names[] = {"rss", "pss", "private"};
	scoped(js_drop) struct json_t *answer = NULL;
	int64_t nanoseconds = 0;
	if (call->json)
		return do_ask(call, why);
	if (!ask(call, &answer, why))
		return false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int64_t bytes = 0;
		js_integer(answer, names[i], &bytes);
		scoped_free char *size = size_rough(bytes);
		printf("%-8s %s\n", names[i], size);
	}
	js_integer(answer, "cpu_ns", &nanoseconds);
	printf("%-8s %.3f s\n", "cpu", (double)nanoseconds / 1e9);
	return true;
}

/* ---- the store ---- */

static bool
do_store(const struct call *call, struct failure *why)
{
	const char *key = call->more[0];
	const char *file = key ? call->more[1] : NULL;
	if (file && call->more[2])
		return fail(why, FAILURE_USAGE, "'%s' is one argument too many", call->more[2]);
	const struct store_call store = {.config = call->config,
	                                 .replace = call->replace,
	                                 .verb = call->argument,
	                                 .key = key,
	                                 .file = file};
	return store_call(&store, why);
}

/* ---- the command line ---- */

static const struct verb {
	const char *name, *argument; /* argument: "WORKER", "[WORKER]"; NULL: none */
	const char *help;
	bool (*act)(const struct call *call, struct failure *why);
} verbs[] = {
    {"status", "[WORKER]", "what the workers of this host, or one of them, are doing", do_status},
    {"explain", "[CODE]", "what a failure means, or all of them", do_explain},
    {"jobs", "WORKER", "the job directories it keeps, and how each job ended", do_jobs},
    {"outbox", "WORKER", "the reports that wait for the dashboard or the queue", do_outbox},
    {"parked", "WORKER", "the reports and messages that were given up, and why", do_parked},
    {"cancel", "WORKER", "cancel the running job; it is reported as cancelled", do_ask},
    {"finish", "WORKER", "stop when the running job is done, however long it takes", do_ask},
    {"drain", "WORKER", "stop; a running job gets drain-timeout, then goes back to the queue",
     do_ask},
    {"reload", "WORKER", "read the configuration again", do_ask},
    {"memory", "WORKER", "memory and CPU time of its manager", do_memory},
    {"store", "VERB KEY [FILE]", "head, get or put an object of the store: is it within reach?",
     do_store},
};
#define VERBS (sizeof verbs / sizeof *verbs)

static void
print_help(void)
{
	printf("Usage: moolloy-workerctl [OPTION...] VERB [WORKER|CODE]\n"
	       "       moolloy-workerctl [OPTION...] store head KEY | get KEY FILE | put KEY FILE\n"
	       "Tells what moolloy's workers are doing, and tells them what to do.\n\nVerbs:\n");
	for (size_t i = 0; i < VERBS; i++)
		printf("  %-8s %-15s %s\n", verbs[i].name, verbs[i].argument, verbs[i].help);
	printf("\nWORKER is build-worker or run-worker, or an instance: run-worker@2.\n\nOptions:\n"
	       "  --runtime-directory DIR  where status files and sockets lie (" RUNTIME_DIRECTORY
	       ")\n"
	       "  --state-directory DIR    what lies above the workers' state (" STATE_DIRECTORY
	       ")\n"
	       "  --json                   answers of status and of the asking verbs as JSON\n"
	       "  --config FILE            store: whose settings store.* and aws.* count "
	       "(" CONFIG_COMMON ")\n"
	       "  --replace                store put: also over what lies there\n"
	       "  --version                print the version\n"
	       "  --help                   print this help\n\n"
	       "Exit status: 0 done, 1 the worker refused, or the store has it otherwise, 64 wrong "
	       "usage, 75 no\n"
	       "such worker or object, or no good answer, 78 wrong configuration. See also "
	       "moolloy-build-worker(8), moolloy-run-worker(8).\n");
}

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (strings_equal(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* Options into call; *done: there is nothing more to do. */
static bool
read_options(int argc, char **argv, struct call *call, bool *done, struct failure *why)
{
	static const struct option known[] = {{"runtime-directory", required_argument, NULL, 'r'},
	                                      {"state-directory", required_argument, NULL, 's'},
	                                      {"json", no_argument, NULL, 'j'},
	                                      {"config", required_argument, NULL, 'c'},
	                                      {"replace", no_argument, NULL, 'p'},
	                                      {"version", no_argument, NULL, 'v'},
	                                      {"help", no_argument, NULL, 'h'},
	                                      {NULL, 0, NULL, 0}};
	int option;
	while (!*done && (option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		*done = option == 'h' || option == 'v';
		if (option == 'r')
			call->runtime = optarg;
		else if (option == 's')
			call->state = optarg;
		else if (option == 'j')
			call->json = true;
		else if (option == 'c')
			call->config = optarg;
		else if (option == 'p')
			call->replace = true;
		else if (option == 'v')
			printf("moolloy-workerctl %s\n", MOOLLOY_VERSION);
		else if (option == 'h')
			print_help();
		else
			return fail(why, FAILURE_USAGE, "see moolloy-workerctl --help");
	}
	call->verb = argv[optind];
	call->argument = call->verb ? argv[optind + 1] : NULL;
	call->more = call->argument ? argv + optind + 2 : argv + argc;
	return true;
}

static bool
run(int argc, char **argv, struct failure *why)
{
	struct call call = {.runtime = RUNTIME_DIRECTORY, .state = STATE_DIRECTORY};
	bool done = false;
	if (!read_options(argc, argv, &call, &done, why) || done)
		return done;
	if (!call.verb)
		return fail(why, FAILURE_USAGE, "no verb; see moolloy-workerctl --help");
	const struct verb *verb = find_verb(call.verb);
	if (!verb)
		return fail(why, FAILURE_USAGE, "unknown verb '%s'; see moolloy-workerctl --help",
		            call.verb);
	if (verb->act != do_store && call.more[0])
		return fail(why, FAILURE_USAGE, "'%s' is one argument too many", call.more[0]);
	if (!call.argument && verb->argument[0] == 'W')
		return fail(why, FAILURE_USAGE, "%s of which worker? build-worker or run-worker",
		            verb->name);
	return verb->act(&call, why);
}

int
main(int argc, char **argv)
{
	scoped(failure_done) struct failure why = FAILURE_INIT;
	if (run(argc, argv, &why))
		return EXIT_SUCCESS;
	fprintf(stderr, "moolloy-workerctl: %s [%s]\n", why.message, failure_name(why.code));
	switch (why.code) {
	case FAILURE_REJECTED:
	case FAILURE_EXISTS:
	case FAILURE_HASH_MISMATCH:
		return EXIT_FAILURE;
	default:
		return failure_exit_status(&why);
	}
}
