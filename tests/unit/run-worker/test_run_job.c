#include <sys/stat.h>

#include "../../../run-worker/config.h"
#include "../../../run-worker/execute.h"
#include "../../../run-worker/package.h"
#include "../../../run-worker/run_job.h"
#include "base/files.h"
#include "base/log.h"
#include "outside/archive.h"
#include "outside/json.h"
#include "unit.h"
#include "work/config.h"

#define JAR_KEY   "builds/abc.jar"
#define MODEL_KEY "models/m.tar.bz2"

/* A store, a job, and a shell in the place of java: its script finds java's arguments in "$@". */
struct world {
	char top[64];
	struct run_config config;
	struct store *store;
	struct job job;
	struct outcome outcome;
	char *directory;      /* the job's */
	struct text unpacked; /* path of what unpack() unpacked last */
};

static void
put_object(struct world *world, const char *key, const char *bytes, size_t length)
{
	const struct store_put put = {.once = false};
	struct store_upload *upload;
	struct store_object object;
	assert_true(store_upload_begin(world->store, key, &put, &upload, NULL));
	assert_true(store_upload_write(upload, bytes, length, NULL));
	assert_true(store_upload_finish(&upload, &object, NULL));
}

static bool
to_text(void *data, const void *bytes, size_t length, struct failure *why)
{
	(void)why;
	text_add(data, bytes, length);
	return true;
}

/* files: name, content, name, content, ..., NULL. */
static void
put_model(struct world *world, const char *const *files)
{
	struct archive_writer *writer;
	scoped(text_done) struct text archive = TEXT_INIT;
	assert_true(archive_begin("bzip2", to_text, &archive, &writer, NULL));
	for (; *files; files += 2) {
		scoped(text_done) struct text bytes = TEXT_INIT;
		text_add_string(&bytes, files[1]);
		assert_true(archive_add_bytes(writer, files[0], &bytes, NULL));
	}
	assert_true(archive_finish(&writer, NULL));
	put_object(world, MODEL_KEY, archive.bytes, archive.length);
}

static void
use_script(struct world *world, const char *script)
{
	struct strings *options = &world->config.jvm_options;
	strings_done(options);
	strings_add(options, "-c");
	strings_add(options, script);
	strings_add(options, "sh");
}

static int
make_world(void **state)
{
	struct world *world = allocate(sizeof *world);
	static const char *const model[] = {"model.als", "a model\n", "alloy_solutions_1.xml",
	                                    "then\nA\n", NULL};
	memcpy(world->top, "/tmp/test-run-job-XXXXXX", sizeof "/tmp/test-run-job-XXXXXX");
	if (!mkdtemp(world->top))
		return -1;
	world->directory = format("%s/12-3", world->top);
	config_init(&run_settings, &world->config);
	replace_string(&world->config.java, "/bin/sh");
	scoped_free char *store = format("%s/store", world->top);
	replace_string(&world->config.worker.store.path, store);
	use_script(world, "printf 'now\\nA\\n' > alloy_solutions_9.xml; echo out; echo err >&2");
	world->job = (struct job){.id = copy_string("12"),
	                          .type = JOB_RUN,
	                          .commit = copy_string("0123456789012345678901234567890123456789"),
	                          .model_id = copy_string("7"),
	                          .jar_key = copy_string(JAR_KEY),
	                          .model_key = copy_string(MODEL_KEY),
	                          .algorithm = copy_string("GIA"),
	                          .attempt = 3};
	world->outcome = (struct outcome)OUTCOME_INIT;
	if (!directory_make(world->directory, 0755, NULL)
	    || !directory_make(world->config.worker.store.path, 0755, NULL)
	    || !store_open(&world->config.worker.store, &world->store, NULL))
		return -1;
	put_object(world, JAR_KEY, "a jar", 5);
	put_model(world, model);
	*state = world;
	return 0;
}

static int
remove_world(void **state)
{
	struct world *world = *state;
	bool removed = tree_remove(AT_FDCWD, world->top, NULL);
	store_close(&world->store);
	settings_done(&run_settings, &world->config);
	job_done(&world->job);
	outcome_done(&world->outcome);
	text_done(&world->unpacked);
	free(world->directory);
	free(world);
	return removed ? 0 : -1;
}

/* Does the job; whether every step could be done. */
static bool
run(struct world *world)
{
	scoped_fd int directory = -1;
	assert_true(directory_open(AT_FDCWD, world->directory, &directory, NULL));
	struct runner runner = {.config = &world->config,
	                        .job = &world->job,
	                        .directory = world->directory,
	                        .directory_fd = directory,
	                        .steps = STEPS_INIT,
	                        .outcome = &world->outcome};
	bool done = run_job(&runner);
	steps_done(&runner.steps);
	return done;
}

