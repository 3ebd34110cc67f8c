"""Runs: a model and a jar become results. The jar is the sample moolloy's, built beforehand."""
import hashlib
import json

import pytest

import conftest
import models


@pytest.fixture(scope="module")
def site(jar):
    """A dashboard and a run worker, for tests that leave them as they are."""
    site = conftest.make_site(workers=["run"])
    site.add_built_commit(jar)
    yield site
    conftest.end_site(site, check=True)


@pytest.fixture
def run(site, archive, request):
    """Runs such a model; the finished job."""
    def run(*arguments, **more):
        return site.run(site.add_model(request.node.name, archive(*arguments, **more), ci=False))
    return run


def verdict(job):
    return job["return_code"], job["correct"], job["failure"]


RIGHT = (0, 1, None)
WRONG = (0, 0, "wrong-solutions")


# ---- what is right and what is not ----

def test_right_solutions(site, run, jar):
    job = run()
    assert verdict(job) == RIGHT
    assert job["real_time_seconds"] > 0 and job["cpu_time_seconds"] > 0
    assert job["max_rss_bytes"] > 1 << 20 and job["measured_by"] in ("cgroup", "proc")
    assert job["error_message"] is None and job["attempt"] == 1
    assert job["result_sha256"] == hashlib.sha256(site.object(job["result_s3_key"])).hexdigest()
    assert not site.run_worker.job_directory(job["id"]).exists()


def test_results_hold_all_but_the_jar(site, run, jar, solutions):
    job = run()
    results = site.results(job)
    assert set(results) == {
        "hostname", "manifest.json", "comparison.json", "model", "model/model.als", "run",
        "run/stdout.out", "run/stderr.out",
        *(f"{folder}/{name}" for folder in ("model", "run") for name in solutions)}
    assert results["model/model.als"].decode() == models.KNAPSACK
    manifest = json.loads(results["manifest.json"])
    assert manifest["job"]["id"] == str(job["id"])
    assert manifest["job"]["commit"] == job["sha"]
    assert manifest["jar"]["key"] == job["jar_key"]
    assert manifest["jar"]["sha256"] == hashlib.sha256(jar.read_bytes()).hexdigest()
    assert manifest["model"]["key"] == job["model_key"]
    assert manifest["exit_status"] == 0 and manifest["correct"] is True
    assert manifest["command"][0] == "/usr/bin/java"
    assert manifest["wall_seconds"] == job["real_time_seconds"]
    assert {"fetch-jar", "verify", "extract", "execute", "compare"} <= set(manifest["timings"])


@pytest.mark.parametrize("format", models.FORMATS)
def test_archives(run, format):
    assert verdict(run(format=format)) == RIGHT


def test_renumbered_solutions_are_right(site, run, solutions):
    job = run(expected=models.renumbered(solutions))
    assert verdict(job) == RIGHT
    pairs = site.comparison(job)["matched"]
    assert len(pairs) == models.KNAPSACK_SOLUTIONS
    assert all(pair["run"] != pair["model"] for pair in pairs)


@pytest.mark.parametrize("variation, missing, unexpected", [
    (models.with_one_wrong, 1, 1), (models.with_one_more, 1, 0), (models.with_one_less, 0, 1)])
def test_wrong_solutions(site, run, solutions, variation, missing, unexpected):
    job = run(expected=variation(solutions))
    assert verdict(job) == WRONG
    comparison = site.comparison(job)
    assert comparison["correct"] is False
    assert (len(comparison["missing"]), len(comparison["unexpected"])) == (missing, unexpected)
    assert len(comparison["matched"]) == models.KNAPSACK_SOLUTIONS - unexpected


@pytest.mark.parametrize("als, status, files, message", [
    (models.UNSATISFIABLE, 1, 0, "the model is unsatisfiable"),
    (models.SYNTAX_ERROR, 1, 0, "syntax error in line 8"),
    (models.NO_OPTIMIZE, 1, 7, "the command has no optimize"),
    (models.OVERFLOW, 3, 0, "metric weight overflows"),
], ids=["unsatisfiable", "syntax", "no optimize", "overflow"])
def test_bad_exit_status_is_a_result(site, run, als, status, files, message):
    job = run(als)
    assert verdict(job) == (status, 0, "exit-status")
    assert job["error_message"] == f"moolloy ended with exit status {status}"
    assert job["error_details"].startswith(message)
    results = site.results(job)
    assert results["run/stderr.out"].decode().startswith(message)
    assert sum(name.startswith("run/alloy_solutions_") for name in results) == files
    assert json.loads(results["manifest.json"])["exit_status"] == status


def test_no_solutions_on_both_sides_are_right(run):
    assert verdict(run(models.EMPTY, {})) == RIGHT


def test_algorithm(site, archive):
    model = site.add_model("algorithm", archive(), ci=False)
    job = site.run(model, algorithm="OGIA")
    assert verdict(job) == RIGHT
    command = json.loads(site.results(job)["manifest.json"])["command"]
    assert "--MooAlgorithm=OGIA" in command
    assert command[-1].endswith("/model/model.als")


# ---- limits ----

def test_timeout(new_site, jar, archive):
    site = new_site(workers=["run"], run={"run.timeout": "1s"})
    site.add_built_commit(jar)
    seconds = models.unique_seconds()
    als = models.misbehaving("linger 3600", f"spawn {seconds}")
    job = site.run(site.add_model("late", archive(als)))
    assert verdict(job) == (255, 0, "timeout")
    assert "run.timeout" in job["error_message"]
    assert json.loads(site.results(job)["manifest.json"])["end"] == "timeout"
    assert not conftest.workers.sleepers(seconds)


