/*
 * What the dashboard is told of a job, as JSON bodies: the existing dashboard's fields first and in
 * its order, then those that only ours reads.
 */
#ifndef WORK_REPORT_H
#define WORK_REPORT_H

#include "work/job.h"
#include "work/outcome.h"

struct reporter {
	const char *worker; /* name of this worker */
	const char *secret; /* the job's secret_key */
};

/* Body of POST /jobs/ID/start. malloc'd, as are the others. */
char *report_start(const struct reporter *reporter, const struct job *job);
/* Body of POST /jobs/ID/finish. */
char *report_finish(const struct reporter *reporter, const struct job *job,
                    const struct outcome *outcome);

#endif
