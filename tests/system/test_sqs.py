"""Jobs from SQS: an emulator that is not ours, behind a gate that checks every signature. Most runs are a
shell in the box that ends when it is told to."""
import json
import os
import signal
import time

import pytest

import models
from existing_dashboard import Job
from fault_proxy import FaultProxy, FlipBit, Reset, Truncate, json_error
from programs import wait_for

PROMPT = 5  # seconds: far less than a long poll takes
HIGH, LOW = "performance", "ci"  # queues
UNTIL_TOLD = {"run.java": "/bin/sh",
              "run.jvm-options": ["-c", "until test -e done; do sleep 0.02; done"]}
BRIEF = {"run.java": "/bin/true"}


class Place:
    """A site without workers at first, with a jar and a model that nobody looks into."""

    def __init__(self, site, directory):
        self.site, self.sqs = site, site.sqs
        self.endpoint = site.sqs.endpoint
        jar = directory / "jar"
        jar.write_bytes(b"no jar")
        site.add_built_commit(jar)
        self.model = site.add_model(
            "empty", models.make_model(directory / "model.tar.bz2", models.EMPTY, {}), ci=False)
        self.queues = site.dashboard.queues

    def worker(self, jobs=UNTIL_TOLD, name="run-worker", **settings):
        """One that is not started yet. settings: a_b__c=1 sets a-b.c."""
        worker = self.site.add_worker("run", name, **jobs, **{"queue.endpoint": self.endpoint})
        worker.configure(**settings)
        return worker

    def request(self, queue=HIGH):
        """A run; its id."""
        return self.site.request_run(self.model, kind=queue)

    def secret(self, job):
        return self.site.job(job)["secret_key"]

    def send(self, queue=HIGH, **fields):
        """A run that is wrong in these fields; its id."""
        dashboard = self.site.dashboard
        job = Job(**{"id": next(dashboard.ids), "type": "run", "sha": self.site.commit, "model_id": 1,
                     "jar_file_key": "builds/x.jar", "model_file_key": "models/x", "algorithm": "GIA",
                     **fields})
        return dashboard.enqueue(job, queue)

    def begun(self, worker, job, attempt=1):
        """Waits until the job runs there."""
        worker.wait_until(lambda status: status.get("job", {}).get("id") == str(job)
                          and status["job"]["attempt"] == attempt
                          and status["job"].get("step") == "execute", f"job {job}.{attempt} runs")

    def end(self, worker, job, attempt=1):
        """Lets it end, and waits for its report."""
        worker.job_directory(job, attempt).joinpath("run", "done").touch()
        return self.report(job)

    def report(self, job):
        return self.site.reported(self.site.wait_for_job(id=job))

    def starts(self, job):
        """How often a worker said that it begins."""
        return len(self.site.dashboard.requests_to(f"/jobs/{job}/start"))

    def waiting(self, queue=HIGH):
        return self.sqs.waiting(self.queues[queue])

    def in_flight(self, queue=HIGH):
        return self.sqs.in_flight(self.queues[queue])

    def polls(self, queue):
        return self.sqs.polls(self.queues[queue])

    def emptied(self, queue=HIGH):
        wait_for(lambda: self.waiting(queue) == self.in_flight(queue) == 0, "an empty queue")

    def polled(self):
        """Waits until all queues are waited at."""
        wait_for(lambda: self.polls(HIGH) and self.polls(LOW), "polls")


@pytest.fixture
def place(new_site, tmp_path):
    return Place(new_site(queue="sqs", workers=[]), tmp_path)


@pytest.fixture
def proxy(place):
    """Between the workers and SQS."""
    with FaultProxy("127.0.0.1", place.sqs.port) as proxy:
        place.endpoint = proxy.endpoint
        yield proxy


@pytest.fixture
def front(place):
    """Between the workers and the dashboard."""
    with FaultProxy("127.0.0.1", place.site.dashboard.port) as front:
        yield front


def claims(worker):
    """{name: claim}"""
    return {path.name: json.loads(path.read_text())
            for path in worker.state.joinpath("claims").glob("[!.]*")}


# ---- whole jobs ----

def test_jobs_in_both_forms(place):
    """secret_key is the message's id; the queue is empty afterwards."""
    worker = place.worker(BRIEF)
    jobs = [place.request() for _ in range(4)]
    like = place.site.job(jobs[0])
    last = Job(next(place.site.dashboard.ids), "run", place.site.commit)
    last.message = lambda: json.dumps(
        {"version": 2, "job_id": last.id, "job_type": "run", "commit": last.sha, "model_id": None,
         "jar_file_key": like["jar_file_key"], "model_file_key": like["model_file_key"]})
    jobs.append(place.site.dashboard.enqueue(last, LOW))
    worker.start()
    for job in jobs:
        report = place.report(job)
        assert (report["secret_key"], report["return_code"]) == (place.secret(job), 0)
        assert (report["attempt"], report["result_s3_key"]) == (1, f"results/{job}-1.tar.zst")
        assert report["correct"] == 1 and place.starts(job) == 1
    place.emptied(HIGH)
    place.emptied(LOW)
    assert worker.wait_until_idle()["counters"]["succeeded"] == len(jobs)
    assert not claims(worker)