def test_no_output_timeout(new_site, jar, archive):
    site = new_site(workers=["run"], run={"run.no-output-timeout": "1s"})
    site.add_built_commit(jar)
    job = site.run(site.add_model("quiet", archive(models.misbehaving("chatter 500", "delay 3600"))))
    assert verdict(job) == (255, 0, "no-output")
    assert len(site.results(job)["run/stderr.out"]) == 500


def test_output_is_bounded(new_site, jar, archive):
    site = new_site(workers=["run"], run={"run.log-limit": "4KiB", "results.include-jar": "yes",
                                          "results.compression": "xz"})
    site.add_built_commit(jar)
    job = site.run(site.add_model("loud", archive(models.misbehaving("chatter 1000000"))))
    assert verdict(job) == RIGHT
    results = site.results(job)
    assert 4096 < len(results["run/stderr.out"]) < 4300
    assert b"limit" in results["run/stderr.out"].splitlines()[-1]
    assert json.loads(results["manifest.json"])["output_truncated"] is True
    assert results["run/moolloy.jar"] == jar.read_bytes()
    assert job["result_s3_key"].endswith(".tar.xz")


def test_the_whole_process_tree_is_measured(run):
    job = run(models.misbehaving("spin 0.5", "allocate 150"))
    assert job["cpu_time_seconds"] > 0.5
    assert job["max_rss_bytes"] > 150 << 20


# ---- populating ----

def test_unpopulated_model_is_populated(site, archive, solutions):
    model = site.add_model("to populate", archive(expected=None, extra={"notes.txt": b"stay"}),
                           ci=False)
    first = site.run(model)
    assert verdict(first) == RIGHT
    conftest.programs.wait_for(lambda: site.model(model)["key"] != first["model_key"], "the upload")
    key = site.model(model)["key"]
    assert key.endswith(".tar.bz2")
    files = site.unpack(key)
    assert set(files) == {"model.als", "notes.txt", *solutions}
    second = site.run(model)
    assert verdict(second) == RIGHT and second["model_key"] == key
    assert len(site.comparison(second)["matched"]) == models.KNAPSACK_SOLUTIONS


def test_a_failed_run_populates_nothing(site, archive):
    model = site.add_model("broken", archive(models.SYNTAX_ERROR, None), ci=False)
    job = site.run(model)
    assert verdict(job) == (1, 0, "exit-status")
    site.run_worker.wait_until_idle()
    assert site.model(model)["key"] == job["model_key"]


def test_a_run_without_solutions_populates_nothing(site, archive):
    model = site.add_model("empty", archive(models.EMPTY, None), ci=False)
    job = site.run(model)
    assert verdict(job) == RIGHT
    site.run_worker.wait_until_idle()
    assert site.model(model)["key"] == job["model_key"]


# ---- jar and model ----

def failed(job, failure, step):
    """It failed so, without a result of a run."""
    assert (job["return_code"], job["failure"], job["step"]) == (255, failure, step)
    assert job["result_s3_key"] is None and job["correct"] is None
    return job["error_message"]


@pytest.fixture
def fresh(site, jar, archive, request):
    """A commit and a jar of its own: runs a model with it. told: see add_built_commit()."""
    def run(change, told=True):
        commit = site.add_built_commit(jar, told)
        change(f"builds/{commit}.jar")
        model = site.add_model(request.node.name, archive(), ci=False)
        return site.run(model, commit=commit)
    return run


def test_jar_hash_mismatch(site, fresh):
    """The jar was exchanged, and its metadata with it: the job says what it must be."""
    job = fresh(lambda key: site.put(key, b"another jar"))
    message = failed(job, "hash-mismatch", "verify")
    assert hashlib.sha256(b"another jar").hexdigest() in message
    assert job["jar_sha256"] in message
    assert not (site.run_worker.job_directory(job["id"]) / "run" / "stdout.out").exists()


def test_jar_missing(site, fresh):
    message = failed(fresh(lambda key: (site.store / key).unlink()), "no-jar", "fetch-jar")
    assert "builds/" in message


def test_jar_hash_from_the_metadata(fresh):
    assert verdict(fresh(lambda key: None, told=False)) == RIGHT


def test_jar_hash_mismatch_with_the_metadata(site, fresh):
    job = fresh(lambda key: site.put(key, b"another jar", "0" * 64), told=False)
    failed(job, "hash-mismatch", "verify")


def test_jar_hash_unknown(site, fresh, jar):
    job = fresh(lambda key: site.put(key, jar.read_bytes(), ""), told=False)
    assert "jar-hash: if-known" in failed(job, "no-hash", "verify")


def test_jar_hash_not_required(new_site, jar, archive):
    site = new_site(workers=["run"], run={"jar-hash": "if-known"})
    commit = site.add_built_commit(jar, told=False)
    site.put(f"builds/{commit}.jar", jar.read_bytes(), "")
    job = site.run(site.add_model("model", archive()))
    assert verdict(job) == RIGHT
    assert job["jar_sha256"] == hashlib.sha256(jar.read_bytes()).hexdigest()


def test_model_missing(site, archive):
    model = site.add_model("missing", archive(), ci=False)
    (site.store / site.model(model)["key"]).unlink()
    failed(site.run(model), "no-model", "fetch-model")


def test_the_directory_of_a_failure_is_kept(site, fresh):
    job = fresh(lambda key: (site.store / key).unlink())
    kept = site.run_worker.job_directory(job["id"])
    assert json.loads((kept / "job.json").read_text())["commit"] == job["sha"]
    assert json.loads((kept / "outcome.json").read_text())["failure"]["code"] == "no-jar"
