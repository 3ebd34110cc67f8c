"""A disk that is full: no job is claimed, or the job that fills it is stopped; nobody dies, and all
goes on once there is room."""
import os
import signal
import subprocess

import pytest

import make_repository

FILL = "dd if=/dev/zero of=filler bs=65536 count={blocks}"
MIB = 16  # blocks


def filling(mib):
    """Settings of a build that writes so much and then goes on."""
    return {"build.commands": [FILL.format(blocks=mib * MIB), "sleep 3600"], "max-attempts": "1"}


@pytest.fixture
def small_disk():
    """Puts a file system of its own under a worker that is not started yet."""
    mounted = []

    def make(worker, mib):
        if os.geteuid() != 0:
            pytest.skip("only root may mount a small file system")
        worker.state.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", worker.state],
                       check=True)
        mounted.append(worker.state)

    yield make
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=True)


def test_no_job_is_claimed_without_room(new_site):
    site = new_site(workers=[], build={"build.commands": ["cp number out.jar"],
                                       "build.artifact": "out.jar", "disk.free-bytes": "1000000TiB"})
    site.start_workers(["build"])
    worker = site.build_worker
    worker.wait_until(lambda status: "disk.free-bytes" in (status.get("why") or ""), "why not")
    commit = make_repository.commit_change(site.repository, {"number": "1"}, "One")
    site.push(commit)
    assert not site.jobs(sha=commit)[0]["started_at"]
    worker.configure(disk__free_bytes="1MiB")
    worker.signal(signal.SIGHUP)
    assert site.wait_for_build(commit)["return_code"] == 0
    assert (worker.state / "reserve").exists()


def test_a_job_that_takes_more_than_it_may(new_site):
    site = new_site(workers=[], build={**filling(8), "disk.job-bytes": "4MiB"})
    site.start_workers(["build"])
    build = site.build(site.commit)
    assert build["failure"] == "disk-full" and build["step"] == "build"
    assert "disk.job-bytes" in build["error_message"]
    assert site.build_worker.log().count(build["error_message"]) == 1
    site.build_worker.wait_until_idle()
    assert [path.name for path in site.build_worker.job_directory(build["id"]).iterdir()] == [
        "outcome.json"]


def test_a_job_that_fills_the_disk(new_site, small_disk):
    """The next one, which does not, is built without a restart."""
    site = new_site(workers=[], build={**filling(1000), "disk.free-bytes": "24MiB",
                                       "disk.stop-bytes": "8MiB"})
    site.start_workers(["build"], start=False)
    worker = site.build_worker
    small_disk(worker, 64)
    worker.start()
    build = site.build(site.commit)
    assert build["failure"] == "disk-full", build
    pid = worker.pid
    worker.configure(build__commands=["cp number out.jar"], build__artifact="out.jar")
    worker.signal(signal.SIGHUP)
    commit = make_repository.commit_change(site.repository, {"number": "1"}, "One")
    assert site.build(commit)["return_code"] == 0
    assert worker.pid == pid and worker.alive


def test_a_disk_that_is_full_before(new_site, small_disk):
    site = new_site(workers=[], build={"build.commands": ["cp number out.jar"],
                                       "build.artifact": "out.jar", "disk.free-bytes": "8MiB"})
    site.start_workers(["build"], start=False)
    worker = site.build_worker
    small_disk(worker, 32)
    filler = worker.state / "filler"
    filler.write_bytes(bytes(28 << 20))
    worker.start()
    worker.wait_until(lambda status: "disk.free-bytes" in (status.get("why") or ""), "why not")
    commit = make_repository.commit_change(site.repository, {"number": "1"}, "One")
    site.push(commit)
    filler.unlink()
    assert site.wait_for_build(commit)["return_code"] == 0


def test_a_run_that_fills_the_disk(new_site, small_disk, jar, archive):
    """Its jar failed for want of room: that is no result."""
    write = "open('filler', 'wb').write(bytes(10**9))"
    site = new_site(workers=[], run={"run.java": "/usr/bin/python3", "max-attempts": "1",
                                     "run.jvm-options": ["-c", write],
                                     "disk.free-bytes": "24MiB", "disk.stop-bytes": "8MiB"})
    site.start_workers(["run"], start=False)
    small_disk(site.run_worker, 64)
    site.run_worker.start()
    site.add_built_commit(jar)
    run = site.run(site.add_model("model", archive(), ci=False))
    assert (run["failure"], run["step"]) == ("disk-full", "execute") and not run["correct"]
    site.run_worker.wait_until_idle()
    assert not list(site.run_worker.state.glob("jobs/*/run"))
