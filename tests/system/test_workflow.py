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
from fault_proxy import s3_error
from make_repository import commit_change
from programs import wait_for
from workers import living

# Settings for commits that hold a jar.
READY = {"build.commands": ["cp ready.jar out.jar"], "build.artifact": "out.jar"}


@pytest.fixture
def archive_file(tmp_path):
    def make(als=models.KNAPSACK, expected=None):
        return models.make_model(tmp_path / "model.tar.bz2", als, expected)
    return make


def test_from_push_to_results(new_site, set_up, jar, archive_file, solutions):
    """With every setting at its default, as far as a test can; built by ant in two of the four."""
    by_ant = set_up in ({"queue": "dashboard", "store": "directory"}, {"queue": "sqs", "store": "s3"})
    site = new_site(build={} if by_ant else READY, run={"run.jvm-options": models.JVM_OPTIONS},
                    **set_up)
    if not by_ant:
        site.commit = commit_change(site.repository, {"ready.jar": jar.read_bytes()}, "Add a jar")
    asked = site.add_model("asked for", archive_file(expected=solutions), ci=True)
    site.add_model("not asked for", archive_file(expected=solutions), ci=False)
    build = site.build(site.commit)
    key, jar = f"builds/{site.commit}.jar", site.object(f"builds/{site.commit}.jar")
    counted = hashlib.sha256(jar).hexdigest()
    assert (build["return_code"], build["result_s3_key"]) == (0, key)
    told = site.reported(build)
    assert (told["jar_sha256"], told["worker"], told["attempt"]) == (counted, "build-worker", 1)
    assert site.objects.sha256(key) == counted
    run = site.wait_for_job(type="run")
    assert len(site.jobs(type="run")) == 1
    assert (run["model_id"], run["test_type"], run["algorithm"]) == (asked, "ci", "GIA")
    assert (run["return_code"], run["correct"]) == (0, 1)
    told = site.reported(run)
    assert (told["jar_sha256"], told["worker"], told["attempt"]) == (counted, "run-worker", 1)
    assert run["requested_at"] <= run["started_at"] <= run["finished_at"]
    results = site.results(run)
    assert {"model", "run", "hostname", "manifest.json", "comparison.json"} <= set(results)
    assert not [name for name in results if name.endswith(".jar")]
    assert json.loads(results["manifest.json"])["jar"] == {
        "key": key, "sha256": counted, "bytes": len(jar)}
    assert len(site.comparison(run)["matched"]) == models.KNAPSACK_SOLUTIONS
    assert site.objects.list("builds/") == [key]
    assert site.objects.list("results/") == [run["result_s3_key"]]
    for worker in site.workers:
        worker.wait_until_idle()
        assert not list((worker.state / "jobs").iterdir())
        assert worker.status()["counters"] == {
            "succeeded": 1, "failed": 0, "handed_back": 0, "lost": 0}
    if set_up["queue"] == "dashboard":
        check_pages(site, build, run)


def check_pages(site, build, run):
    """Of our dashboard."""
    get = site.dashboard.get
    assert get(f"/commits/{site.commit}/download").body == site.object(build["result_s3_key"])
    assert get(f"/jobs/{run['id']}/result").body == site.object(run["result_s3_key"])
    for page in ("/", "/commits", f"/commits/{site.commit}", "/builds", f"/jobs/{build['id']}"):
        assert site.commit[:7] in get(page).text, page
    for page in ("/runs", f"/jobs/{run['id']}", "/models", f"/models/{run['model_id']}"):
        assert "asked for" in get(page).text, page


@pytest.mark.parametrize("style", ["yes", "no"], ids=["path", "host"])
def test_a_jar_in_a_bucket_is_adopted(new_site, s3_server, style):
    """One without a hash gets it, by a copy onto itself."""
    site = new_site(store="s3", workers=["build"], build={
        "store.endpoint": f"http://localhost:{s3_server.port}", "store.path-style": style})
    for commit, known in ("1" * 40, None), ("2" * 40, ""):
        key = f"builds/{commit}.jar"
        site.objects.put(key, b"a jar", known)
        build = site.build(commit)
        assert (build["return_code"], build["result_s3_key"]) == (0, key)
        assert site.objects.get(key) == b"a jar"
        assert site.objects.sha256(key) == hashlib.sha256(b"a jar").hexdigest()