static void
assert_verdict(const struct world *world, enum failure_code code, int return_code, bool correct)
{
	const struct outcome *outcome = &world->outcome;
	if (outcome->why.code != code)
		print_error("%s: %s\n", failure_name(outcome->why.code), outcome->why.message);
	assert_int_equal(outcome->why.code, code);
	assert_int_equal(outcome->return_code, return_code);
	assert_int_equal(outcome->correct, correct);
}

/* A step could not be done; java never ran. */
static void
assert_fails(struct world *world, enum failure_code code, const char *step)
{
	assert_false(run(world));
	assert_verdict(world, code, RETURN_CODE_NONE, false);
	assert_string_equal(world->outcome.why.step, step);
	assert_null(world->outcome.result_key);
	assert_true(world->outcome.wall_seconds == 0);
}

/* ---- what is in a tarball ---- */

/* Unpacks what fd holds into a new directory. */
static void
unpack(struct world *world, int fd)
{
	const struct archive_limits limits = {.bytes = 1 << 20, .entries = 100};
	scoped_fd int directory = -1;
	text_clear(&world->unpacked);
	text_addf(&world->unpacked, "%s/unpacked", world->top);
	assert_true(directory_make(text_string(&world->unpacked), 0755, NULL));
	assert_true(directory_open(AT_FDCWD, text_string(&world->unpacked), &directory, NULL));
	assert_true(archive_extract(fd, directory, &limits, NULL, NULL));
}

static void
unpack_results(struct world *world)
{
	scoped_fd int fd = -1;
	assert_non_null(world->outcome.result_key);
	assert_true(store_open_object(world->store, world->outcome.result_key, NULL, &fd, NULL));
	unpack(world, fd);
}

static bool
is_unpacked(const struct world *world, const char *name)
{
	scoped_free char *path = format("%s/%s", text_string(&world->unpacked), name);
	return file_exists(AT_FDCWD, path);
}

static void
assert_unpacked(const struct world *world, const char *name, const char *content)
{
	scoped_free char *path = format("%s/%s", text_string(&world->unpacked), name);
	scoped(text_done) struct text text = TEXT_INIT;
	assert_true(file_read(AT_FDCWD, path, 65536, &text, NULL));
	assert_string_equal(text_string(&text), content);
}

static struct json_t *
read_unpacked_json(const struct world *world, const char *name)
{
	scoped_free char *path = format("%s/%s", text_string(&world->unpacked), name);
	scoped(text_done) struct text text = TEXT_INIT;
	struct json_t *json;
	assert_true(file_read(AT_FDCWD, path, 65536, &text, NULL));
	assert_true(js_parse(text.bytes, text.length, &json, NULL));
	return json;
}

/* ---- good runs ---- */

static void
stores_the_results_of_a_good_run(void **state)
{
	struct world *world = *state;
	struct store_object object;
	assert_true(run(world));
	assert_verdict(world, FAILURE_NONE, 0, true);
	assert_string_equal(world->outcome.result_key, "results/12-3.tar.zst");
	assert_true(store_head(world->store, "results/12-3.tar.zst", &object, NULL));
	assert_string_equal(world->outcome.result_sha256, object.sha256);
	assert_null(world->outcome.populated);
	assert_true(world->outcome.wall_seconds > 0);
	assert_non_null(world->outcome.measured_by);
	unpack_results(world);
	assert_unpacked(world, "run/stdout.out", "out\n");
	assert_unpacked(world, "run/stderr.out", "err\n");
	assert_unpacked(world, "run/alloy_solutions_9.xml", "now\nA\n");
	assert_unpacked(world, "model/model.als", "a model\n");
	assert_true(is_unpacked(world, "hostname"));
	assert_false(is_unpacked(world, "run/moolloy.jar"));
}

