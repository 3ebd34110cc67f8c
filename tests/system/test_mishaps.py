"""What goes wrong around a worker: its disk, its state directory, its runner. It lives on, says why, and
the job is done."""
import os
import signal
import subprocess

import pytest

import models
from programs import wait_for
from workers import processes_of, sleepers

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")


@pytest.fixture
def mounted_site(new_site, jar):
    """A site whose worker has a disk of its own for its state."""
    site = new_site(workers=[])
    site.start_workers(["run"], start=False)
    site.state = site.run_worker.state
    site.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", site.state], check=True)
    site.run_worker.start()
    site.add_built_commit(jar)
    yield site
    subprocess.run(["umount", "-l", site.state], check=True)


def fill(site):
    """To the last byte."""
    with pytest.raises(OSError), open(site.state / "filler", "ab", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


@needs_root
def test_a_disk_that_fills_while_a_job_is_waited_for(mounted_site, archive):
    """It cannot be claimed, but it can be given back."""
    site, worker = mounted_site, mounted_site.run_worker
    worker.wait_until(lambda status: status["state"] == "idle", "idle")
    wait_for((site.state / "reserve").exists, "the reserve")
    fill(site)
    job = site.request_run(site.add_model("model", archive(), ci=False))
    worker.wait_until(lambda status: status.get("why"), "why not")
    other = site.add_worker("run", "other").start()
    done = site.wait_for_job(id=job)
    assert (done["worker"], done["handbacks"], done["correct"]) == ("other", 1, 1)
    other.stop()
    (site.state / "filler").unlink()
    assert site.run(site.add_model("another", archive(), ci=False))["worker"] == worker.name


@needs_root
def test_an_outcome_that_cannot_be_written(mounted_site, archive):
    """Not by the runner, and what the manager makes of it neither: it is settled once there is room."""
    site, worker = mounted_site, mounted_site.run_worker
    job = site.request_run(site.add_model("brief", archive(models.misbehaving("delay 1")), ci=False))
    worker.wait_for_step("execute")
    (site.state / "reserve").unlink()
    fill(site)
    worker.log_has("the outcome could not be put on disk")
    assert "execute: failed: " in worker.log()  # nobody else says why
    assert site.job(job)["state"] == "running"
    (site.state / "filler").unlink()
    done = site.wait_for_job(id=job)
    assert (done["attempt"], done["handbacks"], done["correct"]) == (2, 0, 1)


def test_a_runner_that_does_not_move(new_site, busy):
    site = new_site(workers=["run"], run={"drain-timeout": "0s"})
    job, seconds = busy(site)
    worker = site.run_worker
    runner = worker.runner()
    os.kill(runner, signal.SIGSTOP)
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert not sleepers(seconds) and not processes_of(worker.state)
    assert site.job(job)["state"] == "waiting" and site.job(job)["handbacks"] == 1


def test_told_to_stop_before_it_is_registered(new_site):
    site = new_site(workers=["run"])
    worker = site.run_worker
    worker.stop()
    site.dashboard.kill()
    worker.launch()
    worker.wait_until(lambda status: (status.get("why") or "").startswith("not registered"), "why not")
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    site.dashboard.start()
