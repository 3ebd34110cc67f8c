"""The whole workflow: a push becomes a jar, and the jar checked results."""
import hashlib
import json
import os
import re
import subprocess
import sys

import pytest

import models
from conftest import HERE
from make_repository import BROKEN_SOURCE, commit_change
from programs import wait_for
from workers import living


@pytest.fixture
def archive_file(tmp_path):
    def make(als=models.KNAPSACK, expected=None):
        return models.make_model(tmp_path / "model.tar.bz2", als, expected)
    return make


def test_from_push_to_results(new_site, archive_file, solutions):
    """With every setting at its default, as far as a test can."""
    site = new_site(run={"run.jvm-options": models.JVM_OPTIONS})
    asked = site.add_model("asked for", archive_file(expected=solutions), ci=True)
    site.add_model("not asked for", archive_file(expected=solutions), ci=False)
    build = site.build(site.commit)
    jar = site.store / f"builds/{site.commit}.jar"
    counted = subprocess.run(["sha256sum", jar], capture_output=True, text=True).stdout.split()[0]
    assert build["jar_sha256"] == counted
    assert (build["worker"], build["return_code"], build["attempt"]) == ("build-worker", 0, 1)
    run = site.wait_for_job(type="run")
    assert len(site.jobs(type="run")) == 1
    assert (run["model_id"], run["test_type"], run["algorithm"]) == (asked, "ci", "GIA")
    assert (run["return_code"], run["correct"], run["worker"]) == (0, 1, "run-worker")
    assert run["jar_sha256"] == counted
    assert run["requested_at"] <= run["started_at"] <= run["finished_at"]
    results = site.results(run)
    assert {"model", "run", "hostname", "manifest.json", "comparison.json"} <= set(results)
    assert not [name for name in results if name.endswith(".jar")]
    assert json.loads(results["manifest.json"])["jar"] == {
        "key": build["result_s3_key"], "sha256": counted, "bytes": jar.stat().st_size}
    assert len(site.comparison(run)["matched"]) == models.KNAPSACK_SOLUTIONS
    get = site.dashboard.get
    assert get(f"/commits/{site.commit}/download").body == jar.read_bytes()
    assert get(f"/jobs/{run['id']}/result").body == site.object(run["result_s3_key"])
    for page in ("/", "/commits", f"/commits/{site.commit}", "/builds", f"/jobs/{build['id']}"):
        assert site.commit[:7] in get(page).text, page
    for page in ("/runs", f"/jobs/{run['id']}", "/models", f"/models/{asked}"):
        assert "asked for" in get(page).text, page
    for worker in site.workers:
        worker.wait_until_idle()
        assert not list((worker.state / "jobs").iterdir())
        assert worker.status()["counters"] == {
            "succeeded": 1, "failed": 0, "handed_back": 0, "lost": 0}


def test_a_bad_build_asks_for_no_run(new_site, archive_file):
    site = new_site()
    site.add_model("model", archive_file())
    commit = commit_change(site.repository, BROKEN_SOURCE, "Break it")
    assert site.build(commit)["return_code"] == 1
    site.build_worker.wait_until_idle()
    assert not site.jobs(type="run")


def test_a_push_of_several_commits(new_site, archive_file):
    """Each is built, and each is run with its own jar."""
    site = new_site(build={"build.commands": ["cp number out.jar"], "build.artifact": "out.jar"},
                    run={"run.java": "/bin/true"})
    site.add_model("empty", archive_file(models.EMPTY, {}))
    commits = [commit_change(site.repository, {"number": str(n)}, f"Count to {n}") for n in range(4)]
    site.push(*commits)
    for number, commit in enumerate(commits):
        run = site.wait_for_job(sha=commit, type="run")
        assert run["correct"] == 1
        assert run["jar_sha256"] == hashlib.sha256(str(number).encode()).hexdigest()


def test_queues_are_served_by_priority(new_site, jar, archive_file):
    site = new_site(workers=[], run={"run.java": "/bin/true"})
    site.add_built_commit(jar)
    model = site.add_model("empty", archive_file(models.EMPTY, {}))
    requested = {site.request_run(model, kind=kind): kind
                 for kind in ("ci", "correctness", "performance", "ci", "correctness", "performance")}
    site.add_worker("run").start()
    done = [site.wait_for_job(id=job) for job in requested]
    done.sort(key=lambda job: job["started_at"])
    order = [requested[job["id"]] for job in done]
    assert order == ["performance"] * 2 + ["correctness"] * 2 + ["ci"] * 2


def test_two_workers_share_the_jobs(new_site, jar, archive):
    site = new_site(workers=["run"])
    site.add_built_commit(jar)
    site.add_worker("run", "second").start()
    model = site.add_model("slow", archive(models.misbehaving("delay 0.5")), ci=False)
    done = [site.wait_for_job(id=job) for job in [site.request_run(model) for _ in range(2)]]
    assert {job["worker"] for job in done} == {"run-worker", "second"}
    assert all(job["correct"] == 1 for job in done)


# ---- make demo ----

def demo(**environment):
    return subprocess.run([sys.executable, HERE / "demo.py"], env={**os.environ, **environment},
                          capture_output=True, text=True, timeout=60)


def test_demo():
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"SHA-256 +[0-9a-f]{64}\n", done.stdout)
    assert "correct, 5 of 5 solutions" in done.stdout
    [place] = re.findall(r"all of it lies in (\S+)", done.stdout)
    assert not os.path.exists(place)


def test_demo_that_goes_on():
    done = demo(DEMO_KEEP="1")
    assert done.returncode == 0, done.stdout + done.stderr
    jar, sha256 = re.findall(r"  jar +(\S+)\n +SHA-256 +(\S+)", done.stdout)[0]
    pids, place = re.findall(r"kill ([\d ]+); sleep 2; rm -r (\S+)", done.stdout)[0]
    pids = [int(pid) for pid in pids.split()]
    try:
        content = open(f"{place}/store/{jar}", "rb").read()
        assert hashlib.sha256(content).hexdigest() == sha256
        assert living(pids) == pids
    finally:
        subprocess.run(["kill", *map(str, pids)])
        wait_for(lambda: not living(pids), "their end")
        subprocess.run(["rm", "-r", place], check=True)


def test_demo_that_fails(tmp_path):
    """The reason is shown, and nothing is left."""
    done = demo(MOOLLOY_BUILD=str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path}/moolloy-dashboard" in done.stdout
