#include "remote/credentials_local.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/secret.h"
#include "base/text.h"
#include "remote/credentials_file.h"

#define SYSTEMD_CREDENTIAL "aws-credentials"

/* What one source gave. */
struct look {
	const struct aws_settings *settings;
	struct aws_keys keys;
	char *where;
};

/* Three parts that stand somewhere: all that is needed, nothing, or too little. */
static enum local_finding
take_parts(struct look *look, const char *where, struct failure *why)
{
	const struct aws_keys *keys = &look->keys;
	look->where = copy_string(where);
	if (!keys->id && !keys->secret && !keys->token)
		return LOCAL_ABSENT;
	return aws_keys_check(keys, where, why) ? LOCAL_FOUND : LOCAL_BROKEN;
}

static bool
read_part(const char *setting, const struct secret *secret, char **ret, struct failure *why)
{
	return secret_read(secret, ret, why) || fail_within(why, "%s", setting);
}

static enum local_finding
look_at_settings(struct look *look, struct failure *why)
{
	const struct aws_settings *settings = look->settings;
	return read_part("aws.access-key-file", &settings->access_key, &look->keys.id, why)
	               && read_part("aws.secret-key-file", &settings->secret_key,
	                            &look->keys.secret, why)
	               && read_part("aws.session-token-file", &settings->session_token,
	                            &look->keys.token, why)
	           ? take_parts(look, "settings", why)
	           : LOCAL_BROKEN;
}

static enum local_finding
look_at_environment(struct look *look, struct failure *why)
{
	look->keys.id = copy_string(environment_value("AWS_ACCESS_KEY_ID"));
	look->keys.secret = copy_string(environment_value("AWS_SECRET_ACCESS_KEY"));
	look->keys.token = copy_string(environment_value("AWS_SESSION_TOKEN"));
	return take_parts(look, "environment", why);
}

/* The profile somebody asked for; NULL: nobody did. */
static const char *
chosen_profile(const struct look *look)
{
	return look->settings->profile ? look->settings->profile : environment_value("AWS_PROFILE");
}

/* expected: its absence, or that of the default profile, is a failure. */
static enum local_finding
look_into(struct look *look, const char *path, bool expected, struct failure *why)
{
	struct stat about;
	struct failure inner = FAILURE_INIT;
	const char *chosen = chosen_profile(look);
	const char *profile = chosen ? chosen : "default";
	if (!expected && stat(path, &about) < 0)
		return LOCAL_ABSENT;
	if (credentials_file_read(path, profile, &look->keys, &inner)) {
		look->where = format("%s, profile %s", path, profile);
		return LOCAL_FOUND;
	}
	if (inner.code == FAILURE_NOT_FOUND && !expected && !chosen)
		return LOCAL_ABSENT;
	fail(why, FAILURE_CREDENTIALS, "%s", inner.message);
	return LOCAL_BROKEN;
}

static enum local_finding
look_at_file(struct look *look, struct failure *why)
{
	const char *named = look->settings->credentials_file;
	const char *home = environment_value("HOME");
	if (!named)
		named = environment_value("AWS_SHARED_CREDENTIALS_FILE");
	if (named)
		return look_into(look, named, true, why);
	if (!home)
		return LOCAL_ABSENT;
	scoped_free char *usual = format("%s/.aws/credentials", home);
	return look_into(look, usual, false, why);
}

static enum local_finding
look_at_systemd(struct look *look, struct failure *why)
{
	const char *directory = service_credentials();
	if (!directory)
		return LOCAL_ABSENT;
	scoped_free char *path = format("%s/" SYSTEMD_CREDENTIAL, directory);
	return look_into(look, path, false, why);
}

enum local_finding
credentials_look(const struct aws_settings *settings, struct aws_keys *ret_keys, char **ret_where,
                 struct failure *why)
{
	static enum local_finding (*const sources[])(struct look *, struct failure *) = {
	    look_at_settings, look_at_environment, look_at_file, look_at_systemd};
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		struct look look = {.settings = settings};
		enum local_finding finding = sources[i](&look, why);
		if (finding == LOCAL_FOUND) {
			*ret_keys = look.keys;
			*ret_where = look.where;
			return finding;
		}
		aws_keys_done(&look.keys);
		free_pointer(&look.where);
		if (finding == LOCAL_BROKEN)
			return finding;
	}
	return LOCAL_ABSENT;
}
