/* The manager: waits for jobs, keeps them ours, has them run, tells of them. Never does work that
 * blocks. */
#ifndef ENGINE_MANAGER_H
#define ENGINE_MANAGER_H

#include "base/attributes.h"
#include "base/failure.h"
#include "engine/program.h"

/* Reads the configuration anew into a zeroed struct; false leaves it to be settings_done(). */
typedef bool manager_load(void *data, void *config, struct failure *why);

/*
 * Serves until it was told to stop. config: validated, of program->config_size; reloads replace
 * what it holds. true: drained. FAILURE_EXISTS: another worker has the state directory.
 */
bool must_check manager_serve(const struct worker_program *program, void *config,
                              manager_load *load, void *load_data, struct failure *why);

#endif
