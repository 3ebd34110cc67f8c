#include "engine/verdict.h"

#include <sysexits.h>

#include "outside/json.h"
#include "unit.h"

static siginfo_t
exited(int status)
{
	return (siginfo_t){.si_code = CLD_EXITED, .si_status = status};
}

static siginfo_t
killed(int number)
{
	return (siginfo_t){.si_code = CLD_KILLED, .si_status = number};
}

static siginfo_t
dumped(int number)
{
	return (siginfo_t){.si_code = CLD_DUMPED, .si_status = number};
}

enum word { NOTHING, SUCCESS, COMMAND_FAILED };

static void
the_table_in_the_header(void **state)
{
	(void)state;
	const struct {
		enum word word;
		enum stop_reason reason;
		siginfo_t how;
		bool success;
		enum failure_code code;
	} rows[] = {
	    {SUCCESS, STOP_NONE, exited(0), true, FAILURE_NONE},
	    {SUCCESS, STOP_CANCEL, exited(0), true, FAILURE_NONE},
	    {SUCCESS, STOP_HANDBACK, killed(SIGKILL), true, FAILURE_NONE},
	    {SUCCESS, STOP_NONE, killed(SIGSEGV), true, FAILURE_NONE},
	    {COMMAND_FAILED, STOP_NONE, exited(1), false, FAILURE_COMMAND},
	    {COMMAND_FAILED, STOP_CANCEL, exited(1), false, FAILURE_CANCELLED},
	    {COMMAND_FAILED, STOP_HANDBACK, exited(1), false, FAILURE_HANDED_BACK},
	    {COMMAND_FAILED, STOP_LEASE_LOST, exited(1), false, FAILURE_LEASE_LOST},
	    {COMMAND_FAILED, STOP_NONE, exited(0), false, FAILURE_COMMAND},
	    {COMMAND_FAILED, STOP_NONE, killed(SIGKILL), false, FAILURE_COMMAND},
	    {SUCCESS, STOP_LEASE_LOST, exited(0), false, FAILURE_LEASE_LOST},
	    {NOTHING, STOP_CANCEL, exited(0), false, FAILURE_CANCELLED},
	    {NOTHING, STOP_SILENT, killed(SIGKILL), false, FAILURE_RUNNER_LOST},
	    {NOTHING, STOP_LEASE_LOST, killed(SIGTERM), false, FAILURE_LEASE_LOST},
	    {NOTHING, STOP_NONE, dumped(SIGABRT), false, FAILURE_RUNNER_LOST},
	    {NOTHING, STOP_CANCEL, killed(SIGKILL), false, FAILURE_CANCELLED},
	    {NOTHING, STOP_HANDBACK, killed(SIGKILL), false, FAILURE_HANDED_BACK},
	    {NOTHING, STOP_NONE, killed(SIGKILL), false, FAILURE_RUNNER_LOST},
	    {NOTHING, STOP_NONE, killed(SIGSEGV), false, FAILURE_RUNNER_LOST},
	    {NOTHING, STOP_NONE, exited(1), false, FAILURE_INTERNAL},
	    {NOTHING, STOP_NONE, exited(0), false, FAILURE_INTERNAL},
	    {NOTHING, STOP_NONE, exited(EX_TEMPFAIL), false, FAILURE_RUNNER_LOST},
	    {NOTHING, STOP_HANDBACK, exited(EX_TEMPFAIL), false, FAILURE_HANDED_BACK},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct outcome told = OUTCOME_INIT, outcome;
		told.success = rows[i].word == SUCCESS;
		if (rows[i].word == COMMAND_FAILED)
			fail(&told.why, FAILURE_COMMAND, "ant: exit status 1");
		verdict_reach(rows[i].word == NOTHING ? NULL : &told, rows[i].reason, &rows[i].how,
		              &outcome);
		assert_int_equal(outcome.success, rows[i].success);
		assert_int_equal(outcome.why.code, rows[i].code);
		outcome_done(&outcome);
		outcome_done(&told);
	}
}

/* A job that ran to its end is told of whole; what we had wanted meanwhile is forgotten. */
static void
a_result_is_handed_on_whole(void **state)
{
	(void)state;
	struct outcome told = {.success = true,
	                       .return_code = 3,
	                       .result_key = copy_string("results/1-1.tar.zst"),
	                       .jar_sha256 = copy_string("ab"),
	                       .result_sha256 = copy_string("cd"),
	                       .correct = true,
	                       .wall_seconds = 2,
	                       .cpu_seconds = 1,
	                       .max_rss_bytes = 7,
	                       .measured_by = copy_string("proc"),
	                       .populated = copy_string("populated_model.tar.bz2"),
	                       .timings = js_object()};
	const siginfo_t how = exited(0);
	struct outcome outcome;
	fail(&told.why, FAILURE_EXIT_STATUS, "moolloy exited with 3");
	failure_set_details(&told.why, "stderr", 6);
	told.why.step = "execute";
	js_set_real(told.timings, "execute", 2);
	verdict_reach(&told, STOP_CANCEL, &how, &outcome);
	/* It owns what it holds. */
	outcome_done(&told);
	assert_true(outcome.success && outcome.correct);
	assert_int_equal(outcome.return_code, 3);
	assert_string_equal(outcome.result_key, "results/1-1.tar.zst");
	assert_string_equal(outcome.jar_sha256, "ab");
	assert_string_equal(outcome.result_sha256, "cd");
	assert_true(outcome.wall_seconds == 2 && outcome.cpu_seconds == 1);
	assert_int_equal(outcome.max_rss_bytes, 7);
	assert_string_equal(outcome.measured_by, "proc");
	assert_string_equal(outcome.populated, "populated_model.tar.bz2");
	assert_string_equal(outcome.why.message, "moolloy exited with 3");
	assert_string_equal(outcome.why.details, "stderr");
	assert_string_equal(outcome.why.step, "execute");
	scoped_free char *timings = js_text(outcome.timings);
	assert_string_equal(timings, "{\"execute\":2.0}");
	outcome_done(&outcome);
}

static void
our_reason_keeps_its_word_as_evidence(void **state)
{
	(void)state;
	struct outcome told = OUTCOME_INIT, outcome;
	const siginfo_t how = exited(1);
	fail(&told.why, FAILURE_COMMAND, "ant dist: stopped");
	told.why.step = "build";
	verdict_reach(&told, STOP_CANCEL, &how, &outcome);
	assert_string_equal(outcome.why.step, "build");
	assert_string_equal(outcome.why.details, "ant dist: stopped");
	outcome_done(&outcome);
	outcome_done(&told);
}

static void
a_crash_of_the_manager_is_a_lost_runner(void **state)
{
	(void)state;
	struct outcome outcome;
	verdict_reach(NULL, STOP_NONE, NULL, &outcome);
	assert_int_equal(outcome.why.code, FAILURE_RUNNER_LOST);
	assert_true(outcome.why.retryable);
	outcome_done(&outcome);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_table_in_the_header),
	    cmocka_unit_test(a_result_is_handed_on_whole),
	    cmocka_unit_test(our_reason_keeps_its_word_as_evidence),
	    cmocka_unit_test(a_crash_of_the_manager_is_a_lost_runner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
