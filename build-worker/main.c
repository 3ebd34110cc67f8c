#include "build_job.h"
#include "config.h"
#include "engine/worker.h"

static const struct worker_program build_worker = {
    .name = "build-worker",
    .kind = "build",
    .type = JOB_BUILD,
    .summary = "Takes build jobs: clones the repository at a commit, builds it, stores the jar.",
    .settings = &build_settings,
    .config_size = sizeof(struct build_config),
    .check = build_config_check,
    .run = build_job,
};

int
main(int argc, char **argv)
{
	return worker_main(argc, argv, &build_worker);
}
