"""Workers and the dashboard are killed (SIGKILL) wherever it might hurt: at step boundaries, within
steps, and between any two changes of what lies on disk. Nothing is lost, nothing done twice unseen."""
import collections
import hashlib
import itertools
import json
import os
import re

import pytest

import models
from kill_points import Killer, check_locks, check_worker, steps
from make_repository import commit_change
from programs import wait_for
from workers import runners_of

POINTS = int(os.environ.get("TORTURE_POINTS", 4))  # of each step
BUILD = {"build.commands": ["cp number out.jar"], "build.artifact": "out.jar"}
# One solution, so that a model without solutions is populated.
RUN = {"run.java": "/bin/sh",
       "run.jvm-options": ["-c", "printf '<alloy>\\nfound\\n' >alloy_solutions_1.xml"]}


@pytest.fixture
def unpopulated(tmp_path):
    return models.make_model(tmp_path / "model.tar.bz2", models.EMPTY, None)


class Builds:
    """Asks for builds, each of a commit of its own."""

    def __init__(self, site):
        self.site, self.worker, self.count = site, site.build_worker, 0

    def request(self):
        self.count += 1
        commit = commit_change(self.site.repository, {"number": str(self.count)}, "Count on")
        self.site.push(commit)
        return self.site.jobs(sha=commit)[0]["id"]

    def check(self, job):
        assert job["return_code"] == 0, job
        jar = self.site.object(job["result_s3_key"])
        assert job["jar_sha256"] == hashlib.sha256(jar).hexdigest()


class Runs:
    """Asks for runs, each of a model of its own that is to be populated."""

    def __init__(self, site, archive):
        self.site, self.worker, self.archive, self.count = site, site.run_worker, archive, 0
        jar = site.path / "a.jar"
        jar.write_bytes(b"a jar")
        site.add_built_commit(jar)

    def request(self):
        self.count += 1
        return self.site.request_run(self.site.add_model(f"model {self.count}", self.archive, ci=False))

    def check(self, job):
        assert (job["return_code"], job["correct"]) == (0, 1), job
        result = self.site.object(job["result_s3_key"])
        assert job["result_sha256"] == hashlib.sha256(result).hexdigest()
        model = self.site.unpack(self.site.model(job["model_id"])["key"])
        assert set(model) == {"model.als", "alloy_solutions_1.xml"}


# ---- what must be true in the end ----

