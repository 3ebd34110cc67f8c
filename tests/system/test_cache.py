"""Jars that a worker host keeps: a second run of a commit downloads none."""
import hashlib

import pytest


@pytest.fixture
def site(new_site, s3_proxy, jar):
    """A run worker that reaches S3 by way of the proxy, and a commit whose jar is built."""
    site = new_site(store="s3", workers=["run"], run={"store.endpoint": s3_proxy.endpoint})
    site.add_built_commit(jar)
    return site


def cached(worker):
    return sorted((worker.directory / "cache" / "jars").glob("*"))


def test_a_second_run_transfers_no_jar_byte(site, s3_proxy, jar, archive):
    model = site.add_model("model", archive(), ci=False)
    assert site.run(model)["correct"] == 1
    assert s3_proxy.bytes_received("GET", r"/builds/") >= jar.stat().st_size
    before = len(s3_proxy.requests("GET", r"/builds/"))
    assert site.run(model)["correct"] == 1
    assert len(s3_proxy.requests("GET", r"/builds/")) == before
    [entry] = cached(site.run_worker)
    assert entry.name == hashlib.sha256(jar.read_bytes()).hexdigest()
    assert entry.stat().st_nlink == 1


def test_a_damaged_entry_is_replaced(site, s3_proxy, jar, archive):
    model = site.add_model("model", archive(), ci=False)
    assert site.run(model)["correct"] == 1
    [entry] = cached(site.run_worker)
    entry.write_bytes(b"something else")
    assert site.run(model)["correct"] == 1
    assert entry.read_bytes() == jar.read_bytes()
    assert len(s3_proxy.requests("GET", r"/builds/")) == 2
    site.run_worker.log_has("was damaged: removed")
    assert site.run_worker.wait_until_idle()["healed"] == 1


def test_a_cache_that_cannot_be_written_costs_a_download(site, jar, archive):
    directory = site.run_worker.directory / "cache"
    directory.write_text("in the way")
    assert site.run(site.add_model("model", archive(), ci=False))["correct"] == 1
    site.run_worker.log_has("the jar was not cached")


def test_workers_share_it(site, s3_proxy, archive):
    """Another worker of the host takes what the first one left; both at once are no trouble."""
    cache = str(site.run_worker.directory / "cache")
    second = site.add_worker("run", "second", **{"store.endpoint": s3_proxy.endpoint,
                                                 "cache-directory": cache})
    model = site.add_model("model", archive(), ci=False)
    assert site.run(model)["correct"] == 1
    before = len(s3_proxy.requests("GET", r"/builds/"))
    second.start()
    done = [site.wait_for_job(id=job) for job in [site.request_run(model) for _ in range(6)]]
    assert {job["worker"] for job in done} == {"run-worker", "second"}
    assert all(job["correct"] == 1 for job in done)
    assert len(s3_proxy.requests("GET", r"/builds/")) == before
