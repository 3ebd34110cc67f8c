#include "config.h"
#include "engine/worker.h"
#include "run_job.h"

static const struct worker_program run_worker = {
    .name = "run-worker",
    .kind = "run",
    .type = JOB_RUN,
    .summary = "Takes run jobs: fetches jar and model, runs moolloy, compares its solutions, "
	       "stores the results.",
    .settings = &run_settings,
    .config_size = sizeof(struct run_config),
    .check = run_config_check,
    .run = run_job,
};

int
main(int argc, char **argv)
{
	return worker_main(argc, argv, &run_worker);
}
