"""Dashboards that are away for days, ill, or not what is reached at their address; and hosts that
are: nothing is told twice, or not at all."""
import itertools
import os
import re
import signal
import time

import pytest

import models
from front import ANSWERS, Front
from programs import wait_for

# One solution, so that a model without solutions is populated: the report has all its letters.
RUN = {"run.java": "/bin/sh",
       "run.jvm-options": ["-c", "printf '<alloy>\\nfound\\n' >alloy_solutions_1.xml"]}
JOBS = 8
LETTERS = 4  # of each: start, upload, finish, acknowledge
MAX_AGE = 1  # seconds that stand for a day
LONGEST_RETRY = 30  # seconds between two tries of a letter


@pytest.fixture
def site(new_site, tmp_path):
    site = new_site(workers=[], run={**RUN, "report-max-age": f"{MAX_AGE}s"})
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"a jar")
    site.add_built_commit(jar)
    return site


@pytest.fixture
def request_run(site, tmp_path):
    archive = models.make_model(tmp_path / "model.tar.bz2", models.EMPTY, None)
    number = itertools.count()
    return lambda: site.request_run(site.add_model(f"model {next(number)}", archive, ci=False))


def tells(path):
    """Is it a letter of a report?"""
    return path.startswith(("/jobs/", "/models/"))


def pass_two_days(front, modes):
    """Every request is answered in one of these ways, for as long as two days are here."""
    turn = itertools.cycle(modes)
    front.mode = lambda path: next(turn)
    end, refused = time.monotonic() + 2 * MAX_AGE, len(front.seen)
    wait_for(lambda: time.monotonic() > end and len(front.seen) > refused + len(modes), "two days")


def paths_of(job, model):
    return [f"/jobs/{job}/start", f"/models/{model}/upload", f"/jobs/{job}/finish"]


def test_the_dashboard_is_away_for_two_days(site, request_run):
    """All of the answers that are none; a restart in between; and one report that is refused for
    ever. The others arrive, each letter once, in their order."""
    with Front(site.dashboard) as front:
        worker = site.add_worker("run", **{"dashboard.url": front.url}).start()
        front.mode = lambda path: "500" if tells(path) else "pass"
        jobs = {job: site.job(job)["model_id"] for job in [request_run() for _ in range(JOBS)]}
        poisoned = f"/jobs/{list(jobs)[2]}/finish"
        worker.wait_until(lambda status: status["outbox"] == JOBS * LETTERS, "all jobs done")
        assert not any(site.job(job)["finished_at"] for job in jobs)
        pass_two_days(front, ANSWERS)
        assert worker.status()["outbox"] == JOBS * LETTERS
        worker.kill()
        worker.launch()
        pass_two_days(front, [mode for mode in ANSWERS if mode != "500"])
        assert worker.status()["outbox"] == JOBS * LETTERS
        lived = len(front.seen)
        front.mode = lambda path: "500" if path == poisoned else "pass"
        wait_for(lambda: any(seen.path == poisoned for seen in front.seen[lived:]), "the refusal",
                 LONGEST_RETRY * 2)
        # It may have been the last one: only what succeeds later shows that it is not the dashboard.
        request_run()
        worker.wait_until_idle(LONGEST_RETRY * 2)
        told = [seen.path for seen in front.seen if seen.mode == "pass" and tells(seen.path)]
        for job, model in jobs.items():
            wanted = [path for path in paths_of(job, model) if path != poisoned]
            assert [path for path in told if path in wanted] == wanted
            done = site.job(job)
            assert done["finished_at"] or poisoned == f"/jobs/{job}/finish"
        assert worker.status()["parked"] == 1
        [letter] = (worker.state / "parked").glob("*.json")
        assert letter.name.endswith(f"-{list(jobs)[2]}-1-finish.json")
        assert letter.with_name(letter.name + ".why").read_text().startswith("server: ")
        worker.stop()


