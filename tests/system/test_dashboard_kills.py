"""The dashboard is killed between any two changes it makes: what it accepted is there afterwards,
and what is asked again because no answer came is done once."""
import hashlib
import http.client
import os
import re
import secrets

import pytest

import programs
from crowd import Finishes
from kill_points import Killer

EVERY = int(os.environ.get("TORTURE_EVERY", 2))  # which of the points; 1: all


@pytest.fixture
def victim(tmp_path):
    with programs.Dashboard(tmp_path / "dashboard") as running:
        running.killer = Killer(tmp_path)
        running.finishes = Finishes(running)
        running.model = running.add_model("the model", None)
        yield running


def restart(dashboard):
    """Its next life, in which a plan may be followed; one that ends as it begins is followed by
    another."""
    try:
        dashboard.start()
    except AssertionError:
        assert dashboard.killer.fell()
        dashboard.process.wait()
        dashboard.start()


class Client:
    """Does what worker, GitHub and people do with one commit, and repeats what got no answer. All
    that was accepted must be there after each restart."""

    def __init__(self, dashboard):
        self.dashboard = dashboard
        self.commit = secrets.token_hex(20)
        self.archive = b"BZh9" + secrets.token_bytes(100)
        self.accepted = []

    def ask(self, request, check):
        while True:
            try:
                answer = request()
                break
            except (ConnectionError, http.client.HTTPException):
                self.dashboard.process.wait(programs.DEADLINE)
                restart(self.dashboard)
                for earlier in self.accepted:
                    earlier()
        self.accepted.append(check)
        check()
        return answer

    def job(self, kind):
        """The one job of that kind for the commit."""
        [job] = self.dashboard.sql("SELECT jobs.* FROM jobs JOIN commits ON commits.id = commit_id"
                                   " WHERE sha = ? AND type = ?", self.commit, kind)
        return job

    def push(self):
        def check():
            assert self.job("build")
        assert self.ask(lambda: self.dashboard.push(self.commit), check).status == 200

    def upload(self):
        def check():
            key = self.dashboard.sql("SELECT key FROM models")[0]["key"]
            assert (self.dashboard.data / "store" / key).read_bytes() == self.archive
        answer = self.ask(lambda: self.dashboard.upload_model(self.dashboard.model, self.archive), check)
        assert answer.status == 303

    def receive(self, queue):
        def receive():
            # What was given out, but never came, comes back when its lease ends.
            self.dashboard.sql("UPDATE jobs SET visible_at = 0 WHERE queued = 1")
            return self.dashboard.receive(queue)
        return self.ask(receive, lambda: None)

    def tell(self, job, what, body, check):
        answer = self.ask(lambda: self.dashboard.post(f"/jobs/{job}/{what}", body), check)
        assert answer.text == "OK", answer

    def do(self, kind, queue, **result):
        message = self.receive(queue)
        job, attempt = int(re.search(r":job_id: (\d+)", message["body"])[1]), message["attempt"]

        def started():
            assert self.job(kind)["started_attempt"] == attempt

        def finished():
            assert (self.job(kind)["finished_attempt"], self.job(kind)["queued"]) == (attempt, 0)
        self.tell(job, "start", {"attempt": attempt, "worker": "w"}, started)
        report = {"secret_key": message["message_id"], "return_code": 0, "attempt": attempt, **result}
        self.tell(job, "finish", report, finished)
        receipt = {"receipt": message["receipt"]}
        self.ask(lambda: self.dashboard.post("/queue/acknowledge", receipt), finished)

    def work(self):
        self.push()
        self.upload()
        jar = hashlib.sha256(self.archive).hexdigest()
        self.do("build", "build", result_s3_key=f"builds/{self.commit}.jar", jar_sha256=jar)
        assert self.job("run")["jar_sha256"] == jar
        self.do("run", "ci", result_s3_key="results/1.tar.zst", correct=1)
        for check in self.accepted:
            check()


def test_killed_anywhere(victim):
    killer = victim.killer
    assert victim.stop() == 0
    victim.more_environment = killer.recording
    victim.start()
    Client(victim).work()
    assert victim.stop() == 0
    victim.more_environment = killer.environment
    points = range(1, len(killer.points("dashboard")) + 1, EVERY)
    fallen = 0
    for number in points:
        killer.plan("dashboard", number)
        restart(victim)
        Client(victim).work()
        fallen += not killer.give_up()
        victim.finishes.check()
        assert victim.stop() == 0
    # The last ones are of its end.
    assert fallen >= 40 and fallen > 0.8 * len(points)
    victim.start()
    assert not list((victim.data / "store" / "models" / ".uploads").iterdir())