def test_a_damaged_jar_in_a_bucket_is_built_again(new_site):
    site = new_site(store="s3", workers=["build"], build={"build.commands": ["cp build.xml out.jar"],
                                                          "build.artifact": "out.jar"})
    key, whole = f"builds/{site.commit}.jar", (site.repository / "build.xml").read_bytes()
    site.objects.put(key, b"damaged", "0" * 64)
    assert site.build(site.commit)["return_code"] == 0
    assert site.objects.get(key) == whole
    assert site.objects.sha256(key) == hashlib.sha256(whole).hexdigest()
    assert site.build_worker.wait_until_idle()["healed"] == 1


GONE = s3_error(404, "NoSuchKey")


@pytest.mark.parametrize("faults", [
    [{"fault": GONE, "method": "GET"}],  # while it is read
    [{"fault": GONE, "method": "HEAD", "after": 2}, {"fault": GONE, "method": "GET", "after": 1}],
    [{"fault": s3_error(412, "PreconditionFailed"), "method": "PUT", "times": 4}],
], ids=["read", "put", "races"])
def test_a_jar_that_others_change_all_the_time_is_not_the_jobs_fault(new_site, s3_proxy, faults):
    """The job is done in the end, in another attempt if need be."""
    site = new_site(store="s3", workers=["build"], build={
        "build.commands": ["cp build.xml out.jar"], "build.artifact": "out.jar",
        "store.endpoint": s3_proxy.endpoint, "retry-delay": "0s"})
    key, whole = f"builds/{site.commit}.jar", (site.repository / "build.xml").read_bytes()
    site.objects.put(key, b"damaged", "0" * 64)
    rules = [s3_proxy.fault(path="/builds/", **fault) for fault in faults]
    assert site.build(site.commit)["return_code"] == 0
    assert site.objects.get(key) == whole
    assert all(rule.applied == rule.times for rule in rules)


def test_a_bad_build_asks_for_no_run(new_site, set_up, archive_file):
    site = new_site(build={"build.commands": ["false"]}, **set_up)
    site.add_model("model", archive_file())
    assert site.build(site.commit)["return_code"] == 1
    site.build_worker.wait_until_idle()
    assert not site.jobs(type="run") and not site.objects.list("builds/")


def test_a_push_of_several_commits(new_site, set_up, archive_file):
    """Each is built, and each is run with its own jar."""
    site = new_site(build={"build.commands": ["cp number out.jar"], "build.artifact": "out.jar"},
                    run={"run.java": "/bin/true"}, **set_up)
    site.add_model("empty", archive_file(models.EMPTY, {}))
    commits = [commit_change(site.repository, {"number": str(n)}, f"Count to {n}") for n in range(4)]
    site.push(*commits)
    for number, commit in enumerate(commits):
        run = site.wait_for_job(sha=commit, type="run")
        assert run["correct"] == 1
        assert (site.reported(run)["jar_sha256"]
                == hashlib.sha256(str(number).encode()).hexdigest())


def test_a_wrong_result_and_one_that_was_not_known(new_site, set_up, jar, archive, solutions):
    site = new_site(workers=["run"], **set_up)
    site.add_built_commit(jar)
    wrong = site.run(site.add_model("wrong", archive(models.EMPTY, solutions), ci=False))
    assert (wrong["return_code"], wrong["correct"]) == (0, 0)
    assert len(site.comparison(wrong)["missing"]) == models.KNAPSACK_SOLUTIONS
    model = site.add_model("not populated", archive(expected=None), ci=False)
    first = site.run(model)
    second = site.run(model)
    assert first["correct"] == second["correct"] == 1
    assert len(site.comparison(second)["matched"]) == models.KNAPSACK_SOLUTIONS


def test_queues_are_served_by_priority(new_site, set_up, jar, archive_file):
    site = new_site(workers=[], run={"run.java": "/bin/true"}, **set_up)
    site.add_built_commit(jar)
    model = site.add_model("empty", archive_file(models.EMPTY, {}))
    requested = {site.request_run(model, kind=kind): kind
                 for kind in ("ci", "correctness", "performance", "ci", "correctness", "performance")}
    site.add_worker("run").start()
    done = [site.wait_for_job(id=job) for job in requested]
    done.sort(key=lambda job: job["started_at"])
    order = [requested[job["id"]] for job in done]
    assert order == ["performance"] * 2 + ["correctness"] * 2 + ["ci"] * 2


def test_two_workers_share_the_jobs(new_site, set_up, jar, archive):
    site = new_site(workers=["run"], **set_up)
    site.add_built_commit(jar)
    site.add_worker("run", "second").start()
    model = site.add_model("slow", archive(models.misbehaving("delay 0.5")), ci=False)
    done = [site.wait_for_job(id=job) for job in [site.request_run(model) for _ in range(2)]]
    assert {site.reported(job)["worker"] for job in done} == {"run-worker", "second"}
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
