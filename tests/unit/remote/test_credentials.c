/* The chain of sources of keys; those that are asked are played by a scripted server. */
#include <sys/stat.h>

#include "remote/credentials.h"
#include "scripted.h"
#include "unit_directory.h"

#define JSON(BODY) "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" BODY
#define FAR_AWAY   "2099-01-01T00:00:00Z"
#define KEYS(ID, EXPIRATION)                                                                       \
	JSON("{\"AccessKeyId\":\"" ID "\",\"SecretAccessKey\":\"hush\",\"Token\":\"tok\","         \
	     "\"Expiration\":\"" EXPIRATION "\"}")

/* Nothing is set but what a test sets. */
static int
clean(void **state)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID",
	                                    "AWS_SECRET_ACCESS_KEY",
	                                    "AWS_SESSION_TOKEN",
	                                    "AWS_SHARED_CREDENTIALS_FILE",
	                                    "AWS_PROFILE",
	                                    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	                                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	                                    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	                                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	                                    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
	                                    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
	                                    "AWS_WEB_IDENTITY_TOKEN_FILE",
	                                    "CREDENTIALS_DIRECTORY",
	                                    "HOME"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	setenv("http_proxy", "http://127.0.0.1:1", 1); /* never used */
	return unit_make_directory(state);
}

static void
expect_source(const struct aws_settings *settings, const char *wanted)
{
	scoped_free char *got = credentials_describe(settings);
	assert_string_equal(got, wanted);
}

static void
write_file(const char *name, const char *profile, const char *id)
{
	scoped_free char *text = format(
	    "[%s]\naws_access_key_id = %s\naws_secret_access_key = hush\n", profile, id);
	unit_write(name, text);
}

/* ---- the order ---- */