@pytest.mark.parametrize("mode", ANSWERS)
def test_a_worker_that_finds_no_dashboard(site, request_run, mode):
    """It waits, says why, and begins when there is one."""
    with Front(site.dashboard) as front:
        front.mode = lambda path: mode
        worker = site.add_worker("run", **{"dashboard.url": front.url})
        worker.launch()
        worker.wait_until(lambda status: status.get("why", "").startswith("not registered"), mode)
        front.mode = lambda path: "pass"
        assert site.wait_for_job(id=request_run())["correct"] == 1
        worker.wait_until_idle()
        worker.stop()


def test_a_dashboard_that_is_silent_about_reports(site, request_run):
    """It holds as many letters as go at once, for as long as an answer is waited for. Nothing else is
    held up: jobs, heartbeats, the end."""
    with Front(site.dashboard) as front:
        worker = site.add_worker("run", **{"dashboard.url": front.url, "heartbeat-period": "1s"})
        worker.start()
        front.mode = lambda path: "silence" if tells(path) else "pass"
        jobs = [request_run() for _ in range(JOBS)]
        worker.wait_until(lambda status: status["outbox"] == JOBS * LETTERS, "all jobs done")
        answered = len(front.seen)
        wait_for(lambda: any(seen.path.endswith("/heartbeat") for seen in front.seen[answered:]),
                 "a heartbeat")
        worker.stop()
        assert not any(site.job(job)["finished_at"] for job in jobs)
        front.mode = lambda path: "pass"
        worker.start()
        worker.wait_until_idle()
        assert all(site.job(job)["correct"] == 1 for job in jobs)
        worker.stop()


def test_a_dead_worker_s_connection_is_held_by_what_is_between(site, request_run):
    """The one that takes its place gets the jobs, not the connection."""
    with Front(site.dashboard) as front:
        worker = site.add_worker("run", **{"dashboard.url": front.url}).start()
        assert site.wait_for_job(id=request_run())["correct"] == 1
        worker.wait_until_idle()
        worker.kill()
        worker.start()
        assert site.wait_for_job(id=request_run())["correct"] == 1
        worker.wait_until_idle()
        worker.stop()


# ---- hosts that are away ----

@pytest.fixture
def slow_site(new_site, tmp_path):
    """A site whose runs take a second, and whose leases are short."""
    site = new_site(workers=["run"], run={"queue.lease": "2s", "run.java": "/bin/sh",
                                          "run.jvm-options": ["-c", "sleep 1"]})
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"a jar")
    site.add_built_commit(jar)
    site.slow = site.add_model("slow", models.make_model(tmp_path / "m.tar.bz2", models.EMPTY, {}),
                               ci=False)
    return site


@pytest.mark.parametrize("whole", [True, False], ids=["host", "manager"])
def test_a_host_that_sleeps_past_its_lease(slow_site, whole):
    """The job is another's by then. What the sleeper has of it is seen nowhere, and it goes on with
    the next one."""
    site, sleeper = slow_site, slow_site.run_worker
    job = site.request_run(site.slow)
    sleeper.wait_for_step("execute")
    asleep = [sleeper.pid] + ([sleeper.runner()] if whole else [])
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    other = site.add_worker("run", "other").start()
    done = site.wait_for_job(id=job)
    for pid in reversed(asleep):
        os.kill(pid, signal.SIGCONT)
    other.stop()
    wait_for(lambda: re.search("has taken over|to another worker", sleeper.log()), "its awakening")
    assert sleeper.wait_until_idle()["parked"] == 0
    assert (done["worker"], done["finished_attempt"], done["correct"]) == ("other", 2, 1)
    assert done["result_s3_key"] == f"results/{job}-2.tar.zst"
    assert site.job(job) == done
    next_one = site.wait_for_job(id=site.request_run(site.slow))
    assert (next_one["worker"], next_one["correct"]) == ("run-worker", 1)