def test_queues_by_name(place):
    names = [place.queues[queue].rpartition("/")[2] for queue in (HIGH, LOW)]
    place.worker(BRIEF, queues=names).start()
    assert place.report(place.request(LOW))["correct"] == 1


def test_priority(place):
    worker = place.worker(BRIEF)
    asked = {place.request(queue): queue for queue in (LOW, HIGH, LOW, HIGH)}
    worker.start()
    for job in asked:
        place.report(job)
    order = sorted(asked, key=lambda job: place.site.job(job)["started_at"])
    assert [asked[job] for job in order] == [HIGH, HIGH, LOW, LOW]


def test_waits_go_on_in_parallel(place):
    place.worker(BRIEF).start()
    for queue in (LOW, HIGH, LOW):
        place.polled()
        place.report(place.request(queue))


def test_what_comes_meanwhile_goes_back(place):
    """The wait on the other queue goes on while a job runs: what it brings is at once another's."""
    worker = place.worker().start()
    place.polled()
    first = place.request(HIGH)
    place.begun(worker, first)
    assert place.polls(LOW) == 1
    second = place.request(LOW)
    wait_for(lambda: place.waiting(LOW) == 1 and not place.polls(LOW), "the message given back")
    assert place.sqs.receive(place.queues[LOW], visibility=0).attempt == 2
    place.end(worker, first)
    place.begun(worker, second, attempt=3)
    assert place.end(worker, second, attempt=3)["attempt"] == 3


# ---- messages that are no jobs for us ----

def test_messages_of_another_version_are_left_alone(place):
    worker = place.worker(BRIEF).start()
    body = "---\n:version: 1\n:job_id: 1\n"
    secret = place.sqs.send(place.queues[HIGH], body)
    worker.log_has("is not for this worker: left to others")
    assert secret not in worker.log()
    place.report(place.request(LOW))
    assert place.in_flight(HIGH) == 1
    assert worker.wait_until_idle()["parked"] == 0


def test_a_message_that_cannot_be_read_is_parked(place):
    worker = place.worker(BRIEF).start()
    secret = place.sqs.send(place.queues[HIGH], "no: job: at: all")
    worker.wait_until(lambda status: status["parked"] == 1, "parked")
    assert secret not in worker.log()
    place.emptied()
    [parked] = worker.state.joinpath("parked").glob("message-*.json")
    assert parked.read_text() == "no: job: at: all"
    reason = parked.with_name(parked.name + ".why").read_text()
    assert reason.startswith("bad-message: of queue ") and place.queues[HIGH] in reason


def test_a_message_longer_than_any_of_ours_stops_nothing(place):
    worker = place.worker(BRIEF).start()
    place.sqs.send(place.queues[HIGH], "\\\u00e4\"" * 60000)
    worker.wait_until(lambda status: status["parked"] == 1, "parked")
    place.emptied()


def test_a_message_with_a_wrong_field_is_reported(place):
    place.worker(BRIEF).start()
    job = place.send(sha="master")
    report = place.report(job)
    assert (report["secret_key"], report["failure"]) == (place.secret(job), "bad-message")
    place.emptied()


# ---- leases ----

def test_a_long_job_stays_ours(place):
    """Another worker waits at the same queue for twice the lease."""
    workers = [place.worker(name=name, queue__lease="2s").start() for name in ("one", "other")]
    job = place.request()
    holder = wait_for(lambda: [worker for worker in workers if worker.status().get("job")],
                      "a worker with the job")[0]
    place.begun(holder, job)
    enough = time.monotonic() + 4.5
    wait_for(lambda: time.monotonic() > enough, "two leases")
    assert place.end(holder, job)["attempt"] == 1
    place.emptied()
    assert place.starts(job) == 1


def test_a_lost_lease_stops_the_job(place):
    """The worker stood still for too long, and somebody else has the message."""
    worker = place.worker(queue__lease="2s").start()
    job = place.request()
    place.begun(worker, job)
    worker.signal(signal.SIGSTOP)
    taken = wait_for(lambda: place.sqs.receive(place.queues[HIGH]), "the message visible again")
    assert taken.attempt == 2
    worker.signal(signal.SIGCONT)
    worker.wait_until(lambda status: status["counters"]["lost"] == 1, "lost")
    worker.wait_until_idle()
    assert not place.site.job(job)["reports"]
    assert not claims(worker)
    assert place.in_flight() == 1


