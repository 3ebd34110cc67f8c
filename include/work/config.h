/*
 * Configuration from YAML files into the struct of a settings table, shown again, and handed to the
 * runner sealed.
 *
 *	config_init(table, &config);
 *	config_read_file(&worker_settings_table, &config, CONFIG_COMMON, why)      if it is there
 *	config_read_file(table, &config, CONFIG_DIRECTORY "/build-worker.yaml", why)
 *	config_read_secrets(table, &config, why)
 */
#ifndef WORK_CONFIG_H
#define WORK_CONFIG_H

#include <stdbool.h>

#include "base/attributes.h"
#include "base/failure.h"
#include "base/settings.h"

#define CONFIG_DIRECTORY "/etc/moolloy-workers"
#define CONFIG_COMMON    CONFIG_DIRECTORY "/common.yaml"

/* config must be zeroed: gets the defaults. */
void config_init(const struct settings *table, void *config);
/*
 * What the file sets replaces what config holds; keys are those of the table.
 * FAILURE_CONFIGURATION:
 * "/etc/moolloy-workers/common.yaml:12: store.typ: unknown setting (did you mean store.type?)". A
 * missing file is FAILURE_NOT_FOUND.
 */
bool must_check config_read_file(const struct settings *table, void *config, const char *path,
                                 struct failure *why);
/* The same for who needs some of a program's settings only: "store.typ" is refused where the table
 * has "store.type", "run.timeout" passed over where it has nothing of "run". */
bool must_check config_read_known(const struct settings *table, void *config, const char *path,
                                  struct failure *why);
/*
 * Reads the files that secrets point to (base/secret.h).
 */
bool must_check config_read_secrets(const struct settings *table, void *config,
                                    struct failure *why);
/* All of it as YAML that reads back to the same, help as comments; no secret's value. malloc'd. */
char *config_show(const struct settings *table, const void *config);
/* Appends to *names the settings that differ and are fixed until a restart. */
void config_fixed_changes(const struct settings *table, const void *old_config,
                          const void *new_config, struct strings *names);

/* The configuration as a sealed, close-on-exec memfd (memfd_create(2)), and back; without what
 * secrets hold: whoever needs one reads it (base/secret.h). */
bool must_check config_seal(const struct settings *table, const void *config, int *ret_fd,
                            struct failure *why);
bool must_check config_unseal(const struct settings *table, void *config, int fd,
                              struct failure *why);

#endif
