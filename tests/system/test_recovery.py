"""What is killed comes back, and what was begun is neither lost nor done twice unseen."""
import os
import signal
import subprocess

import pytest

import models
from programs import wait_for
from workers import living, processes_of, sleepers


@pytest.fixture
def site(new_site, jar):
    site = new_site(workers=["run"], run={"heartbeat-period": "1s"})
    site.add_built_commit(jar)
    return site


def cancel(site, worker, job, attempt):
    """Ends that attempt of the job, which would go on for ever; the job."""
    worker.wait_for_step("execute", attempt)
    worker.signal(signal.SIGUSR2)
    return site.wait_for_job(id=job)


# ---- killed workers ----

def test_a_killed_manager(site, busy):
    """No process of its job is left, and its next life hands the job back."""
    worker = site.run_worker
    job, seconds = busy(site)
    worker.kill()
    wait_for(lambda: not sleepers(seconds) and not processes_of(worker.directory), "no process left")
    assert site.job(job)["state"] == "running"
    worker.start()
    assert "claim left by an earlier life of this worker, without an outcome" in worker.log()
    done = cancel(site, worker, job, attempt=2)
    assert (done["attempt"], done["finished_attempt"], done["failure"]) == (2, 2, "cancelled")
    assert not list((worker.state / "claims").iterdir())


def test_a_killed_manager_whose_job_was_done(site, brief):
    """The outcome is on disk: it is reported, not done again."""
    job = brief(site)
    worker = site.run_worker
    worker.signal(signal.SIGSTOP)
    runner = worker.runner()
    wait_for(lambda: not living([runner]), "the end of the runner")
    worker.kill()
    assert site.job(job)["finished_at"] is None
    worker.start()
    done = site.wait_for_job(id=job)
    assert (done["correct"], done["attempt"]) == (1, 1)
    assert "with an outcome: reporting it" in worker.log()


def test_a_killed_runner(site, busy):
    job, seconds = busy(site)
    worker = site.run_worker
    os.kill(worker.runner(), signal.SIGKILL)
    worker.log_has("the runner was killed by signal 9")
    done = cancel(site, worker, job, attempt=2)
    assert (done["attempt"], done["handbacks"]) == (2, 0)
    assert not sleepers(seconds)


def test_a_runner_killed_too_often(new_site, busy):
    site = new_site(workers=["run"], run={"max-attempts": 2})
    job, seconds = busy(site)
    os.kill(site.run_worker.runner(), signal.SIGKILL)
    site.run_worker.wait_for_step("execute", attempt=2)
    os.kill(site.run_worker.runner(), signal.SIGKILL)
    done = site.wait_for_job(id=job)
    assert (done["failure"], done["return_code"], done["attempt"]) == ("runner-lost", 255, 2)
    assert not sleepers(seconds)


def test_a_claim_that_cannot_be_read(site):
    worker = site.run_worker
    worker.stop()
    (worker.state / "claims" / "1-1.json").write_text("{ this is no claim")
    worker.start()
    assert "parked a claim that cannot be read" in worker.log()
    assert worker.status()["parked"] == 1
    worker.wait_until_idle()


def test_a_job_that_cannot_begin_here(site, archive):
    """Another worker has it at once, and this one rests before it tries the next."""
    worker = site.run_worker
    other = site.add_worker("run", "other")
    (worker.state / "jobs").rmdir()
    (worker.state / "jobs").write_text("")
    job = site.request_run(site.add_model("model", archive(), ci=False))
    worker.wait_until(lambda status: f"as job {job}.1 did" in (status.get("why") or ""), "why not")
    other.start()
    done = site.wait_for_job(id=job)
    assert (done["worker"], done["attempt"], done["handbacks"], done["correct"]) == ("other", 2, 1, 1)
    other.stop()
    (worker.state / "jobs").unlink()
    (worker.state / "jobs").mkdir()
    worker.signal(signal.SIGHUP)
    assert site.run(site.add_model("another", archive(), ci=False))["worker"] == worker.name


# ---- a dashboard that is away ----

def test_the_dashboard_is_away_when_the_job_ends(site, brief):
    job = brief(site)
    site.dashboard.kill()
    site.run_worker.wait_until(lambda status: status["state"] == "idle", "idle")
    assert site.run_worker.status()["outbox"] > 0
    site.dashboard.start()
    done = site.wait_for_job(id=job)
    assert (done["correct"], done["attempt"]) == (1, 1)
    assert site.run_worker.wait_until_idle()["counters"]["succeeded"] == 1


def test_a_report_outlives_the_worker(site, brief):
    job = brief(site)
    site.dashboard.kill()
    site.run_worker.wait_until(lambda status: status["state"] == "idle", "idle")
    site.run_worker.kill()
    site.dashboard.start()
    site.run_worker.start()
    assert site.wait_for_job(id=job)["correct"] == 1
    site.run_worker.wait_until_idle()


def test_a_worker_that_starts_before_the_dashboard(site, archive):
    site.run_worker.stop()
    site.dashboard.kill()
    site.run_worker.launch()
    site.run_worker.wait_until(lambda status: status, "a status")
    assert site.run_worker.status()["registered"] is False
    site.dashboard.start()
    site.run_worker.wait_until(lambda status: status["registered"], "registered")
    assert site.run(site.add_model("after all", archive(), ci=False))["correct"] == 1


def test_a_worker_that_the_dashboard_forgot(site):
    worker = site.run_worker
    site.dashboard.sql("DELETE FROM workers")
    worker.log_has("registering again")
    wait_for(lambda: site.dashboard.sql("SELECT * FROM workers"), "registered again")


# ---- two workers, one job ----

def test_a_worker_that_lost_its_lease(site, brief):
    """Its lease ran out unseen, and another attempt began: nothing of the first one counts."""
    job = brief(site)
    other = site.add_worker("run", "other").start()
    site.dashboard.sql("UPDATE jobs SET visible_at = 0 WHERE id = ?", job)
    site.dashboard.post("/queue/cancel", {"poll": "nobody's"})
    done = site.wait_for_job(id=job)
    assert (done["worker"], done["finished_attempt"], done["correct"]) == ("other", 2, 1)
    site.run_worker.log_has("another attempt has taken over")
    site.run_worker.wait_until_idle()
    other.wait_until_idle()
    assert site.job(job)["result_s3_key"] == f"results/{job}-2.tar.zst"
    assert (site.run_worker.status()["parked"], other.status()["parked"]) == (0, 0)


def test_a_box_that_outlived_its_worker(site, busy):
    """bwrap has a gap of some ms in which it does: its worker's next life ends it."""
    worker = site.run_worker
    job, _ = busy(site)
    place = worker.job_directory(job) / "run"
    worker.kill()
    seconds = models.unique_seconds()
    box = subprocess.Popen(["/usr/bin/bwrap", "--unshare-pid", "--dev-bind", "/", "/", "--bind", place,
                            place, "--", "sleep", seconds])
    wait_for(lambda: sleepers(seconds), "the process in the box")
    worker.start()
    assert not sleepers(seconds)
    assert box.wait() == -signal.SIGKILL
    assert "that outlived an earlier life" in worker.log()
    cancel(site, worker, job, attempt=2)
