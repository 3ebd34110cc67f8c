"""Jobs from SQS: an emulator that is not ours, behind a gate that checks every signature. A run is a shell
in the box that ends when it is told to."""
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

import models
from fault_proxy import FaultProxy, FlipBit, Reset, Truncate, json_error
from programs import wait_for
from workers import RunWorker, processes_of

PROMPT = 5  # seconds: far less than a long poll takes
COMMIT = "287a688f338d5d8c7b27b8915629893721a1fcac"


class Desk(http.server.ThreadingHTTPServer):
    """What a worker tells its dashboard, which believes everything."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), DeskHandler)
        self.told = []  # (path, body), in order
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.shutdown()
        self.server_close()

    def about(self, verb):
        """[(job, body)] in order."""
        return [(path.split("/")[2], body) for path, body in list(self.told)
                if re.fullmatch(rf"/jobs/\w+/{verb}", path)]

    @property
    def started(self):
        return [job for job, _ in self.about("start")]

    @property
    def finished(self):
        return dict(self.about("finish"))


class DeskHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append((self.path, json.loads(body) if body else None))
        answer = b'{"worker_id":1}' if self.path == "/workers/register" else b"OK"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


class Place:
    """A desk, a directory as the store, queues, and run workers."""

    def __init__(self, sqs):
        self.sqs = sqs
        self.endpoint = sqs.endpoint
        self.path = Path(tempfile.mkdtemp(prefix="moolloy-"))  # short, for sockets
        self.desk = Desk()
        self.queues = [sqs.create_queue("high"), sqs.create_queue("low")]
        self.workers = []
        jar = b"no jar, but nobody looks"
        self.put(f"builds/{COMMIT}.jar", jar)
        self.path.joinpath(f"store/builds/{COMMIT}.jar.sha256").write_text(
            f"{hashlib.sha256(jar).hexdigest()}  {COMMIT}.jar\n")
        model = models.make_model(self.path / "model.tar.bz2", models.EMPTY, {})
        self.put("models/empty.tar.bz2", Path(model).read_bytes())
        for name, secret in (("id", sqs.access_key), ("secret", sqs.secret_key)):
            self.write_secret(name, secret)

    def put(self, key, content):
        path = self.path / "store" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def write_secret(self, name, secret):
        path = self.path / name
        path.touch(0o600)
        path.write_text(secret + "\n")

    def add_worker(self, name="run-worker", **settings):
        """A worker that is not started yet. settings: a_b__c=1 sets a-b.c."""
        worker = RunWorker(self.path, self.desk.url, {
            "queue.type": "sqs", "queue.endpoint": self.endpoint, "queues": self.queues,
            "aws.access-key-file": str(self.path / "id"),
            "aws.secret-key-file": str(self.path / "secret"),
            "run.java": "/bin/sh",
            "run.jvm-options": ["-c", "until test -e done; do sleep 0.02; done"]}, name)
        worker.configure(**settings)
        self.workers.append(worker)
        return worker

    def send(self, job, queue=0, **more):
        """A run, as the existing dashboard writes it; the message's id."""
        fields = {"version": 2, "job_id": job, "job_type": ":run", "commit": COMMIT, "model_id": 1,
                  "jar_file_key": f"builds/{COMMIT}.jar", "model_file_key": "models/empty.tar.bz2",
                  "algorithm": "GIA", **more}
        body = "---\n" + "".join(f":{name}: {value}\n" for name, value in fields.items())
        return self.sqs.send(self.queues[queue], body)

    def stop(self, check):
        try:
            if check:
                for worker in self.workers:
                    worker.stop()
                wait_for(lambda: not processes_of(self.path), "no process left")
                for worker in self.workers:
                    assert "Sanitizer" not in worker.log()
        finally:
            for worker in self.workers:
                if worker.alive:
                    worker.kill()
            self.desk.stop()
            shutil.rmtree(self.path)

    # ---- jobs ----

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
        return wait_for(lambda: self.desk.finished.get(str(job)), f"job {job} finished")

    def emptied(self, queue=0):
        url = self.queues[queue]
        wait_for(lambda: self.sqs.waiting(url) == self.sqs.in_flight(url) == 0, "an empty queue")

    def visible(self, queue=0):
        wait_for(lambda: self.sqs.waiting(self.queues[queue]) == 1, "a message that is visible")

    def polled(self, *queues):
        for queue in queues or range(len(self.queues)):
            wait_for(lambda: self.sqs.polls(self.queues[queue]) > 0, f"a poll of queue {queue}")


