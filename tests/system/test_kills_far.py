"""Workers are killed (SIGKILL) where it matters that store and queue are far away: S3, SQS and the
existing dashboard. What they store goes in several parts."""
import collections
import hashlib
import itertools
import json
import os
import re

import pytest

import models
from kill_points import Killer, check_locks, check_worker
from make_repository import commit_change
from programs import wait_for
from workers import runners_of

EVERY = os.environ.get("TORTURE_EVERY") == "1"
LEASE = 3  # seconds that a message waits of which nobody knows but SQS
SETTINGS = {"store.part-size": "5MiB", "queue.lease": f"{LEASE}s"}
# What a job does is in what it is about: the commit's file "work", the model.
BUILD = {"build.commands": ["sh work"], "build.artifact": "out"}
RUN = {"run.java": "/bin/sh",
       "run.jvm-options": ["-c", "printf '<alloy>\\nfound\\n' >alloy_solutions_1.xml; . \"$3\""],
       "cache-size": "30"}  # two jars
SMALL = "echo $$ >out"
LARGE = "dd if=/dev/urandom of=out bs=1M count=17 status=none"  # nothing makes it smaller: 3 parts or more
SLOW = "sleep 1.2"  # more than a third of a lease
SLOWER = "sleep 2.7"  # more than two thirds

# Where blows fall: a role, and which of its calls (see kill_points.c), in a job that does that.
Place = collections.namedtuple("Place", "role call number does", defaults=[1, SMALL])
UPLOAD = [
    Place("runner", "send POST *[?]uploads=*", 1, LARGE),  # before there is an upload
    Place("runner", "send PUT *partNumber=1&*", 1, LARGE),
    Place("runner", "send PUT *partNumber=2&*", 1, LARGE),
    Place("runner", "send PUT *partNumber=3&*", 1, LARGE),
    Place("runner", "send POST *[?]uploadId=*", 1, LARGE),  # before it is completed
]
OUTCOME = [
    Place("runner", "create */.outcome.json*"),
    Place("runner", "rename */outcome.json"),
]
CLAIM = [
    Place("manager", "create */claims/*"),  # nobody but SQS knows of it
    Place("manager", "create */outbox/*-start.json*"),
    Place("manager", "send POST /jobs/*/start*"),
]
FINISH = [
    Place("manager", "create */outbox/*-finish.json*"),
    Place("manager", "create */outbox/*-acknowledge.json*"),
    Place("manager", "unlink */claims/*"),
    Place("manager", "send POST /jobs/*/finish*"),
    Place("manager", "unlink */outbox/*-finish.json"),
    Place("manager", "send POST * DeleteMessage"),
    Place("manager", "unlink */outbox/*-acknowledge.json"),
]
AFTER_JAR = [
    Place("runner", "send HEAD */builds/*", 4, LARGE),  # completed, not looked at
    Place("runner", "send GET *uploads=*", 1, LARGE),  # looked at, others' uploads not ended
]
POPULATE = [
    Place("runner", "send HEAD */results/*", 1, LARGE),  # completed, not looked at
    Place("manager", "create */outbox/*-upload.json*"),
    Place("manager", "send POST /models/*"),
    Place("manager", "unlink */outbox/*-upload.json"),
]
CACHE = [
    Place("runner", "write */jars/*"),
    Place("runner", "link */jars/*"),
    Place("runner", "unlink */jars/*"),  # the third jar
]
EXTEND = [
    Place("manager", "send POST * ChangeMessageVisibility", 1, SLOW),  # not extended yet
    Place("manager", "send POST * ChangeMessageVisibility", 2, SLOWER),
]
BUILD_PLACES = CLAIM[:1] + UPLOAD + AFTER_JAR + OUTCOME + FINISH[:1] + FINISH[5:6]
RUN_PLACES = CLAIM[1:] + CACHE + UPLOAD[::2] + POPULATE + OUTCOME[1:] + FINISH + EXTEND
if EVERY:
    BUILD_PLACES, RUN_PLACES = (CLAIM + UPLOAD + own + OUTCOME + FINISH
                                for own in (AFTER_JAR, CACHE + POPULATE + EXTEND))


class Builds:
    """Asks for builds, each of a commit of its own."""

    def __init__(self, site):
        self.site, self.worker, self.numbers = site, site.build_worker, itertools.count()

    def request(self, does):
        work = f"{does} # {next(self.numbers)}\n"
        commit = commit_change(self.site.repository, {"work": work}, "Work on")
        self.site.push(commit)
        return self.site.jobs(sha=commit)[0]["id"]

    def check(self, job, report):
        jar = hashlib.sha256(self.site.object(job["result_s3_key"])).hexdigest()
        assert report["jar_sha256"] == jar == self.site.objects.sha256(job["result_s3_key"])

    counts = ("return_code", "result_s3_key", "jar_sha256")