static void
tells_all_in_the_manifest(void **state)
{
	struct world *world = *state;
	assert_true(run(world));
	unpack_results(world);
	scoped(js_drop) struct json_t *manifest = read_unpacked_json(world, "manifest.json");
	scoped(js_drop) struct json_t *comparison = read_unpacked_json(world, "comparison.json");
	int64_t number;
	const struct json_t *jar = js_member(manifest, "jar");
	assert_string_equal(js_string(js_member(manifest, "job"), "id"), "12");
	assert_true(js_integer(js_member(manifest, "job"), "attempt", &number) && number == 3);
	assert_string_equal(js_string(jar, "key"), JAR_KEY);
	assert_string_equal(js_string(jar, "sha256"), world->outcome.jar_sha256);
	assert_string_equal(js_string(js_member(manifest, "model"), "key"), MODEL_KEY);
	assert_string_equal(js_item_string(js_member(manifest, "command"), 0), "/bin/sh");
	assert_string_equal(js_string(manifest, "end"), "exited");
	assert_true(js_integer(manifest, "exit_status", &number) && number == 0);
	assert_true(js_is_object(js_member(manifest, "timings")));
	assert_string_equal(js_string(js_member(manifest, "versions"), "moolloy-workers"),
	                    MOOLLOY_VERSION);
	assert_true(js_true(comparison, "correct"));
	assert_int_equal(js_size(js_member(comparison, "matched")), 1);
}

static void
packs_as_the_settings_say(void **state)
{
	struct world *world = *state;
	world->config.include_jar = true;
	replace_string(&world->config.compression, "bzip2");
	assert_true(run(world));
	assert_string_equal(world->outcome.result_key, "results/12-3.tar.bz2");
	unpack_results(world);
	assert_unpacked(world, "run/moolloy.jar", "a jar");
}

static void
runs_the_contract_s_command_line(void **state)
{
	struct world *world = *state;
	struct run_job job = {
	    .config = &world->config, .job = &world->job, .directory = "/state/jobs/12-3"};
	scoped(strings_done) struct strings with = STRINGS_INIT, without = STRINGS_INIT;
	replace_string(&world->config.java, "/usr/bin/java");
	strings_done(&world->config.jvm_options);
	strings_add(&world->config.jvm_options, "-Xss4m");
	strings_add(&world->config.jvm_options, "-Xmx8192m");
	execute_arguments(&job, &with);
	static const char *const expected[] = {"/usr/bin/java",
	                                       "-Xss4m",
	                                       "-Xmx8192m",
	                                       "-jar",
	                                       "/state/jobs/12-3/run/moolloy.jar",
	                                       "--MooAlgorithm=GIA",
	                                       "/state/jobs/12-3/model/model.als"};
	assert_int_equal(with.count, 7);
	for (size_t i = 0; i < 7; i++)
		assert_string_equal(with.items[i], expected[i]);
	replace_string(&world->job.algorithm, NULL);
	execute_arguments(&job, &without);
	assert_int_equal(without.count, 6);
	assert_string_equal(without.items[5], expected[6]);
}

/* ---- bad results are results ---- */

static void
takes_an_exit_status_as_a_verdict(void **state)
{
	struct world *world = *state;
	use_script(world, "printf 'now\\nA\\n' > alloy_solutions_1.xml; exit 3");
	assert_true(run(world));
	/* Though the solutions are right. */
	assert_verdict(world, FAILURE_EXIT_STATUS, 3, false);
	assert_string_equal(world->outcome.why.step, "execute");
	unpack_results(world);
	assert_true(is_unpacked(world, "run/alloy_solutions_1.xml"));
	scoped(js_drop) struct json_t *comparison = read_unpacked_json(world, "comparison.json");
	assert_false(js_true(comparison, "correct"));
}

static void
takes_a_signal_as_a_verdict(void **state)
{
	struct world *world = *state;
	use_script(world, "kill -KILL $$");
	assert_true(run(world));
	assert_verdict(world, FAILURE_EXIT_STATUS, 137, false);
	assert_non_null(strstr(world->outcome.why.message, "signal 9"));
	assert_non_null(world->outcome.result_key);
}

static void
takes_wrong_solutions_as_a_verdict(void **state)
{
	struct world *world = *state;
	use_script(world, "printf 'now\\nB\\n' > alloy_solutions_1.xml");
	assert_true(run(world));
	assert_verdict(world, FAILURE_WRONG_SOLUTIONS, 0, false);
	assert_string_equal(world->outcome.why.step, "compare");
	unpack_results(world);
	scoped(js_drop) struct json_t *comparison = read_unpacked_json(world, "comparison.json");
	assert_int_equal(js_size(js_member(comparison, "missing")), 1);
	assert_int_equal(js_size(js_member(comparison, "unexpected")), 1);
}

static void
takes_time_limits_as_verdicts(void **state)
{
	struct world *world = *state;
	use_script(world, "echo begun; sleep 600");
	world->config.timeout = 300;
	assert_true(run(world));
	assert_verdict(world, FAILURE_TIMEOUT, 255, false);
	unpack_results(world);
	assert_unpacked(world, "run/stdout.out", "begun\n");
	scoped(js_drop) struct json_t *manifest = read_unpacked_json(world, "manifest.json");
	assert_string_equal(js_string(manifest, "end"), "timeout");
}

