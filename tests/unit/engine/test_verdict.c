#include "engine/verdict.h"
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
	    {NOTHING, STOP_CANCEL, killed(SIGKILL), false, FAILURE_CANCELLED},
	    {NOTHING, STOP_HANDBACK, killed(SIGKILL), false, FAILURE_HANDED_BACK},
	    {NOTHING, STOP_NONE, killed(SIGKILL), false, FAILURE_RUNNER_LOST},
	    {NOTHING, STOP_NONE, killed(SIGSEGV), false, FAILURE_RUNNER_LOST},
	    {NOTHING, STOP_NONE, exited(1), false, FAILURE_INTERNAL},
	    {NOTHING, STOP_NONE, exited(0), false, FAILURE_INTERNAL},
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
	    cmocka_unit_test(our_reason_keeps_its_word_as_evidence),
	    cmocka_unit_test(a_crash_of_the_manager_is_a_lost_runner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
