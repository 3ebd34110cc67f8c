"""`make torture`: what takes too long for `make check`, with figures."""
import os
import pathlib
import time

import pytest

from crowd import Crowd
from programs import wait_for

JOBS = int(os.environ.get("TORTURE_JOBS", 10000))
SEEDS = int(os.environ.get("TORTURE_SEEDS", 3))
WARM = 0.1    # of the jobs, before the first look
BATCH = 200
SOCKETS = 4   # as many letters are on their way at once
GROWTH = 512 * 1024  # bytes that are nothing: pages come and go


class Look:
    """What a program has at some moment."""

    def __init__(self, pid):
        process = pathlib.Path(f"/proc/{pid}")
        targets = [os.readlink(fd) for fd in (process / "fd").iterdir()]
        # Connections to the dashboard are kept, some of them for a while.
        self.sockets = sum(target.startswith("socket:") for target in targets)
        self.files = len(targets) - self.sockets
        lines = (process / "smaps_rollup").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines[1:]}
        self.memory = sizes["Private_Dirty"]

    def __str__(self):
        return f"{self.files} files, {self.sockets} sockets, {self.memory / 1024:.0f} KiB of its own"


def left_in(worker):
    """All files of the worker but its log."""
    return sorted(str(path.relative_to(worker.directory)) for path in worker.directory.rglob("*"))


def do_jobs(crowd, count):
    for done in range(0, count, BATCH):
        crowd.request(min(BATCH, count - done))
        wait_for(lambda: not crowd.unfinished(), "a batch", 120)
    crowd.workers[0].wait_until_idle()


def test_many_jobs_through_one_worker(new_site, tmp_path):
    crowd = Crowd(new_site(workers=[]), 1, tmp_path, **{"log-level": "warning"})
    crowd.start()
    worker = crowd.workers[0]
    do_jobs(crowd, int(JOBS * WARM))
    files, programs = left_in(worker), {"worker": worker.pid, "dashboard": crowd.site.dashboard.process.pid}
    before = {name: Look(pid) for name, pid in programs.items()}
    began = time.monotonic()
    do_jobs(crowd, JOBS - int(JOBS * WARM))
    took = time.monotonic() - began
    after = {name: Look(pid) for name, pid in programs.items()}
    print()
    for name in programs:
        print(f"figure: {name}: after {int(JOBS * WARM)} jobs {before[name]}; after {JOBS} {after[name]}")
    print(f"figure: {took / (JOBS - int(JOBS * WARM)) * 1000:.1f} ms a job")
    crowd.check(60)
    assert left_in(worker) == files
    assert after["worker"].files == before["worker"].files
    assert after["worker"].sockets <= before["worker"].sockets + SOCKETS
    assert after["worker"].memory <= before["worker"].memory + GROWTH


@pytest.mark.parametrize("seed", range(2, 2 + SEEDS))
def test_many_kills(new_site, tmp_path, seed):
    crowd = Crowd(new_site(workers=[]), 20, tmp_path)
    crowd.request(2000)
    crowd.start()
    print(f"figure: seed {seed}: {crowd.kill_some(seed, 1000)} kills")
    crowd.check(600)
