#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scoped.h"
#include "engine/pulse.h"
#include "unit.h"
#include "unit_directory.h"

#define EVERY 1000 /* ms: half of what is asked for */

/* The service manager's end. */
static int
listen_as_service_manager(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	scoped_free char *path = unit_path("notify");
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "2000000", 1);
	return fd;
}

static bool
heard(int fd)
{
	char text[64];
	ssize_t got = recv(fd, text, sizeof text - 1, 0);
	if (got < 0)
		return false;
	text[got] = '\0';
	assert_string_equal(text, "WATCHDOG=1");
	return true;
}

static void
nobody_listens(void **state)
{
	(void)state;
	struct pulse pulse;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	pulse_init(&pulse);
	assert_int_equal(pulse_due(&pulse), -1);
}

static void
it_beats_in_time(void **state)
{
	(void)state;
	struct pulse pulse;
	struct lease lease = {0};
	struct slot slot = {.state = SLOT_IDLE};
	scoped_fd int fd = listen_as_service_manager();
	pulse_init(&pulse);
	pulse_turn(&pulse, &lease, &slot, 5000);
	assert_true(heard(fd));
	assert_int_equal(pulse_due(&pulse), 5000 + EVERY);
	pulse_turn(&pulse, &lease, &slot, 5000 + EVERY - 1);
	assert_false(heard(fd));
	pulse_turn(&pulse, &lease, &slot, 5000 + EVERY);
	assert_true(heard(fd));
}

static void
a_request_that_does_not_end_stops_it(void **state)
{
	(void)state;
	struct pulse pulse;
	struct lease lease = {.under_way = true, .asked = 1000};
	struct slot slot = {.state = SLOT_RUNNING, .pid = getpid()};
	scoped_fd int fd = listen_as_service_manager();
	pulse_init(&pulse);
	pulse_turn(&pulse, &lease, &slot, 60000);
	assert_true(heard(fd));
	pulse_turn(&pulse, &lease, &slot, 240000);
	assert_false(heard(fd));
	lease.under_way = false;
	pulse_turn(&pulse, &lease, &slot, 241000);
	assert_true(heard(fd));
}

static void
a_death_that_was_not_noticed_stops_it(void **state)
{
	(void)state;
	struct pulse pulse;
	struct lease lease = {0};
	struct slot slot = {.state = SLOT_RUNNING};
	siginfo_t how;
	scoped_fd int fd = listen_as_service_manager();
	slot.pid = fork();
	if (slot.pid == 0)
		execl("/bin/true", "true", NULL);
	assert_int_equal(waitid(P_PID, (id_t)slot.pid, &how, WEXITED | WNOWAIT), 0);
	pulse_init(&pulse);
	pulse_turn(&pulse, &lease, &slot, 1000);
	assert_true(heard(fd));
	pulse_turn(&pulse, &lease, &slot, 12000);
	assert_false(heard(fd));
	slot.ended = true;
	pulse_turn(&pulse, &lease, &slot, 13000);
	assert_true(heard(fd));
	assert_int_equal(waitpid(slot.pid, NULL, 0), slot.pid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nobody_listens),
	    unit_test_in_directory(it_beats_in_time),
	    unit_test_in_directory(a_request_that_does_not_end_stops_it),
	    unit_test_in_directory(a_death_that_was_not_noticed_stops_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
