"""What workers do when they are told to stop, to cancel, or asked: signals and the control socket."""
import fcntl
import pathlib
import signal
import socket

import pytest

import models
from make_repository import commit_change, endless_build
from programs import wait_for
from workers import sleepers

PROMPT = 10  # seconds: half of what a wait for the next job takes


@pytest.fixture
def site(new_site, jar):
    site = new_site(workers=["run"])
    site.add_built_commit(jar)
    return site


def settled(site, job):
    """The job, once it is on the queue again."""
    wait_for(lambda: site.job(job)["state"] == "waiting", f"job {job} handed back")
    return site.job(job)


# ---- stopping ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_an_idle_worker_stops_at_once(new_site, number):
    site = new_site()
    for worker in site.workers:
        worker.wait_until_idle()
        worker.signal(number)
    assert [worker.process.wait(PROMPT) for worker in site.workers] == [0, 0]
    assert not site.dashboard.sql("SELECT * FROM workers")
    site.push(site.commit)
    assert site.jobs()[0]["state"] == "waiting"
    status = worker.status()
    assert status["state"] == "stopped" and not status["registered"]


def test_a_running_job_may_finish(site, brief):
    job = brief(site)
    site.run_worker.signal(signal.SIGTERM)
    assert site.run_worker.end() == 0
    assert site.job(job)["correct"] == 1
    assert (site.job(job)["attempt"], site.job(job)["handbacks"]) == (1, 0)


def test_past_drain_timeout_the_job_is_handed_back(new_site, busy):
    # Nothing else happens by then.
    site = new_site(workers=["run"], run={"drain-timeout": "3s"})
    job, seconds = busy(site)
    site.run_worker.signal(signal.SIGTERM)
    assert site.run_worker.end() == 0
    assert not sleepers(seconds)
    back = settled(site, job)
    assert (back["attempt"], back["handbacks"], back["finished_at"]) == (1, 1, None)


def test_another_worker_gets_what_was_handed_back(new_site, busy):
    site = new_site(workers=["run"], run={"drain-timeout": "0s"})
    job, _ = busy(site)
    other = site.add_worker("run", "other").start()
    site.run_worker.signal(signal.SIGTERM)
    assert site.run_worker.end() == 0
    other.wait_for_step("execute", attempt=2)
    other.signal(signal.SIGUSR2)
    assert site.wait_for_job(id=job)["worker"] == "other"


def test_a_second_sigterm_hands_back_now(site, busy):
    job, seconds = busy(site)
    worker = site.run_worker
    worker.signal(signal.SIGTERM)
    worker.wait_until(lambda status: status["state"] == "draining", "draining")
    assert sleepers(seconds)
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert not sleepers(seconds)
    assert settled(site, job)["handbacks"] == 1


def test_sigusr1_waits_for_the_job_alone(new_site, jar, archive):
    site = new_site(workers=["run"], run={"drain-timeout": "0s"})
    site.add_built_commit(jar)
    model = site.add_model("brief", archive(models.misbehaving("delay 1")), ci=False)
    first = site.request_run(model)
    site.run_worker.wait_for_step("execute")
    second = site.request_run(model)
    site.run_worker.signal(signal.SIGUSR1)
    assert site.run_worker.end() == 0
    assert site.job(first)["correct"] == 1
    assert site.job(second)["state"] == "waiting"


# ---- cancelling ----

def test_cancel_ends_every_process(site, busy, brief):
    job, seconds = busy(site)
    site.run_worker.signal(signal.SIGUSR2)
    cancelled = site.wait_for_job(id=job)
    assert (cancelled["failure"], cancelled["return_code"]) == ("cancelled", 255)
    assert cancelled["step"] == "execute"
    assert not sleepers(seconds)
    assert site.wait_for_job(id=brief(site))["correct"] == 1


def test_cancel_ends_every_process_of_a_build(new_site):
    site = new_site(workers=["build"])
    seconds = models.unique_seconds()
    commit = commit_change(site.repository, endless_build(seconds), "Never end")
    site.push(commit)
    wait_for(lambda: sleepers(seconds), "the process that the build leaves")
    site.build_worker.signal(signal.SIGUSR2)
    job = site.wait_for_build(commit)
    assert (job["failure"], job["step"]) == ("cancelled", "build")
    assert not sleepers(seconds)
    assert not (site.store / "builds").exists()


def test_nothing_to_cancel(site):
    site.run_worker.signal(signal.SIGUSR2)
    site.run_worker.log_has("nothing to cancel")
    assert site.run_worker.control("cancel") == {"ok": False, "error": "no job runs"}


# ---- the control socket ----

def test_status_of_a_running_job(site, busy):
    job, _ = busy(site)
    answer = site.run_worker.control("status")
    assert answer["ok"] is True
    status = answer["status"]
    assert status.items() <= site.run_worker.status().items()
    assert (status["worker"], status["program"]) == ("run-worker", "run-worker")
    assert (status["state"], status["pid"]) == ("running", site.run_worker.pid)
    assert (status["job"]["id"], status["job"]["step"]) == (str(job), "execute")
    assert site.run_worker.control("cancel")["job"] == str(job)
    assert site.wait_for_job(id=job)["failure"] == "cancelled"
    assert site.run_worker.wait_until_idle()["counters"]["failed"] == 1


@pytest.mark.parametrize("verb", ["drain", "finish"])
def test_stopping_by_the_control_socket(site, verb):
    assert site.run_worker.control(verb) == {"ok": True, "state": "draining"}
    assert site.run_worker.end() == 0


def test_reload_and_memory_by_the_control_socket(site):
    assert site.run_worker.control("reload")["ok"] is True
    assert "configuration reloaded" in site.run_worker.log()
    memory = site.run_worker.control("memory")
    assert 0 < memory["private"] <= memory["pss"] <= memory["rss"]
    assert memory["cpu_ns"] > 0


def test_unknown_verb(site):
    answer = site.run_worker.control("dance")
    assert answer == {"ok": False, "error": "unknown verb 'dance'"}


# ---- two at once ----

def test_a_second_worker_on_one_state_directory(site):
    second = site.run_worker.run()
    assert second.returncode == 75
    assert f"another worker uses {site.run_worker.state}" in second.stderr
    assert site.run_worker.control("status")["ok"] is True


def test_a_state_directory_that_is_soon_free(site):
    """What is left of a worker that was killed may have it for a moment."""
    worker = site.run_worker
    worker.stop()
    with open(worker.state / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        worker.launch()
        worker.log_has("waiting a little")
    worker.wait_until(lambda status: status.get("registered"), "registered")


# ---- the watchdog ----

def test_signs_of_life_for_the_watchdog(site):
    """As long as the manager turns, idle or not."""
    worker = site.run_worker
    worker.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(worker.directory / "notify"))
        manager.setblocking(False)

        def signs():
            try:
                return manager.recv(1000).count(b"WATCHDOG=1")
            except BlockingIOError:
                return 0

        worker.more_environment = {"NOTIFY_SOCKET": str(worker.directory / "notify"),
                                   "WATCHDOG_USEC": "100000"}
        worker.start()
        for _ in range(5):
            wait_for(signs, "a sign of life")
        worker.signal(signal.SIGSTOP)
        wait_for(lambda: pathlib.Path(f"/proc/{worker.pid}/stat").read_text().split(") ")[1][0] == "T",
                 "its stop")
        while signs():
            pass
        worker.signal(signal.SIGCONT)
        wait_for(signs, "a sign of life")