class Runs:
    """Asks for runs, each of a jar of its own and of a model of its own that is to be populated."""

    def __init__(self, site):
        self.site, self.worker, self.numbers = site, site.run_worker, itertools.count(1)

    def request(self, does):
        name = f"model-{next(self.numbers)}"
        archive = models.make_model(self.site.path / f"{name}.tar.bz2", f"{does}\n", None)
        jar = self.site.path / "a.jar"
        jar.write_text(f"of {name:10}")
        commit = self.site.add_built_commit(jar)
        return self.site.request_run(self.site.add_model(name, archive, ci=False), commit)

    def check(self, job, report):
        assert job["correct"] == 1
        result = self.site.object(job["result_s3_key"])
        assert report["result_sha256"] == hashlib.sha256(result).hexdigest()
        model = self.site.unpack(self.site.model(job["model_id"])["s3_key"])
        assert set(model) == {"model.als", "alloy_solutions_1.xml"}

    counts = ("return_code", "correct")


def far_site(new_site, kind, **settings):
    settings = {kind: {**(BUILD if kind == "build" else RUN), **SETTINGS, **settings}}
    site = new_site(queue="sqs", store="s3", workers=[kind], **settings)
    work = Builds(site) if kind == "build" else Runs(site)
    killer = Killer(work.worker.directory)
    work.worker.stop()
    work.worker.more_environment = killer.environment
    work.worker.start()
    return site, work, killer


# ---- what must be true in the end ----

def finishes(site, job):
    """What was told of its end, as often as it was."""
    return [json.loads(request.body)
            for request in site.dashboard.requests_to(f"/jobs/{job['id']}/finish")]


def check_job(work, job):
    told = finishes(work.site, job)
    assert job["return_code"] == 0, told
    assert len({tuple(report[name] for name in work.counts) for report in told}) == 1, told
    work.check(job, work.site.reported(job))


def check_bucket(site):
    """What lies there is named by a report, or the result of an attempt; nothing is half there."""
    jobs = site.jobs()
    named = {job["result_s3_key"] for job in jobs}
    unnamed = [key for key in site.objects.list() if key not in named]
    attempts = "|".join(str(job["id"]) for job in jobs)
    assert [key for key in unnamed
            if not re.match(rf"models/|results/({attempts})-\d+\.", key)] == []
    assert site.objects.incomplete_uploads() == []


def check_queues(site):
    for queue in site.dashboard.queues.values():
        wait_for(lambda: site.sqs.waiting(queue) + site.sqs.in_flight(queue) == 0, "no message left")


# ---- killed ----

def kill_at(work, killer, place, whom):
    """In a job of its own, which is done nevertheless."""
    worker = work.worker
    if place.role == "manager":
        worker.stop()
    killer.plan(place.role, place.number, whom, place.call)
    if not worker.alive:
        worker.start()
    job = work.request(place.does)
    wait_for(killer.fell, f"the blow at {place}")
    if place.role == "manager" or whom == "both":
        wait_for(lambda: not worker.alive, "the end of the manager")
        wait_for(lambda: not runners_of(worker.state), "no runner left")
        worker.start()
    check_job(work, work.site.wait_for_job(id=job))


@pytest.mark.parametrize("kind, places", [("build", BUILD_PLACES), ("run", RUN_PLACES)],
                         ids=["build", "run"])
def test_killed_far_from_store_and_queue(new_site, kind, places):
    site, work, killer = far_site(new_site, kind)
    for index, place in enumerate(places):
        victims = ["self"] if place.role == "manager" else ["self", "both"]
        for whom in victims if EVERY else [victims[index % len(victims)]]:
            kill_at(work, killer, place, whom)
    check_job(work, site.wait_for_job(id=work.request(LARGE)))
    check_worker(work.worker)
    check_bucket(site)
    check_queues(site)
    work.worker.stop()
    check_locks(site)


@pytest.mark.parametrize("call", ["rename */claims/*", "send POST * DeleteMessage"])
def test_killed_as_the_claim_becomes_the_only_copy(new_site, call):
    """SQS hides the message no longer, and gives it to nobody else for all that."""
    site, work, killer = far_site(new_site, "run", **{"queue.hide-limit": f"{LEASE + 1}s"})
    work.worker.stop()
    # The first claim is written when the job begins.
    killer.plan("manager", 2 if "claims" in call else 1, "self", call)
    work.worker.start()
    job = work.request("sleep 4")
    wait_for(killer.fell, f"the blow at {call}")
    wait_for(lambda: not work.worker.alive, "the end of the manager")
    work.worker.start()
    check_job(work, site.wait_for_job(id=job))
    check_worker(work.worker)
    check_queues(site)


@pytest.mark.parametrize("kind, whom", [("build", "both"), ("run", "self")])
def test_no_further_attempt_ends_its_upload(new_site, kind, whom):
    """The next job does, whichever it is."""
    site, work, killer = far_site(new_site, kind, **{"max-attempts": 1})
    killer.plan("runner", 1, whom, "send PUT *partNumber=2&*")
    job = work.request(LARGE)
    wait_for(killer.fell, "the blow")
    if whom == "both":
        wait_for(lambda: not work.worker.alive, "the end of the manager")
        work.worker.start()
    assert site.reported(site.wait_for_job(id=job))["failure"] == "runner-lost"
    assert len(site.objects.incomplete_uploads()) == 1
    check_job(work, site.wait_for_job(id=work.request(LARGE)))
    assert site.objects.incomplete_uploads() == []
