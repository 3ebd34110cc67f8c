"""A store that is away while a job needs it: the job waits, and says why."""
import os
import re
import subprocess

import models
from fault_proxy import Reset, s3_error
from programs import BUILD

WAITS = r"package: PutObject results/\d+-1\.tar\.zst in bucket moolloy: .*; tried again in .* \[network\]"


def test_a_store_that_is_away(new_site, s3_proxy, jar, archive):
    site = new_site(store="s3", workers=["run"], run={"store.endpoint": s3_proxy.endpoint})
    site.add_built_commit(jar)
    worker = site.run_worker
    s3_proxy.fault(Reset(at="before headers"), path="/results/", times=None)
    job = site.request_run(site.add_model("model", archive(), ci=False))
    status = worker.wait_until(lambda status: status.get("job", {}).get("trouble"), "trouble")
    assert status["job"]["step"] == "package"
    assert re.match(r"PutObject results/\d+-1\.tar\.zst in bucket moolloy: ", status["job"]["trouble"])
    told = subprocess.run([BUILD / "moolloy-workerctl", "--runtime-directory", worker.directory,
                           "status"], capture_output=True, text=True, check=True).stdout
    assert f"  and waits: {status['job']['trouble']}\n" in told
    refused = len(s3_proxy.requests(path="/results/"))
    worker.wait_until(lambda _: len(s3_proxy.requests(path="/results/")) > refused, "another try")
    s3_proxy.clear()
    assert site.wait_for_job(id=job)["correct"] == 1
    assert len(re.findall(WAITS, worker.log())) == 1
    assert len(re.findall(r"package: the store works again, after ", worker.log())) == 1
    assert "trouble" not in str(worker.status())


def test_a_store_that_goes_away_while_parts_go(new_site, s3_proxy, jar, archive):
    site = new_site(store="s3", workers=["run"], run={"store.endpoint": s3_proxy.endpoint})
    site.add_built_commit(jar)
    s3_proxy.fault(Reset(at="before headers"), method="PUT", path="partNumber=1", times=2)
    large = {"noise": os.urandom(17 * 2**20)}  # more than one PUT takes
    assert site.run(site.add_model("model", archive(extra=large), ci=False))["correct"] == 1
    log = site.run_worker.log()
    assert re.search(r"package: UploadPart results/2-1\.tar\.zst in bucket moolloy: .*; tried again in "
                     r"\d+ m?s \[network\]", log)
    assert "package: the store works again, after " in log


def test_a_store_that_is_busy_for_a_moment(new_site, s3_proxy, jar, archive):
    site = new_site(store="s3", workers=["run"], run={"store.endpoint": s3_proxy.endpoint})
    site.add_built_commit(jar)
    s3_proxy.fault(s3_error(503, "SlowDown"), method="GET", path="/builds/")
    assert site.run(site.add_model("model", archive(), ci=False))["correct"] == 1
    log = site.run_worker.log()
    assert re.search(r"fetch-jar: GetObject builds/\w+\.jar in bucket moolloy: 503 SlowDown: .*; tried "
                     r"again in \d+ ms \[server\]", log)
    assert "fetch-jar: the store works again, after " in log


def test_results_are_worth_waiting_for(new_site, s3_proxy, jar, archive):
    """Where a job would be handed back, a run waits for as long as it took: it has its results."""
    site = new_site(store="s3", workers=["run"], run={"store.endpoint": s3_proxy.endpoint})
    site.add_built_commit(jar)
    s3_proxy.fault(s3_error(403, "AccessDenied"), method="PUT", path="/results/", times=None)
    job = site.request_run(site.add_model("model", archive(models.misbehaving("delay 8")), ci=False))
    site.run_worker.log_has("package: PutObject results/2-1.tar.zst in bucket moolloy: 403 AccessDenied")
    s3_proxy.clear()
    done = site.wait_for_job(id=job)
    assert (done["correct"], done["attempt"]) == (1, 1)
    log = site.run_worker.log()
    assert re.search(r"package: PutObject .*; tried again in \d+ m?s \[access-denied\]", log)
    assert "package: the store works again, after " in log


def test_results_are_not_waited_for_longer_than_a_run(new_site, s3_proxy, jar, archive):
    """The job goes back, and is run again when the store may take results."""
    site = new_site(store="s3", workers=["run"], run={"store.endpoint": s3_proxy.endpoint,
                                                      "retry-delay": "1s"})
    site.add_built_commit(jar)
    s3_proxy.fault(s3_error(403, "AccessDenied"), method="PUT", path="/results/", times=None)
    job = site.request_run(site.add_model("model", archive(), ci=False))
    site.run_worker.log_has("no job is claimed: the next would fail as job 2.1 did")
    s3_proxy.clear()
    assert site.wait_for_job(id=job)["correct"] == 1
    assert site.run_worker.log().count("execute: done in") > 1
