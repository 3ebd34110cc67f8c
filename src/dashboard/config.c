#include "config.h"

#include <stddef.h>
#include <string.h>

#include "address.h"
#include "base/files.h"
#include "base/text.h"
#include "work/config.h"

#define SYSTEM_FILE CONFIG_DIRECTORY "/dashboard.yaml"

#define ROW(NAME, TYPE, FIELD)                                                                     \
	.name = (NAME), .type = (TYPE), .offset = offsetof(struct dashboard_config, FIELD)

static const struct setting rows[] = {
    {ROW("listen", SETTING_STRING, listen), .standard = "127.0.0.1:8080", .fixed = true,
     .help = "Address and port to listen on; [::1]:8080 for IPv6, port 0 for any free one. An "
             "address that others can reach needs password-file."},
    {ROW("data", SETTING_PATH, data), .standard = "/var/lib/moolloy-workers/dashboard",
     .fixed = true,
     .help = "Directory of the database; where it is not the usual one, the "
             "store is in it, too, unless store.path says otherwise."},
    {ROW("username", SETTING_STRING, username), .standard = "moolloy", .fixed = true,
     .help = "Name that workers and persons give, with the password, for whatever changes "
             "something."},
    {ROW("password-file", SETTING_SECRET, password), .fixed = true,
     .help = "File whose first line is the password. Without it nobody is asked for one."},
    {ROW("github-secret-file", SETTING_SECRET, github_secret), .fixed = true,
     .help = "File whose first line is the secret of the GitHub webhook: pushes must be signed "
             "with it (X-Hub-Signature-256)."},
    {ROW("hook-secret-file", SETTING_SECRET, hook_secret), .fixed = true,
     .help = "File whose first line is the last part of the webhook's path, "
             "/repo/post_commit/SECRET, for hooks that cannot sign."},
    {ROW("model.max-bytes", SETTING_SIZE, model_max_bytes), .standard = "1GiB", .min = 1024,
     .max = (int64_t)64 << 30, .fixed = true, .help = "Largest archive of a model that is taken."},
    {ROW("log-level", SETTING_CHOICE, log_level), .standard = "info",
     .choices = "error warning notice info debug", .fixed = true,
     .help = "Least important kind of line that is logged."},
};

const struct settings dashboard_settings_table = {
    .rows = rows,
    .count = sizeof rows / sizeof *rows,
    .more = &store_settings_table,
};

static const struct setting *
row(const char *name)
{
	return settings_find(&dashboard_settings_table, name);
}

static bool
read_file(const char *file, struct dashboard_config *config, struct failure *why)
{
	if (file)
		return config_read_file(&dashboard_settings_table, config, file, why);
	return !file_exists(AT_FDCWD, SYSTEM_FILE)
	       || config_read_file(&dashboard_settings_table, config, SYSTEM_FILE, why);
}

static bool
assign(const char *name, const char *value, struct dashboard_config *config, struct failure *why)
{
	return !value
	       || setting_assign(settings_find(&dashboard_settings_table, name), config, value,
	                         why);
}

/* A directory given on the command line may be relative: to where we are now. */
static bool
assign_data(const char *path, struct dashboard_config *config, struct failure *why)
{
	if (!path || path[0] == '/')
		return assign("data", path, config, why);
	scoped_free char *here = realpath(".", NULL);
	if (!here)
		return fail_errno(why, "cannot tell the current directory");
	scoped_free char *whole = format("%s/%s", here, path);
	return assign("data", whole, config, why);
}

static bool
check(struct dashboard_config *config, struct failure *why)
{
	struct address address;
	if (!config->data)
		return fail(why, FAILURE_CONFIGURATION, "data: no directory is set");
	if (!address_parse(config->listen, &address, why))
		return fail_within(why, "listen");
	if (!config->password.value && !address_is_loopback(&address))
		return fail(why, FAILURE_CONFIGURATION,
		            "listen: %s can be reached from elsewhere, so password-file is needed",
		            config->listen);
	if (config->username && strchr(config->username, ':'))
		return fail(why, FAILURE_CONFIGURATION, "username: it must not hold a colon");
	if (config->hook_secret.value && strchr(config->hook_secret.value, '/'))
		return fail(why, FAILURE_CONFIGURATION,
		            "hook-secret-file: the secret must not hold a slash");
	return true;
}

/* The store lies with the data where those lie elsewhere than usual. */
static bool
place_store(struct dashboard_config *config, struct failure *why)
{
	if (config->store.path)
		return true;
	if (strings_equal(config->data, row("data")->standard))
		return setting_assign(row("store.path"), config, row("store.path")->standard, why);
	scoped_free char *path = format("%s/store", config->data);
	return setting_assign(row("store.path"), config, path, why);
}

static bool
load(const struct dashboard_arguments *arguments, struct dashboard_config *config,
     struct failure *why)
{
	config_init(&dashboard_settings_table, config);
	setting_empty(row("store.path"), config);
	if (!read_file(arguments->file, config, why) || !assign_data(arguments->data, config, why)
	    || !assign("listen", arguments->listen, config, why)
	    || !config_read_secrets(&dashboard_settings_table, config, why))
		return false;
	return check(config, why) && store_check(&config->store, why) && place_store(config, why);
}

bool
dashboard_config_load(const struct dashboard_arguments *arguments, struct dashboard_config *config,
                      struct failure *why)
{
	if (load(arguments, config, why))
		return true;
	if (why->code != FAILURE_CONFIGURATION) {
		scoped_free char *message = copy_string(why->message);
		fail(why, FAILURE_CONFIGURATION, "%s", message);
	}
	return false;
}
