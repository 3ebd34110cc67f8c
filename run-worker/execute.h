/* Step execute: moolloy in its box. */
#ifndef RUN_WORKER_EXECUTE_H
#define RUN_WORKER_EXECUTE_H

#include "run.h"

/*
 * Runs the jar on model/model.als in run/, standard output to run/stdout.out, standard error to
 * run/stderr.out; only run/ is writable to it. Fills in job->command, job->result and the outcome's
 * return code, times and verdict, the end of standard error with a bad one. false: it could not be
 * run, or the job was cancelled.
 */
bool must_check execute_moolloy(struct run_job *job);
/* The command line: java OPTIONS -jar .../moolloy.jar --MooAlgorithm=GIA .../model.als (no flag
 * without an algorithm). */
void execute_arguments(const struct run_job *job, struct strings *arguments);

#endif