static void
takes_silence_as_a_verdict(void **state)
{
	struct world *world = *state;
	use_script(world, "sleep 600");
	world->config.no_output_timeout = 300;
	assert_true(run(world));
	assert_verdict(world, FAILURE_NO_OUTPUT, 255, false);
	assert_non_null(world->outcome.result_key);
}

static void
keeps_the_verdict_when_the_store_refuses(void **state)
{
	struct world *world = *state;
	put_object(world, "results", "in the way", 10);
	use_script(world, "exit 3");
	assert_false(run(world));
	assert_int_equal(world->outcome.return_code, 3);
	assert_true(world->outcome.wall_seconds > 0);
	assert_string_equal(world->outcome.why.step, "package");
	assert_non_null(strstr(world->outcome.why.details, "exit status 3"));
	assert_null(world->outcome.result_key);
}

/* ---- no match, no run ---- */

static void
runs_no_jar_of_another_hash(void **state)
{
	struct world *world = *state;
	world->job.jar_sha256 = copy_string(
	    "06f961b802bc46ee168555f066d28f4f0e9afdf3f88174c1ee6f9de004fc30a0");
	assert_fails(world, FAILURE_HASH_MISMATCH, "verify");
}

/* As if the existing worker had stored the jar. */
static void
forget_hash(const struct world *world)
{
	scoped_free char *path = format("%s/store/" JAR_KEY ".sha256", world->top);
	assert_int_equal(unlink(path), 0);
}

static void
asks_the_store_for_the_hash(void **state)
{
	struct world *world = *state;
	forget_hash(world);
	assert_true(store_set_sha256(
	    world->store, JAR_KEY,
	    "06f961b802bc46ee168555f066d28f4f0e9afdf3f88174c1ee6f9de004fc30a0", NULL));
	assert_fails(world, FAILURE_HASH_MISMATCH, "verify");
}

static void
runs_no_jar_of_unknown_hash(void **state)
{
	struct world *world = *state;
	forget_hash(world);
	assert_fails(world, FAILURE_NO_HASH, "verify");
}

static void
runs_a_jar_of_unknown_hash_if_told_so(void **state)
{
	struct world *world = *state;
	forget_hash(world);
	replace_string(&world->config.jar_hash, "if-known");
	assert_true(run(world));
	assert_verdict(world, FAILURE_NONE, 0, true);
}

static void
says_that_there_is_no_jar(void **state)
{
	struct world *world = *state;
	replace_string(&world->job.jar_key, "builds/other.jar");
	assert_fails(world, FAILURE_NO_JAR, "fetch-jar");
	assert_non_null(strstr(world->outcome.why.message, "builds/other.jar"));
}

static void
says_that_there_is_no_model(void **state)
{
	struct world *world = *state;
	replace_string(&world->job.model_key, "models/other.tar.bz2");
	assert_fails(world, FAILURE_NO_MODEL, "fetch-model");
}

static void
refuses_a_damaged_model(void **state)
{
	struct world *world = *state;
	put_object(world, MODEL_KEY, "no archive at all", 17);
	assert_fails(world, FAILURE_BAD_ARCHIVE, "extract");
	assert_non_null(strstr(world->outcome.why.message, MODEL_KEY));
}

static void
refuses_a_model_without_its_file(void **state)
{
	struct world *world = *state;
	static const char *const files[] = {"model/model.als", "one level down", NULL};
	put_model(world, files);
	assert_fails(world, FAILURE_NO_MODEL_FILE, "extract");
}

/* ---- populating ---- */

static const char *const unpopulated[] = {"model.als",
                                          "a model\n",
                                          "README",
                                          "read me\n",
                                          "data/table.csv",
                                          "1,2\n",
                                          UNPOPULATED_MARK,
                                          "",
                                          "alloy_solutions_5.xml",
                                          "old\nX\n",
                                          NULL};

static void
populates_a_model(void **state)
{
	struct world *world = *state;
	put_model(world, unpopulated);
	use_script(world, "for i in 1 2; do printf \"now\\n$i\\n\" > alloy_solutions_$i.xml; done");
	assert_true(run(world));
	assert_verdict(world, FAILURE_NONE, 0, true);
	assert_string_equal(world->outcome.populated, POPULATED_MODEL);
	scoped_free char *path = format("%s/" POPULATED_MODEL, world->directory);
	scoped_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	unpack(world, fd);
	assert_unpacked(world, "model.als", "a model\n");
	assert_unpacked(world, "README", "read me\n");
	assert_unpacked(world, "data/table.csv", "1,2\n");
	assert_unpacked(world, "alloy_solutions_1.xml", "now\n1\n");
	assert_unpacked(world, "alloy_solutions_2.xml", "now\n2\n");
	assert_false(is_unpacked(world, UNPOPULATED_MARK));
	assert_false(is_unpacked(world, "alloy_solutions_5.xml"));
}