def files_below(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def check_store(site):
    """Whatever is there is named by a report, or is the result of an attempt that never reported."""
    jobs = site.jobs()
    named = {job["result_s3_key"] for job in jobs}
    named |= {model["key"] for model in site.ask("models")}
    named |= {f"{key}.sha256" for key in named}
    lost = {f"results/{job['id']}-{attempt}" for job in jobs
            for attempt in range(1, job["finished_attempt"])}
    left = [name for name in files_below(site.store) - named
            if name.split(".")[0] not in lost and not name.startswith("models/")]
    assert not left


def check_finishes(site):
    """The dashboard took one report of each job."""
    finishes = collections.Counter(
        re.findall(r"job (\d+)\.?\d*: finished: code", site.dashboard.log_text()))
    assert finishes == {str(job["id"]): 1 for job in site.jobs() if job["worker"]}


# ---- the sweep ----

def record(work):
    """The points of a job that nobody kills, and which is not the first, so that caches are warm:
    (the manager's, the runner's by step)."""
    worker, killer = work.worker, Killer(work.worker.directory)
    work.site.wait_for_job(id=work.request())
    worker.stop()
    worker.more_environment = killer.recording
    worker.start()
    work.site.wait_for_job(id=work.request())
    worker.wait_until_idle()
    worker.stop()
    worker.more_environment = killer.environment
    return killer, killer.points("manager"), steps(killer.points("runner"))


def spread(points, count):
    """That many of them, the first and the last included."""
    last = len(points) - 1
    return [points[index] for index in sorted({last * i // (count - 1) for i in range(count)})]


def in_job(point):
    return re.search(r"/jobs/[^/]+/(tree|model|run)\b", point.what)


def of_runner(by_step):
    """Each step's beginning, and points within it; of the last one, which ends with the outcome, all
    that last."""
    *early, last = by_step.values()
    chosen = [point for points in early if points for point in spread(points, POINTS)]
    return chosen + [point for point in last if not in_job(point) and point.call != "write"]


def of_manager(points):
    return [point for point in points if point.call not in ("write", "fsync")]


def bury(work):
    """Waits for the manager's end, and its runner's. Of a job that was received but not claimed yet
    nobody knows but the dashboard: there its lease runs out."""
    worker = work.worker
    wait_for(lambda: not worker.alive, "the end of the manager")
    wait_for(lambda: not runners_of(worker.state), "no runner left")
    known = " ".join(name for directory in ("claims", "outbox")
                     for name in os.listdir(worker.state / directory) if not name.startswith("."))
    for job in work.site.dashboard.sql("SELECT id, attempt FROM jobs WHERE queued = 1"):
        if not re.search(rf"\b{job['id']}-{job['attempt']}\b", known):
            work.site.dashboard.sql("UPDATE jobs SET visible_at = 0 WHERE id = ?", job["id"])


def come_back(work, killer, number):
    """Its next life, which is killed once more as it begins."""
    bury(work)
    killer.plan("start", number)
    work.worker.launch()
    wait_for(lambda: killer.fell() or work.worker.status().get("registered"), "another end, or a life")
    if not killer.give_up():
        bury(work)
        work.worker.start()


def is_over(work, job):
    """Was it told, and is the worker done with it?"""
    status = work.worker.status()
    return work.site.job(job)["finished_at"] and status["state"] == "idle" and not status["outbox"]


def sweep(work, killer, points, whom):
    """Kills at each of the points, in a job of its own; how many blows fell."""
    fallen = 0
    for index, point in enumerate(points):
        victim = whom(index)
        if point.role == "manager":
            work.worker.stop()
        killer.plan(point.role, point.number, victim)
        if not work.worker.alive:
            work.worker.start()
        job = work.request()
        wait_for(lambda: killer.fell() or is_over(work, job), f"the blow at {point}")
        if not killer.give_up():
            fallen += 1
            if point.role == "manager" or victim == "both":
                come_back(work, killer, index % 20 + 1)
        work.check(work.site.wait_for_job(id=job))
    return fallen


@pytest.mark.parametrize("kind", ["build", "run"])
def test_killed_anywhere(new_site, unpopulated, kind):
    site = new_site(build=BUILD, run=RUN, workers=[kind])
    work = Builds(site) if kind == "build" else Runs(site, unpopulated)
    killer, manager, runner = record(work)
    chosen = of_runner(runner)
    fallen = sweep(work, killer, chosen, lambda index: ("self", "both")[index % 2])
    chosen += of_manager(manager)
    fallen += sweep(work, killer, of_manager(manager), lambda index: "self")
    assert fallen >= 40 and fallen > 0.9 * len(chosen)
    site.wait_for_job(id=work.request())
    check_worker(work.worker)
    check_finishes(site)
    check_store(site)
    work.worker.stop()
    check_locks(site)


# ---- what a power cut leaves ----

def check_lasting(points, pattern, least):
    """What appears under its name is on disk by then, and so is the name before anything follows."""
    names = [index for index, point in enumerate(points)
             if point.call == "rename" and re.search(pattern, point.what)]
    assert len(names) >= least
    for index in names:
        before, name, after = points[index - 1:index + 2]
        assert (before.call, after.call) == ("fsync", "fsync"), name
        assert after.what == os.path.dirname(name.what) != before.what, name


@pytest.mark.parametrize("kind", ["build", "run"])
def test_what_is_written_lasts(new_site, unpopulated, kind):
    site = new_site(build=BUILD, run=RUN, workers=[kind])
    _, manager, by_step = record(Builds(site) if kind == "build" else Runs(site, unpopulated))
    check_lasting(manager, "/(claims|outbox)/", 4)
    check_lasting(list(by_step.values())[-1], "/outcome.json$", 1)
    calls = [f"{point.call} {re.sub(r'[0-9-]+', '', os.path.basename(point.what))}" for point in manager]
    order = ["fsync claims", "fork ", "rename finish.json", "rename acknowledge.json", "unlink .json"]
    assert sorted(order, key=calls.index) == order


# ---- parked ----

def test_killed_as_a_report_is_parked(new_site, unpopulated):
    """Each report that is refused is parked once, with the reason."""
    site = new_site(run=RUN, workers=["run"])
    work, worker, killer = Runs(site, unpopulated), site.run_worker, Killer(site.run_worker.directory)
    worker.more_environment = killer.environment
    site.dashboard.sql("CREATE TRIGGER spoil AFTER UPDATE OF started_at ON jobs"
                       " BEGIN UPDATE jobs SET secret = 'not ' || id WHERE id = new.id; END")
    for number in itertools.count(1):
        worker.stop()
        killer.plan("manager", number, "self", "* */parked/*")
        worker.start()
        work.request()
        wait_for(lambda: killer.fell() or worker.status().get("parked") == number, "a blow, or none")
        if killer.give_up():
            break
        wait_for(lambda: not worker.alive, "the end of the manager")
        worker.start()
        assert worker.wait_until_idle()["parked"] == number
    worker.wait_until_idle()
    parked = sorted(path.name for path in (worker.state / "parked").iterdir())
    letters = [name for name in parked if name.endswith("-finish.json")]
    assert len(letters) == number > 4
    assert parked == sorted(letters + [f"{name}.why" for name in letters])
    assert not os.listdir(worker.state / "claims") and not os.listdir(worker.state / "outbox")


# ---- told to stop ----

def each_step(by_step):
    """The beginning of each step and a point within it."""
    return [point for points in by_step.values() if points
            for point in {points[0]: 0, points[len(points) // 2]: 0}]


@pytest.mark.parametrize("kind", ["build", "run"])
@pytest.mark.parametrize("drain", ["0s", "90s"])
def test_told_to_stop_anywhere(new_site, unpopulated, kind, drain):
    """It ends well, and the job is done: by itself if it has the time, else by the other worker, who
    had to wait for nothing."""
    site = new_site(build={**BUILD, "drain-timeout": drain}, run={**RUN, "drain-timeout": drain},
                    workers=[kind])
    work = Builds(site) if kind == "build" else Runs(site, unpopulated)
    killer, _, runner = record(work)
    worker = work.worker
    other = site.add_worker(kind, "other",
                            **{"cache-directory": worker.settings["cache-directory"]})
    other.more_environment = killer.environment
    worker.start()
    chosen, told, handed_back = each_step(runner), 0, 0
    for point in chosen:
        killer.plan("runner", point.number, "ask")
        job = work.request()
        wait_for(lambda: killer.fell() or worker.status().get("job"), "a job")
        other.start()
        done = site.wait_for_job(id=job)
        work.check(done)
        if killer.give_up():
            other.stop()
            continue
        assert worker.end() == 0
        assert done["handbacks"] == done["attempt"] - 1 == (done["worker"] != worker.name)
        told, handed_back = told + 1, handed_back + done["handbacks"]
        worker, other = other, worker
    assert told > 0.8 * len(chosen)
    assert handed_back == 0 if drain == "90s" else handed_back > 5
    check_finishes(site)
    check_worker(worker)