@pytest.fixture
def proxy(place):
    """Between the workers and SQS."""
    with FaultProxy("127.0.0.1", place.sqs.port) as proxy:
        place.endpoint = proxy.endpoint
        yield proxy


@pytest.fixture
def place(sqs_server, request):
    place = Place(sqs_server)
    yield place
    failed = getattr(request.node, "failed", False)
    if failed:
        for worker in place.workers:
            print(f"log of {worker.name}:\n{worker.log()[-12000:]}")
    place.stop(check=not failed)


def claims(worker):
    """{name: claim}"""
    return {path.name: json.loads(path.read_text())
            for path in worker.state.joinpath("claims").glob("[!.]*")}


# ---- whole jobs ----

def test_jobs_in_both_forms(place):
    """secret_key is the message's id; the queue is empty afterwards."""
    worker = place.add_worker(run__java="/bin/true")
    sent = {str(job): place.send(job) for job in range(1, 6)}
    sent["6"] = place.sqs.send(place.queues[1], json.dumps(
        {"version": 2, "job_id": 6, "job_type": "run", "commit": COMMIT, "model_id": None,
         "jar_file_key": f"builds/{COMMIT}.jar", "model_file_key": "models/empty.tar.bz2"}))
    worker.start()
    for job, message in sent.items():
        report = place.report(job)
        assert (report["secret_key"], report["return_code"], report["correct"]) == (message, 0, 1)
        assert (report["attempt"], report["result_s3_key"]) == (1, f"results/{job}-1.tar.zst")
    place.emptied(0)
    place.emptied(1)
    assert sorted(place.desk.started) == sorted(sent)
    assert worker.wait_until_idle()["counters"]["succeeded"] == 6
    assert not claims(worker)


def test_queues_by_name(place):
    names = [url.rpartition("/")[2] for url in place.queues]
    place.add_worker(run__java="/bin/true", queues=names).start()
    place.send(1, queue=1)
    assert place.report(1)["correct"] == 1


def test_priority(place):
    worker = place.add_worker(run__java="/bin/true")
    for job, queue in ((1, 1), (2, 0), (3, 1), (4, 0)):
        place.send(job, queue)
    worker.start()
    for job in range(1, 5):
        place.report(job)
    assert sorted(place.desk.started[:2]) == ["2", "4"]
    assert sorted(place.desk.started[2:]) == ["1", "3"]


def test_waits_go_on_in_parallel(place):
    place.add_worker(run__java="/bin/true").start()
    for job, queue in ((1, 1), (2, 0), (3, 1)):
        place.polled(0, 1)
        place.send(job, queue)
        place.report(job)


def test_what_comes_meanwhile_goes_back(place):
    """The wait on the other queue goes on while a job runs: what it brings is at once another's."""
    worker = place.add_worker().start()
    place.polled(0, 1)
    place.send(1)
    place.begun(worker, 1)
    assert place.sqs.polls(place.queues[1]) == 1
    place.send(2, queue=1)
    place.visible(1)
    assert place.sqs.polls(place.queues[1]) == 0
    message = place.sqs.receive(place.queues[1], visibility=0)
    assert message.attempt == 2
    place.end(worker, 1)
    place.begun(worker, 2, attempt=3)
    assert place.end(worker, 2, attempt=3)["attempt"] == 3


# ---- messages that are no jobs for us ----

def test_messages_of_another_version_are_left_alone(place):
    worker = place.add_worker(run__java="/bin/true").start()
    place.send(1, version=1)
    worker.log_has("is not for this worker: left to others")
    place.send(2, queue=1)
    place.report(2)
    assert place.sqs.in_flight(place.queues[0]) == 1
    assert worker.wait_until_idle()["parked"] == 0


def test_a_message_that_cannot_be_read_is_parked(place):
    worker = place.add_worker(run__java="/bin/true").start()
    place.sqs.send(place.queues[0], "no: job: at: all")
    worker.wait_until(lambda status: status["parked"] == 1, "parked")
    place.emptied()
    [parked] = [path for path in worker.state.joinpath("parked").iterdir() if path.is_file()]
    assert parked.read_text() == "no: job: at: all"