static void
populates_nothing_without_solutions(void **state)
{
	struct world *world = *state;
	put_model(world, unpopulated);
	use_script(world, "exit 0");
	assert_true(run(world));
	assert_verdict(world, FAILURE_NONE, 0, true);
	assert_null(world->outcome.populated);
	assert_non_null(world->outcome.result_key);
}

static void
populates_nothing_after_a_failed_run(void **state)
{
	struct world *world = *state;
	put_model(world, unpopulated);
	use_script(world, "printf 'now\\nA\\n' > alloy_solutions_1.xml; exit 1");
	assert_true(run(world));
	assert_verdict(world, FAILURE_EXIT_STATUS, 1, false);
	assert_null(world->outcome.populated);
}

/* ---- a jar that does what it likes ---- */

static void
lets_the_jar_write_in_its_place_only(void **state)
{
	struct world *world = *state;
	static const char *const others[] = {"new", "model/new"};
	use_script(world, "shift; ls ..; cat ../model/model.als\n"
	                  "for f in \"$1\" ../model/model.als ../model/new; do\n"
	                  "(echo x >> $f) 2>/dev/null && echo \"wrote $f\"; done\n"
	                  "echo x > ../new; rm -f \"$1\" 2>/dev/null; exit 7");
	world->config.include_jar = true;
	assert_true(run(world));
	assert_verdict(world, FAILURE_EXIT_STATUS, 7, false);
	unpack_results(world);
	assert_unpacked(world, "run/stdout.out", "model\nrun\na model\n");
	assert_unpacked(world, "run/moolloy.jar", "a jar");
	/* What it wrote beside run/ was its private /tmp, in which this test's place lies. */
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		scoped_free char *path = format("%s/%s", world->directory, others[i]);
		assert_false(file_exists(AT_FDCWD, path));
	}
}

static void
stores_whatever_the_jar_leaves(void **state)
{
	struct world *world = *state;
	use_script(world,
	           "mkfifo alloy_solutions_1.xml pipe; ln -s /etc/shadow alloy_solutions_2.xml\n"
	           "ln -s /etc/shadow link; ln -sf /etc/shadow stdout.out\n"
	           "printf 'now\\nA\\n' > alloy_solutions_3.xml; chmod 000 alloy_solutions_3.xml\n"
	           "mkdir closed; echo x > closed/file; chmod 000 closed/file closed\n"
	           "d=.; for i in $(seq 100); do d=$d/deep; done; mkdir -p $d\n"
	           "touch \"$(printf 'a\\nb\\377')\"; chmod 000 .");
	assert_true(run(world));
	assert_verdict(world, FAILURE_NONE, 0, true);
	assert_non_null(world->outcome.result_key);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_world, remove_world)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(stores_the_results_of_a_good_run),
	    TEST(tells_all_in_the_manifest),
	    TEST(packs_as_the_settings_say),
	    TEST(runs_the_contract_s_command_line),
	    TEST(takes_an_exit_status_as_a_verdict),
	    TEST(takes_a_signal_as_a_verdict),
	    TEST(takes_wrong_solutions_as_a_verdict),
	    TEST(takes_time_limits_as_verdicts),
	    TEST(takes_silence_as_a_verdict),
	    TEST(keeps_the_verdict_when_the_store_refuses),
	    TEST(runs_no_jar_of_another_hash),
	    TEST(asks_the_store_for_the_hash),
	    TEST(runs_no_jar_of_unknown_hash),
	    TEST(runs_a_jar_of_unknown_hash_if_told_so),
	    TEST(says_that_there_is_no_jar),
	    TEST(says_that_there_is_no_model),
	    TEST(refuses_a_damaged_model),
	    TEST(refuses_a_model_without_its_file),
	    TEST(populates_a_model),
	    TEST(populates_nothing_without_solutions),
	    TEST(populates_nothing_after_a_failed_run),
	    TEST(lets_the_jar_write_in_its_place_only),
	    TEST(stores_whatever_the_jar_leaves),
	};
	log_set_level(LEVEL_ERROR);
	return cmocka_run_group_tests_name("run_job", tests, NULL, NULL);
}