static void
test_order(void **state)
{
	(void)state;
	struct aws_settings settings = {0};
	char id[] = "id", secret[] = "secret", named[] = "/nowhere/x";
	scoped_free char *usual = unit_path(".aws");
	scoped_free char *systemd = format("%s/aws-credentials, profile default", unit_directory);
	scoped_free char *file = format("%s/credentials, profile default", usual);
	expect_source(&settings, "none");
	setenv("AWS_EC2_METADATA_DISABLED", "false", 1);
	expect_source(&settings, "instance http://169.254.169.254");
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost:80/x?secret", 1);
	expect_source(&settings, "container http://localhost:80");
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x", 1);
	expect_source(&settings, "container http://169.254.170.2");
	setenv("CREDENTIALS_DIRECTORY", unit_directory, 1);
	write_file("aws-credentials", "default", "AKIA2");
	expect_source(&settings, systemd);
	setenv("HOME", unit_directory, 1);
	assert_true(directory_make(usual, 0700, NULL));
	write_file(".aws/credentials", "default", "AKIA3");
	expect_source(&settings, file);
	settings.credentials_file = named;
	expect_source(&settings, "none: cannot open /nowhere/x: No such file or directory");
	setenv("AWS_ACCESS_KEY_ID", "AKIA4", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
	expect_source(&settings, "environment");
	settings.access_key.path = id;
	settings.secret_key.path = secret;
	unit_write("id", "AKIA1\n");
	scoped_free char *absent = format("none: aws.secret-key-file: cannot open %s/secret: No "
	                                  "such file or directory",
	                                  unit_directory);
	expect_source(&settings, absent);
	unit_write("secret", "hush\n");
	expect_source(&settings, "settings");
}

static void
test_half_of_a_key(void **state)
{
	(void)state;
	const struct aws_settings settings = {0};
	setenv("AWS_SECRET_ACCESS_KEY", "hush", 1);
	expect_source(&settings, "none: environment: a secret access key without its id");
	setenv("AWS_SECRET_ACCESS_KEY", "", 1);
	setenv("AWS_SESSION_TOKEN", "hush", 1);
	expect_source(&settings, "none: environment: a session token without its access key");
}

static void
test_profiles(void **state)
{
	(void)state;
	struct aws_settings settings = {0};
	char profile[] = "ours";
	scoped_free char *path = unit_path("keys");
	scoped_free char *found = format("%s, profile ours", path);
	scoped_free char *lacking = format("none: %s holds no profile 'default'", path);
	scoped_free char *other = format("none: %s holds no profile 'theirs'", path);
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	write_file("keys", "ours", "AKIA1");
	expect_source(&settings, lacking);
	setenv("AWS_PROFILE", "theirs", 1);
	expect_source(&settings, other);
	settings.profile = profile;
	expect_source(&settings, found);
}

static void
test_usual_file_without_the_default_profile(void **state)
{
	(void)state;
	const struct aws_settings settings = {0};
	scoped_free char *usual = unit_path(".aws");
	scoped_free char *lacking = format("none: %s/credentials holds no profile 'x'", usual);
	assert_true(directory_make(usual, 0700, NULL));
	setenv("HOME", unit_directory, 1);
	write_file(".aws/credentials", "ours", "AKIA1");
	expect_source(&settings, "none");
	setenv("AWS_PROFILE", "x", 1);
	expect_source(&settings, lacking);
}

static void
test_endpoints_that_are_not_trusted(void **state)
{
	(void)state;
	const struct aws_settings settings = {0};
	static const struct {
		const char *url;
		bool good;
	} rows[] = {
	    {"http://127.0.0.1/x", true},
	    {"http://127.8.9.1:99/x", true},
	    {"http://[::1]/x", true},
	    {"http://[::1]:80", true},
	    {"http://[fd00:ec2::23]/v1/credentials", true},
	    {"http://169.254.170.2/x", true},
	    {"http://169.254.170.23/v1/credentials", true},
	    {"http://LOCALHOST:1/x", true},
	    {"https://keys.example.org/x", true},
	    {"http://keys.example.org/x", false},
	    {"http://169.254.170.24/x", false},
	    {"http://127.0.0.1.example.org/x", false},
	    {"http://127.0.0.1@example.org/x", false},
	    {"http://localhost\\@example.org/x", false},
	    {"http://localhost%2f@x/", false},
	    {"https://user:word@example.org/x", false},
	    {"http://[::1]x.example.org/", false},
	    {"http://[::1", false},
	    {"http://[::2]/", false},
	    {"http://", false},
	    {"ftp://127.0.0.1/x", false},
	    {"localhost", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", rows[i].url, 1);
		scoped_free char *got = credentials_describe(&settings);
		assert_int_equal(starts_with(got, "container "), rows[i].good);
		assert_int_equal(starts_with(got, "none: "), !rows[i].good);
	}
	setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@example.org/", 1);
	expect_source(&settings, "none: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '@example.org/' is "
	                         "no path");
}

/* ---- asking ---- */

struct world {
	struct aws_settings settings;
	struct server server;
	struct http_client *client;
	struct credentials *credentials;
	struct failure why;
};

static void
open_world(struct world *world, const struct scripted *script, size_t count)
{
	*world = (struct world){0};
	server_start(&world->server, script, count);
	world->client = http_client_new(NULL);
	world->credentials = credentials_new(&world->settings, world->client);
}

static void
close_world(struct world *world)
{
	credentials_free(&world->credentials);
	http_client_free(&world->client);
	server_stop(&world->server);
}

static void
world_done(struct world *world)
{
	server_done(&world->server);
	failure_done(&world->why);
}

static void
use_container(const struct world *world)
{
	scoped_free char *url = format("%s/keys", world->server.url);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
}

static void
use_instance(const struct world *world)
{
	scoped_free char *url = format("%s/", world->server.url);
	setenv("AWS_EC2_METADATA_DISABLED", "False", 1);
	setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
}

static void
expect_keys(struct world *world, const char *wanted)
{
	const struct aws_keys *keys = NULL;
	bool good = credentials_get(world->credentials, NULL, &keys, &world->why);
	scoped_free char *got = good ? format("%s %s %s", keys->id, keys->secret,
	                                      keys->token ? keys->token : "-")
	                             : copy_string(world->why.message);
	assert_string_equal(got, wanted);
}

static void
expect_failure(struct world *world, const char *part)
{
	const struct aws_keys *keys = NULL;
	assert_false(credentials_get(world->credentials, NULL, &keys, &world->why));
	assert_int_equal(world->why.code, FAILURE_CREDENTIALS);
	if (!strstr(world->why.message, part))
		assert_string_equal(world->why.message, part);
	assert_null(strstr(world->why.message, "hush"));
}

static void
test_container(void **state)
{
	(void)state;
	const struct scripted script[] = {{.bytes = KEYS("AKIA1", FAR_AWAY)}};
	struct world world;
	scoped_free char *path = unit_path("token");
	open_world(&world, script, 1);
	use_container(&world);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "not this one", 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path, 1);
	unit_write("token", "Basic abc\n");
	expect_keys(&world, "AKIA1 hush tok");
	expect_keys(&world, "AKIA1 hush tok");
	credentials_forget(world.credentials);
	unit_write("token", "Basic def");
	expect_keys(&world, "AKIA1 hush tok");
	close_world(&world);
	assert_int_equal(world.server.asked, 2);
	assert_true(request_has(&world.server, 0, "GET /keys HTTP/1.1\r\n"));
	assert_true(request_has(&world.server, 0, "\r\nAuthorization: Basic abc\r\n"));
	assert_true(request_has(&world.server, 1, "\r\nAuthorization: Basic def\r\n"));
	world_done(&world);
}

static void
test_token_that_is_no_header(void **state)
{
	(void)state;
	const struct scripted script[] = {{.bytes = KEYS("AKIA1", FAR_AWAY)}};
	struct world world;
	open_world(&world, script, 1);
	use_container(&world);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\r\nX: b", 1);
	expect_failure(&world, "the container's authorization token is empty or of several lines");
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nowhere", 1);
	expect_failure(&world, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: cannot open /nowhere");
	close_world(&world);
	assert_int_equal(world.server.asked, 0);
	world_done(&world);
}

static void
test_instance(void **state)
{
	(void)state;
	const struct scripted script[] = {{.bytes = OK_ANSWER("5", "TOKEN")},
	                                  {.bytes = OK_ANSWER("9", "moolloy-w")},
	                                  {.bytes = KEYS("ASIA1", FAR_AWAY)}};
	struct world world;
	open_world(&world, script, 3);
	use_instance(&world);
	expect_keys(&world, "ASIA1 hush tok");
	close_world(&world);
	const struct server *server = &world.server;
	assert_int_equal(server->asked, 3);
	assert_true(request_has(server, 0, "PUT /latest/api/token HTTP/1.1\r\n"));
	assert_true(request_has(server, 0, "\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n"));
	assert_true(
	    request_has(server, 1, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n"));
	assert_true(request_has(server, 1, "\r\nX-aws-ec2-metadata-token: TOKEN\r\n"));
	assert_true(request_has(
	    server, 2, "GET /latest/meta-data/iam/security-credentials/moolloy-w HTTP/1.1\r\n"));
	assert_true(request_has(server, 2, "\r\nX-aws-ec2-metadata-token: TOKEN\r\n"));
	world_done(&world);
}

#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
#define BUSY      "HTTP/1.1 500 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

static void
expect_failure_of(const struct scripted *script, size_t count, const char *part, size_t asked)
{
	struct world world;
	open_world(&world, script, count);
	use_instance(&world);
	expect_failure(&world, part);
	close_world(&world);
	assert_int_equal(world.server.asked, asked);
	world_done(&world);
}

static void
test_broken_instances(void **state)
{
	(void)state;
	const struct scripted token = {.bytes = OK_ANSWER("5", "TOKEN")};
	const struct scripted role = {.bytes = OK_ANSWER("2", "r\n")};
	const struct scripted no_role[] = {token, {.bytes = NOT_FOUND}};
	const struct scripted bad_role[] = {token, {.bytes = OK_ANSWER("6", "../../")}};
	const struct scripted no_token[] = {{.bytes = OK_ANSWER("0", "")}};
	const struct scripted refused[] = {
	    token,
	    role,
	    {.bytes = JSON("{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":"
	                   "\"EC2 cannot assume the role r\"}")}};
	const struct scripted half[] = {
	    token, role, {.bytes = JSON("{\"Code\":\"Success\",\"AccessKeyId\":\"A\"}")}};
	const struct scripted cut[] = {
	    token, role, {.bytes = JSON("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush")}};
	const struct scripted never[] = {token, role, {.bytes = KEYS("A", "soon")}};
	const struct scripted busy[] = {token, {.bytes = BUSY}};
	expect_failure_of(no_role, 2, "none from the EC2 instance's role: the instance has none",
	                  2);
	expect_failure_of(bad_role, 2, "the role's name could not be understood", 2);
	expect_failure_of(no_token, 1, "the session token could not be understood", 1);
	expect_failure_of(refused, 3, "AssumeRoleUnauthorizedAccess: EC2 cannot assume the role r",
	                  3);
	expect_failure_of(half, 3, "an access key's id without its secret", 3);
	expect_failure_of(cut, 3, "the answer is no JSON object", 3);
	expect_failure_of(never, 3, "the Expiration 'soon' is no point in time", 3);
	expect_failure_of(busy, 2, "500", 3);
}

static void
test_second_try(void **state)
{
	(void)state;
	const struct scripted script[] = {{.bytes = "", .then = THEN_RESET},
	                                  {.bytes = KEYS("AKIA1", FAR_AWAY)}};
	struct world world;
	open_world(&world, script, 2);
	use_container(&world);
	expect_keys(&world, "AKIA1 hush tok");
	close_world(&world);
	world_done(&world);
}

static void
test_web_identities_are_not_passed_over(void **state)
{
	(void)state;
	struct world world;
	open_world(&world, &(struct scripted){.bytes = ""}, 1);
	use_instance(&world);
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token", 1);
	expect_failure(&world, "AWS_WEB_IDENTITY_TOKEN_FILE: web identities are not followed");
	close_world(&world);
	assert_int_equal(world.server.asked, 0);
	world_done(&world);
}

static void
test_nothing_at_all(void **state)
{
	(void)state;
	struct world world;
	open_world(&world, &(struct scripted){.bytes = ""}, 1);
	expect_failure(&world, "no keys in settings, environment or files, and no endpoint to ask");
	close_world(&world);
	world_done(&world);
}

/* ---- renewing ---- */

static void
test_keys_that_run_out_are_renewed(void **state)
{
	(void)state;
	/* Long gone: good for the one who asked, never again. */
	const struct scripted script[] = {{.bytes = KEYS("AKIA1", "2020-01-01T00:00:00Z")},
	                                  {.bytes = KEYS("AKIA2", FAR_AWAY)}};
	struct world world;
	open_world(&world, script, 2);
	use_container(&world);
	expect_keys(&world, "AKIA1 hush tok");
	expect_keys(&world, "AKIA2 hush tok");
	expect_keys(&world, "AKIA2 hush tok");
	close_world(&world);
	assert_int_equal(world.server.asked, 2);
	world_done(&world);
}

/* An answer with keys that hold for so long; malloc'd. */
static char *
keys_for(const char *id, int64_t ms)
{
	char until[WALL_TEXT_SIZE];
	return format(JSON("{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"hush\",\"Token\":\"tok\","
	                   "\"Expiration\":\"%s\"}"),
	              id, wall_text(wall_ms() + ms, until));
}

static void
test_old_keys_are_used_while_renewing_fails(void **state)
{
	(void)state;
	scoped_free char *first = keys_for("AKIA1", 2500);
	const struct scripted script[] = {{.bytes = first}, {.bytes = BUSY}};
	struct world world;
	open_world(&world, script, 2);
	use_container(&world);
	expect_keys(&world, "AKIA1 hush tok");
	int64_t late = clock_ms() + PATIENCE;
	/* Still handed out in the last tenth, until they do not hold any more. */
	bool held = true;
	while (held && clock_ms() < late) {
		const struct aws_keys *keys;
		held = credentials_get(world.credentials, NULL, &keys, &world.why);
		assert_true(http_work(world.client, clock_ms() + 20, NULL, NULL));
	}
	assert_false(held);
	/* The path is as good as the keys. */
	assert_non_null(strstr(world.why.message, "none from the container's endpoint: "));
	assert_null(strstr(world.why.message, "GET "));
	close_world(&world);
	assert_true(world.server.asked >= 3);
	world_done(&world);
}

static void
test_failure_is_told_again_until_the_next_try(void **state)
{
	(void)state;
	const struct scripted script[] = {{.bytes = BUSY}};
	struct world world;
	open_world(&world, script, 1);
	use_container(&world);
	for (int i = 0; i < 50; i++)
		expect_failure(&world, "500");
	close_world(&world);
	/* Each asking is two requests, and the waits between two askings grow from up to a second.
	 */
	assert_true(world.server.asked <= 20);
	world_done(&world);
}

static void
test_edited_files_count_after_forgetting(void **state)
{
	(void)state;
	struct world world;
	scoped_free char *path = unit_path("keys");
	open_world(&world, &(struct scripted){.bytes = ""}, 1);
	world.settings.credentials_file = path;
	write_file("keys", "default", "AKIA1");
	expect_keys(&world, "AKIA1 hush -");
	unit_write("keys", "[default]\naws_access_key_id = AKIA2\n");
	expect_keys(&world, "AKIA1 hush -");
	credentials_forget(world.credentials);
	expect_failure(&world, "an access key's id without its secret");
	write_file("keys", "default", "AKIA2");
	expect_keys(&world, "AKIA2 hush -");
	close_world(&world);
	assert_int_equal(world.server.asked, 0);
	world_done(&world);
}

/* ---- on the loop, and giving up ---- */

struct guests {
	struct desk *desk;
	struct credentials *credentials;
	int told, wanted;
};

static void
told(void *data, const struct aws_keys *keys, const struct failure *why)
{
	struct guests *guests = data;
	assert_null(why);
	assert_string_equal(keys->id, "AKIA1");
	/* Told to all, whatever one does with it. */
	credentials_forget(guests->credentials);
	assert_string_equal(keys->secret, "hush");
	if (++guests->told == guests->wanted)
		desk_stop(guests->desk);
}

static void
test_several_wait_for_one_asking(void **state)
{
	(void)state;
	const struct scripted script[] = {{.bytes = KEYS("AKIA1", FAR_AWAY)}};
	struct server server;
	struct desk desk;
	const struct aws_settings settings = {0};
	server_start(&server, script, 1);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url, 1);
	desk_open(&desk);
	struct guests guests = {.desk = &desk, .wanted = 3};
	guests.credentials = credentials_new(&settings, desk.client);
	for (int i = 0; i < 3; i++)
		credentials_want(guests.credentials, told, &guests);
	assert_int_equal(guests.told, 0);
	desk_run(&desk);
	credentials_free(&guests.credentials);
	desk_close(&desk);
	server_stop(&server);
	assert_int_equal(guests.told, 3);
	assert_int_equal(server.asked, 1);
	server_done(&server);
}

static void
test_waiting_can_be_stopped(void **state)
{
	(void)state;
	const struct scripted script[] = {{.bytes = "", .then = THEN_HOLD}};
	const struct tick tick = {.tell = unit_stop};
	const struct aws_keys *keys;
	struct world world;
	open_world(&world, script, 1);
	use_container(&world);
	assert_false(credentials_get(world.credentials, &tick, &keys, &world.why));
	assert_int_equal(world.why.code, FAILURE_CANCELLED);
	close_world(&world);
	world_done(&world);
}

#define test_of(function) cmocka_unit_test_setup_teardown(function, clean, unit_remove_directory)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    test_of(test_order),
	    test_of(test_half_of_a_key),
	    test_of(test_profiles),
	    test_of(test_usual_file_without_the_default_profile),
	    test_of(test_endpoints_that_are_not_trusted),
	    test_of(test_container),
	    test_of(test_token_that_is_no_header),
	    test_of(test_instance),
	    test_of(test_broken_instances),
	    test_of(test_second_try),
	    test_of(test_web_identities_are_not_passed_over),
	    test_of(test_nothing_at_all),
	    test_of(test_keys_that_run_out_are_renewed),
	    test_of(test_old_keys_are_used_while_renewing_fails),
	    test_of(test_failure_is_told_again_until_the_next_try),
	    test_of(test_edited_files_count_after_forgetting),
	    test_of(test_several_wait_for_one_asking),
	    test_of(test_waiting_can_be_stopped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