def test_a_message_longer_than_any_of_ours_stops_nothing(place):
    worker = place.add_worker(run__java="/bin/true").start()
    place.sqs.send(place.queues[0], "\\\u00e4\"" * 60000)
    worker.wait_until(lambda status: status["parked"] == 1, "parked")
    place.emptied()


def test_a_message_with_a_wrong_field_is_reported(place):
    place.add_worker(run__java="/bin/true").start()
    sent = place.send(1, commit="master")
    report = place.report(1)
    assert (report["secret_key"], report["failure"]) == (sent, "bad-message")
    place.emptied()


# ---- leases ----

def test_a_long_job_stays_ours(place):
    """Another worker waits at the same queue for twice the lease."""
    workers = [place.add_worker(name, queue__lease="2s").start() for name in ("one", "other")]
    place.send(1)
    holder = wait_for(lambda: [worker for worker in workers if worker.status().get("job")],
                      "a worker with the job")[0]
    place.begun(holder, 1)
    enough = time.monotonic() + 4.5
    wait_for(lambda: time.monotonic() > enough, "two leases")
    assert place.end(holder, 1)["attempt"] == 1
    place.emptied()
    assert place.desk.started == ["1"]


def test_a_lost_lease_stops_the_job(place):
    """The worker stood still for too long, and somebody else has the message."""
    worker = place.add_worker(queue__lease="2s").start()
    place.send(1)
    place.begun(worker, 1)
    worker.signal(signal.SIGSTOP)
    taken = wait_for(lambda: place.sqs.receive(place.queues[0]), "the message visible again")
    assert taken.attempt == 2
    worker.signal(signal.SIGCONT)
    worker.wait_until(lambda status: status["counters"]["lost"] == 1, "lost")
    worker.wait_until_idle()
    assert not place.desk.finished
    assert not claims(worker)
    assert place.sqs.in_flight(place.queues[0]) == 1


def test_a_drained_worker_gives_its_job_to_another(place):
    worker = place.add_worker(drain_timeout="0s").start()
    place.send(1)
    place.begun(worker, 1)
    other = place.add_worker("other").start()
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    place.begun(other, 1, attempt=2)
    assert place.end(other, 1, attempt=2)["attempt"] == 2
    place.emptied()


def test_a_killed_worker_hands_its_job_back(place):
    """With a lease of an hour, nobody else would see it for so long."""
    worker = place.add_worker().start()
    place.send(1)
    place.begun(worker, 1)
    worker.kill()
    worker.start()
    place.begun(worker, 1, attempt=2)
    place.end(worker, 1, attempt=2)
    place.emptied()


# ---- longer than SQS hides a message ----

@pytest.fixture
def kept(place):
    """A worker with a job of which the queue knows nothing any more, and the message's id."""
    worker = place.add_worker(queue__lease="2s", queue__hide_limit="3s", drain_timeout="0s").start()
    message = place.send(1)
    place.begun(worker, 1)
    place.emptied()
    assert claims(worker)["1-1.json"]["kept"] is True
    return worker, message


def test_a_kept_job_is_reported_like_any_other(place, kept):
    worker, message = kept
    assert place.end(worker, 1)["secret_key"] == message
    worker.wait_until_idle()
    assert not claims(worker)
    assert worker.status()["parked"] == 0


def test_a_kept_job_is_run_again_after_a_crash(place, kept):
    worker, message = kept
    for attempt in (2, 3):
        worker.kill()
        worker.start()
        place.begun(worker, 1, attempt)
        assert list(claims(worker)) == [f"1-{attempt}.json"]
    report = place.end(worker, 1, attempt)
    assert (report["secret_key"], report["attempt"]) == (message, 3)
    assert report["result_s3_key"] == "results/1-3.tar.zst"
    worker.wait_until_idle()
    assert not claims(worker)


def test_a_kept_job_that_crashes_too_often_is_reported(place, kept):
    worker, message = kept
    worker.kill()
    worker.configure(max_attempts=1)
    worker.start()
    report = place.report(1)
    assert (report["secret_key"], report["failure"]) == (message, "runner-lost")


def test_a_drained_worker_runs_a_kept_job_at_its_next_start(place, kept):
    worker, message = kept
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert "to be run again here" in worker.log()
    assert list(claims(worker)) == ["1-2.json"]
    worker.start()
    place.begun(worker, 1, attempt=2)
    assert place.end(worker, 1, attempt=2)["secret_key"] == message