def test_a_drained_worker_gives_its_job_to_another(place):
    worker = place.worker(drain_timeout="0s").start()
    job = place.request()
    place.begun(worker, job)
    other = place.worker(name="other").start()
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    place.begun(other, job, attempt=2)
    assert place.end(other, job, attempt=2)["attempt"] == 2
    place.emptied()


def test_a_killed_worker_hands_its_job_back(place):
    """With a lease of an hour, nobody else would see it for so long."""
    worker = place.worker().start()
    job = place.request()
    place.begun(worker, job)
    worker.kill()
    worker.start()
    place.begun(worker, job, attempt=2)
    place.end(worker, job, attempt=2)
    place.emptied()


# ---- longer than SQS hides a message ----

@pytest.fixture
def kept(place):
    """A worker and its job, of which the queue knows nothing any more."""
    worker = place.worker(queue__lease="2s", queue__hide_limit="3s", drain_timeout="0s").start()
    job = place.request()
    place.begun(worker, job)
    place.emptied()
    assert claims(worker)[f"{job}-1.json"]["kept"] is True
    return worker, job


def end_kept(place, worker, job, attempt):
    """It is reported like any other, and nothing is left."""
    report = place.end(worker, job, attempt)
    assert (report["secret_key"], report["attempt"]) == (place.secret(job), attempt)
    assert report["result_s3_key"] == f"results/{job}-{attempt}.tar.zst"
    assert worker.wait_until_idle()["parked"] == 0
    assert not claims(worker)


def test_a_kept_job(place, kept):
    end_kept(place, *kept, attempt=1)


def test_a_kept_job_is_run_again_after_a_crash(place, kept):
    worker, job = kept
    for attempt in (2, 3):
        worker.kill()
        worker.start()
        place.begun(worker, job, attempt)
        assert list(claims(worker)) == [f"{job}-{attempt}.json"]
    end_kept(place, worker, job, attempt=3)


def test_a_kept_job_that_crashes_too_often_is_reported(place, kept):
    worker, job = kept
    worker.kill()
    worker.configure(max_attempts=1)
    worker.start()
    assert place.report(job)["failure"] == "runner-lost"


def test_a_drained_worker_runs_a_kept_job_at_its_next_start(place, kept):
    worker, job = kept
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert "to be run again here" in worker.log()
    assert list(claims(worker)) == [f"{job}-2.json"]
    worker.start()
    place.begun(worker, job, attempt=2)
    end_kept(place, worker, job, attempt=2)


def test_a_kept_job_whose_runner_is_lost_is_run_again(place, kept):
    worker, job = kept
    os.kill(worker.runner(), signal.SIGKILL)
    place.begun(worker, job, attempt=2)
    end_kept(place, worker, job, attempt=2)


def test_a_kept_job_that_cannot_begin(place, kept, front):
    """It is tried until it can, though nothing else happens."""
    worker, job = kept
    worker.kill()
    front.fault(Reset(at="before headers"), path="register", times=None)
    worker.configure(dashboard__url=front.endpoint)
    worker.launch()
    worker.wait_until(lambda status: (status.get("why") or "").startswith("not registered"), "why not")
    jobs = worker.state / "jobs"
    jobs.rename(worker.state / "old")
    jobs.write_text("")
    front.clear()
    worker.log_has("the job could not be started")
    jobs.unlink()
    jobs.mkdir()
    attempt = worker.wait_for_step("execute")["attempt"]
    end_kept(place, worker, job, attempt)


# ---- stopping ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_an_idle_worker_stops_at_once(place, number):
    worker = place.worker().start()
    place.polled()
    worker.signal(number)
    assert worker.process.wait(PROMPT) == 0
    place.request()
    assert place.sqs.receive(place.queues[HIGH]).attempt == 1


# ---- what stands against it ----

def waits_because(worker, *texts):
    return worker.wait_until(lambda status: all(text in (status.get("why") or "")
                                                for text in texts), f"waiting because of {texts}")


def test_wrong_keys(place):
    place.site.write_secret("wrong", "not+it")
    right = place.site.write_secret("right", place.sqs.secret_key)
    worker = place.worker(BRIEF, aws__secret_key_file=str(place.site.path / "wrong")).start()
    waits_because(worker, "InvalidSignature")
    worker.configure(aws__secret_key_file=str(right))
    worker.signal(signal.SIGHUP)
    place.report(place.request())
    worker.wait_until(lambda status: not status.get("why"), "nothing against it")


def test_a_wrong_region(place):
    waits_because(place.worker(queue__region="mars-north-1").start(), "us-east-1")


