/*
 * Configuration from YAML files into the struct of a settings table, shown again, and handed to the
 * runner sealed.
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
 * What the file sets replaces what config holds. FAILURE_CONFIGURATION: "/etc/...yaml:12:
 * store.typ: unknown setting ...". A key that is a setting of another program of the family is
 * wrong too, except in CONFIG_COMMON (shared: true), where it is passed over if `others` of the
 * known names hold it.
 */
bool must_check config_read_file(const struct settings *table, void *config, const char *path,
                                 struct failure *why);
/* Reads the files that secrets point to (first line, at most 4 KiB). A name without slash is looked
 * up among systemd's credentials. */
bool must_check config_read_secrets(const struct settings *table, void *config,
                                    struct failure *why);
/* All of it as YAML that reads back to the same, with a comment per setting; no secret's value.
 * malloc'd. */
char *config_show(const struct settings *table, const void *config);
/* Names of settings that differ and are fixed until a restart; appended to *names. */
void config_fixed_changes(const struct settings *table, const void *old_config,
                          const void *new_config, struct strings *names);

/* The configuration with its secrets as a sealed memfd (F_SEAL_WRITE..., close-on-exec), and back.
 */
bool must_check config_seal(const struct settings *table, const void *config, int *ret_fd,
                            struct failure *why);
bool must_check config_unseal(const struct settings *table, void *config, int fd,
                              struct failure *why);

#endif