def test_a_kept_job_whose_runner_is_lost_is_run_again(place, kept):
    worker, message = kept
    os.kill(worker.runner(), signal.SIGKILL)
    place.begun(worker, 1, attempt=2)
    assert place.end(worker, 1, attempt=2)["secret_key"] == message


# ---- stopping ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_an_idle_worker_stops_at_once(place, number):
    worker = place.add_worker().start()
    place.polled(0, 1)
    worker.signal(number)
    assert worker.process.wait(PROMPT) == 0
    place.send(1)
    assert place.sqs.receive(place.queues[0]).attempt == 1


# ---- what stands against it ----

def waits_because(worker, *texts):
    return worker.wait_until(lambda status: all(text in (status.get("why") or "")
                                                for text in texts), f"waiting because of {texts}")


def test_wrong_keys(place):
    place.write_secret("secret", "not+it")
    worker = place.add_worker(run__java="/bin/true").start()
    waits_because(worker, "InvalidSignature")
    place.write_secret("secret", place.sqs.secret_key)
    worker.signal(signal.SIGHUP)
    place.send(1)
    place.report(1)
    worker.wait_until(lambda status: not status.get("why"), "nothing against it")


def test_a_wrong_region(place):
    waits_because(place.add_worker(queue__region="mars-north-1").start(), "us-east-1")


def test_a_queue_that_does_not_exist(place):
    waits_because(place.add_worker(queues=["nowhere"]).start(), "nowhere", "QueueDoesNotExist")


# ---- what goes wrong on the way ----

def test_sqs_is_away_for_a_while(place, proxy):
    worker = place.add_worker(run__java="/bin/true").start()
    place.polled(0, 1)
    with proxy.down():
        place.send(1)
        waits_because(worker, proxy.endpoint)
    assert place.report(1)["correct"] == 1
    worker.wait_until(lambda status: not status.get("why"), "nothing against it")


def test_sqs_is_away_when_the_job_ends(place, proxy):
    """Its report comes nevertheless, and the message goes once it can."""
    worker = place.add_worker().start()
    place.send(1)
    place.begun(worker, 1)
    with proxy.down():
        assert place.end(worker, 1)["correct"] == 1
        assert place.sqs.in_flight(place.queues[0]) == 1
    place.emptied()
    assert worker.wait_until_idle()["parked"] == 0
    assert place.desk.started == ["1"]


@pytest.mark.parametrize("action, fault", [
    ("ReceiveMessage", json_error(400, "ThrottlingException")),
    ("DeleteMessage", json_error(503, "ServiceUnavailable")),
    ("ChangeMessageVisibility", json_error(500, "InternalFailure"))])
def test_sqs_is_busy(place, proxy, action, fault):
    proxy.fault(fault, action=action, times=3)
    worker = place.add_worker(run__java="/bin/true").start()
    place.send(1)
    assert place.report(1)["correct"] == 1
    place.emptied()
    assert worker.wait_until_idle()["parked"] == 0


@pytest.mark.parametrize("fault", [Reset(at="before headers"), Truncate(at="last byte"),
                                   FlipBit(at=200)])
def test_an_answer_lost_on_the_way(place, proxy, fault):
    """Its message comes again after the short time that an unclaimed one is hidden."""
    place.send(1)
    lost = proxy.fault(fault, action="ReceiveMessage")
    place.add_worker(run__java="/bin/true", queue__lease="2s").start()
    assert place.report(1)["attempt"] == 2
    assert lost.applied == 1
    place.emptied()


def test_keys_that_ran_out_are_replaced(place, proxy):
    """By those that are there then; nobody need say so."""
    worker = place.add_worker(run__java="/bin/true").start()
    rule = proxy.fault(json_error(403, "ExpiredTokenException"), action="ReceiveMessage")
    place.send(1)
    place.report(1)
    assert rule.applied == 1
    assert "cannot receive" not in worker.log()


def test_a_clock_that_is_wrong(place, proxy):
    late = json_error(403, "InvalidSignatureException", "Signature expired: it is now later",
                      date_offset=3600)
    proxy.fault(late, action="ReceiveMessage", times=None)
    waits_because(place.add_worker().start(), "this host's clock is", "behind")


def test_few_connections_for_many_requests(place, proxy):
    worker = place.add_worker(run__java="/bin/true").start()
    for job in range(1, 11):
        place.send(job, job % 2)
        place.report(job)
    worker.wait_until_idle()
    assert len(proxy.requests()) > 40
    assert proxy.connections <= 5