def test_a_queue_that_does_not_exist(place):
    queues = [place.queues[HIGH], "nowhere"]
    waits_because(place.worker(queues=queues).start(), "nowhere", "QueueDoesNotExist")


# ---- what goes wrong on the way ----

def test_sqs_is_away_for_a_while(place, proxy):
    worker = place.worker(BRIEF).start()
    place.polled()
    with proxy.down():
        job = place.request()
        waits_because(worker, proxy.endpoint)
    assert place.report(job)["correct"] == 1
    worker.wait_until(lambda status: not status.get("why"), "nothing against it")


def test_sqs_is_away_when_the_job_ends(place, proxy):
    """Its report comes nevertheless, and the message goes once it can."""
    worker = place.worker().start()
    job = place.request()
    place.begun(worker, job)
    with proxy.down():
        assert place.end(worker, job)["correct"] == 1
        assert place.in_flight() == 1
    place.emptied()
    assert worker.wait_until_idle()["parked"] == 0
    assert place.starts(job) == 1


def job_that_nobody_hears_of(place, front):
    """Its end is not told, for the dashboard is away; another worker waits at the queue, too."""
    workers = [place.worker(name=name, queue__lease="3s", dashboard__url=front.endpoint).start()
               for name in ("one", "other")]
    job = place.request()
    holder = wait_for(lambda: [worker for worker in workers if worker.status().get("job")],
                      "a worker with the job")[0]
    place.begun(holder, job)
    front.fault(Reset(at="before headers"), path="finish", times=None)
    holder.job_directory(job).joinpath("run", "done").touch()
    holder.log_has(f"job {job}.1 finish: not delivered yet")
    return job


def test_a_report_that_waits_for_longer_than_the_lease(place, proxy, front):
    """Nobody runs the job again meanwhile."""
    job = job_that_nobody_hears_of(place, front)
    asked = len(proxy.requests(action="ChangeMessageVisibility"))
    wait_for(lambda: len(proxy.requests(action="ChangeMessageVisibility")) >= asked + 5,
             "more than a lease")
    assert place.in_flight() == 1
    front.clear()
    assert place.report(job)["attempt"] == 1
    place.emptied()
    assert place.starts(job) == 1


def test_a_report_that_waits_for_longer_than_sqs_hides(place, proxy, front):
    """The message goes; the report comes."""
    job = job_that_nobody_hears_of(place, front)
    proxy.fault(json_error(400, "InvalidParameterValue", "Total VisibilityTimeout for the message "
                           "is beyond the limit [43200 seconds]"),
                action="ChangeMessageVisibility", times=None)
    place.emptied()
    front.clear()
    assert place.report(job)["attempt"] == 1
    assert place.starts(job) == 1


@pytest.mark.parametrize("action, fault", [
    ("ReceiveMessage", json_error(400, "ThrottlingException")),
    ("DeleteMessage", json_error(503, "ServiceUnavailable")),
    ("ChangeMessageVisibility", json_error(500, "InternalFailure"))])
def test_sqs_is_busy(place, proxy, action, fault):
    proxy.fault(fault, action=action, times=3)
    worker = place.worker(BRIEF).start()
    assert place.report(place.request())["correct"] == 1
    place.emptied()
    assert worker.wait_until_idle()["parked"] == 0


@pytest.mark.parametrize("fault", [Reset(at="before headers"), Truncate(at="last byte"),
                                   FlipBit(at=200)])
def test_an_answer_lost_on_the_way(place, proxy, fault):
    """Its message comes again after the short time that an unclaimed one is hidden."""
    job = place.request()
    lost = proxy.fault(fault, action="ReceiveMessage")
    place.worker(BRIEF, queue__lease="2s").start()
    assert place.report(job)["attempt"] == 2
    assert lost.applied == 1
    place.emptied()


def test_keys_that_ran_out_are_replaced(place, proxy):
    """By those that are there then; nobody need say so."""
    worker = place.worker(BRIEF).start()
    rule = proxy.fault(json_error(403, "ExpiredTokenException"), action="ReceiveMessage")
    place.report(place.request())
    assert rule.applied == 1
    assert "cannot receive" not in worker.log()


def test_a_clock_that_is_wrong(place, proxy):
    late = json_error(403, "InvalidSignatureException", "Signature expired: it is now later",
                      date_offset=3600)
    proxy.fault(late, action="ReceiveMessage", times=None)
    waits_because(place.worker().start(), "this host's clock is", "behind")


def test_few_connections_for_many_requests(place, proxy):
    worker = place.worker(BRIEF).start()
    for number in range(10):
        place.report(place.request((HIGH, LOW)[number % 2]))
    worker.wait_until_idle()
    assert len(proxy.requests()) > 40
    assert proxy.connections <= 6
