"""moolloy-dashboard's queue: order, long polls, leases, attempts; and that nothing accepted is lost."""
import concurrent.futures
import http.client
import json
import re
import socket
import threading
import time

import pytest

import programs
from programs import wait_for

SHA = "287a688f338d5d8c7b27b8915629893721a1fcac"


def sha(number):
    return f"a{number:039x}"


def job_of(message):
    return int(re.search(r":job_id: (\d+)", message["body"])[1])


def report(message, **more):
    return {"secret_key": message["message_id"], "return_code": 0,
            "result_s3_key": "builds/x.jar", **more}


class Waiter:
    """A long poll under way, on a socket of its own, so that the test can hang up or look."""

    def __init__(self, dashboard, *queues, wait=30, poll=None, worker=None):
        body = json.dumps({"queues": queues, "worker": worker, "poll": poll,
                           "wait_seconds": wait, "lease_seconds": 120})
        self.socket = socket.create_connection(("127.0.0.1", dashboard.port), programs.DEADLINE)
        self.socket.sendall((f"POST /queue/receive HTTP/1.1\r\nHost: localhost\r\n"
                             f"Content-Length: {len(body)}\r\n\r\n{body}").encode())

    def answer(self):
        response = http.client.HTTPResponse(self.socket)
        response.begin()
        return programs.Answer(response)

    def close(self):
        self.socket.close()


def is_quiet(waiter):
    waiter.socket.setblocking(False)
    try:
        return waiter.socket.recv(1, socket.MSG_PEEK) is None
    except BlockingIOError:
        return True
    finally:
        waiter.socket.settimeout(programs.DEADLINE)


def settle(dashboard):
    """Everything sent before this was taken: the dashboard takes requests in turn."""
    dashboard.post("/queue/cancel", {"poll": "nobody"})
    dashboard.post("/queue/cancel", {"poll": "nobody"})


def lapse(dashboard):
    """The lease of every message is over."""
    dashboard.sql("UPDATE jobs SET visible_at = 0")


# ---- receiving ----

def test_message_as_it_comes(dashboard):
    dashboard.push(SHA)
    answer = dashboard.post("/queue/receive", {"queues": ["build"], "worker": "vm/1",
                                               "wait_seconds": 0, "lease_seconds": 120})
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    assert list(answer.json) == ["message_id", "receipt", "queue", "attempt", "handbacks", "body"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.json["message_id"])
    assert re.fullmatch(r"[0-9a-f]{32}", answer.json["receipt"])
    assert (answer.json["queue"], answer.json["attempt"], answer.json["handbacks"]) == ("build", 1, 0)
    assert dashboard.job(1)["leased_by"] == "vm/1"


def test_nothing_there(dashboard):
    answer = dashboard.post("/queue/receive", {"queues": ["build"], "wait_seconds": 0,
                                               "lease_seconds": 120})
    assert (answer.status, answer.body) == (204, b"")
    assert "Content-Length" not in answer.headers and "Content-Type" not in answer.headers


def test_a_message_is_given_to_one(dashboard):
    dashboard.push(*[sha(n) for n in range(20)])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        messages = list(pool.map(lambda _: dashboard.receive("build"), range(24)))
    ids = [job_of(message) for message in messages if message]
    assert sorted(ids) == list(range(1, 21))


def test_oldest_first_and_queues_by_priority(dashboard):
    dashboard.push(sha(1), sha(2))
    for queue in ("ci", "performance", "build", "correctness"):
        dashboard.sql("INSERT INTO jobs (type, commit_id, requested_at, queue, secret, visible_at)"
                      " VALUES ('build', 1, 0, ?, ?, 0)", queue, queue)
    order = ["performance", "correctness", "ci", "build"]
    got = [dashboard.receive(*order)["queue"] for _ in range(6)]
    assert got == ["performance", "correctness", "ci", "build", "build", "build"]


@pytest.mark.parametrize("body", [
    {}, [], "", {"queues": []}, {"queues": "build"}, {"queues": ["builds"]}, {"queues": [1]},
    {"queues": ["build"] * 5}, {"queues": ["build"], "wait_seconds": -1},
    {"queues": ["build"], "wait_seconds": 301}, {"queues": ["build"], "wait_seconds": "x"},
    {"queues": ["build"], "lease_seconds": 0}, {"queues": ["build"], "lease_seconds": 1e9},
    {"queues": ["build"], "worker": "x" * 256}, {"queues": ["build"], "poll": "x" * 129}])
def test_receive_refused(dashboard, body):
    dashboard.push(SHA)
    assert dashboard.post("/queue/receive", body).status == 400
    assert dashboard.job(1)["attempt"] == 0


# ---- long polls ----

def test_long_poll_wakes(dashboard):
    waiter = Waiter(dashboard, "build")
    settle(dashboard)
    assert is_quiet(waiter)
    dashboard.push(SHA)
    assert job_of(waiter.answer().json) == 1


def test_long_poll_ends_empty(dashboard):
    waiter = Waiter(dashboard, "build", wait=1)
    assert waiter.answer().status == 204
    assert dashboard.receive("build") is None


def test_longest_waiting_first(dashboard):
    waiters = []
    for _ in range(3):
        waiters.append(Waiter(dashboard, "build"))
        settle(dashboard)
    for number, waiter in enumerate(waiters):
        dashboard.push(sha(number))
        assert job_of(waiter.answer().json) == number + 1
        assert all(is_quiet(later) for later in waiters[number + 1:])
    for waiter in waiters:
        waiter.close()


def test_a_wait_for_other_queues_stays(dashboard):
    other, build = Waiter(dashboard, "ci", "correctness"), Waiter(dashboard, "ci", "build")
    settle(dashboard)
    dashboard.push(SHA)
    assert build.answer().status == 200
    assert is_quiet(other)


def test_who_hung_up_gets_nothing(dashboard):
    gone = [Waiter(dashboard, "build") for _ in range(3)]
    settle(dashboard)
    for waiter in gone:
        waiter.close()
    here = Waiter(dashboard, "build")
    settle(dashboard)
    dashboard.push(SHA)
    message = here.answer().json
    assert (message["attempt"], message["handbacks"]) == (1, 0)


def test_a_worker_waits_once(dashboard):
    """What stands between may hold a dead worker's connection, and nobody hears of a host that lost its
    power: the worker that is back ends what it left."""
    left, other = Waiter(dashboard, "build", worker="a"), Waiter(dashboard, "build", worker="b")
    settle(dashboard)
    back = Waiter(dashboard, "build", worker="a")
    assert left.answer().status == 204
    assert is_quiet(other) and is_quiet(back)
    dashboard.push(SHA, sha(1))
    assert [waiter.answer().status for waiter in (other, back)] == [200, 200]


def test_cancel(dashboard):
    mine, other = Waiter(dashboard, "build", poll="1f"), Waiter(dashboard, "build", poll="2f")
    settle(dashboard)
    assert dashboard.post("/queue/cancel", {"poll": "1f"}).text == "OK"
    assert mine.answer().status == 204
    assert is_quiet(other)
    assert dashboard.post("/queue/cancel", {"poll": "1f"}).text == "OK"
    dashboard.push(SHA)
    assert other.answer().status == 200


def test_many_waiters(dashboard):
    waiters = [Waiter(dashboard, "build") for _ in range(200)]
    settle(dashboard)
    dashboard.push(*[sha(n) for n in range(200)])
    assert sorted(job_of(waiter.answer().json) for waiter in waiters) == list(range(1, 201))
    for waiter in waiters:
        waiter.close()


def test_a_waiter_is_answered_when_a_lease_runs_out(dashboard):
    dashboard.push(SHA)
    first = dashboard.receive("build", lease=1)
    second = Waiter(dashboard, "build").answer().json
    assert (second["attempt"], second["message_id"]) == (2, first["message_id"])
    assert second["receipt"] != first["receipt"]


def test_stop_ends_waits(dashboard):
    waiter = Waiter(dashboard, "build")
    settle(dashboard)
    assert dashboard.stop() == 0
    assert waiter.answer().status == 204


# ---- leases ----

def test_extend(dashboard):
    dashboard.push(SHA)
    message = dashboard.receive("build", lease=1)
    before = dashboard.job(1)["visible_at"]
    answer = dashboard.post("/queue/extend", {"receipt": message["receipt"], "lease_seconds": 600})
    assert (answer.status, answer.text) == (200, "OK")
    assert dashboard.job(1)["visible_at"] > before + 500_000
    assert dashboard.receive("build") is None


def test_a_lapsed_lease_that_nobody_took_is_taken_up_again(dashboard):
    dashboard.push(SHA)
    message = dashboard.receive("build", lease=1)
    wait_for(lambda: dashboard.job(1)["visible_at"] < time.time() * 1000, "end of the lease")
    assert dashboard.post("/queue/extend", {"receipt": message["receipt"]}).status == 200
    assert dashboard.receive("build") is None
    assert dashboard.post("/jobs/1/finish", report(message, attempt=1)).status == 200


def test_a_superseded_attempt(dashboard):
    dashboard.push(SHA)
    first = dashboard.receive("build", lease=1)
    second = wait_for(lambda: dashboard.receive("build"), "end of the lease")
    assert second["attempt"] == 2
    lost = dashboard.post("/queue/extend", {"receipt": first["receipt"]})
    assert (lost.status, lost.text) == (409, "409 - Conflict: lease is gone")
    for act in ("acknowledge", "release"):
        assert dashboard.post(f"/queue/{act}", {"receipt": first["receipt"]}).text == "OK"
    assert dashboard.receive("build") is None
    assert dashboard.post("/jobs/1/start", {"attempt": 1}).status == 409
    refused = dashboard.post("/jobs/1/finish", report(first, attempt=1))
    assert (refused.status, refused.text) == (409, "409 - Conflict: a later attempt began")
    assert dashboard.post("/jobs/1/finish", report(second, attempt=2)).text == "OK"
    late = dashboard.post("/jobs/1/finish", report(first, attempt=1))
    assert (late.status, late.text) == (409, "409 - Conflict: job was finished by another attempt")
    assert dashboard.job(1)["finished_attempt"] == 2


def test_finish_ends_the_message(dashboard):
    dashboard.push(SHA)
    message = dashboard.receive("build")
    assert dashboard.post("/jobs/1/finish", report(message, attempt=1)).text == "OK"
    receipt = {"receipt": message["receipt"]}
    assert dashboard.post("/queue/extend", receipt).status == 409
    assert dashboard.post("/queue/acknowledge", receipt).text == "OK"
    lapse(dashboard)
    assert dashboard.receive("build") is None


def test_acknowledge(dashboard):
    dashboard.push(SHA)
    message = dashboard.receive("build")
    for _ in range(2):
        assert dashboard.post("/queue/acknowledge", {"receipt": message["receipt"]}).text == "OK"
    lapse(dashboard)
    assert dashboard.receive("build") is None
    assert dashboard.post("/jobs/1/finish", report(message, attempt=1)).text == "OK"


def test_release_and_handback(dashboard):
    dashboard.push(SHA)
    message = dashboard.receive("build")
    handed = {"receipt": message["receipt"], "delay_seconds": 0, "handback": True}
    assert dashboard.post("/queue/release", handed).text == "OK"
    assert dashboard.post("/queue/release", handed).text == "OK"
    message = dashboard.receive("build")
    assert (message["attempt"], message["handbacks"]) == (2, 1)
    tried = {"receipt": message["receipt"], "delay_seconds": 0, "handback": False}
    assert dashboard.post("/queue/release", tried).text == "OK"
    message = dashboard.receive("build")
    assert (message["attempt"], message["handbacks"]) == (3, 1)
    assert dashboard.post("/queue/extend", {"receipt": handed["receipt"]}).status == 409


def test_release_with_a_delay(dashboard):
    dashboard.push(SHA)
    message = dashboard.receive("build")
    before = int(time.time() * 1000)
    dashboard.post("/queue/release", {"receipt": message["receipt"], "delay_seconds": 1})
    assert dashboard.receive("build") is None
    assert dashboard.job(1)["visible_at"] >= before + 1000
    again = Waiter(dashboard, "build").answer().json
    assert again["attempt"] == 2 and time.time() * 1000 >= before + 1000


def test_release_answers_a_waiter_at_once(dashboard):
    dashboard.push(SHA)
    message = dashboard.receive("build")
    waiter = Waiter(dashboard, "build")
    settle(dashboard)
    dashboard.post("/queue/release", {"receipt": message["receipt"], "handback": True})
    assert waiter.answer().json["attempt"] == 2


@pytest.mark.parametrize("act", ["extend", "acknowledge", "release"])
def test_receipts_that_are_none(dashboard, act):
    assert dashboard.post(f"/queue/{act}", {"receipt": "00ff"}).status == (409 if act == "extend" else 200)
    for body in ("", "[]", {}, {"receipt": 1}, {"receipt": None}, {"receipt": "x" * 200}):
        assert dashboard.post(f"/queue/{act}", body).status == 400


# ---- durability ----

def test_kill_loses_nothing_that_was_accepted(tmp_path):
    dashboard = programs.Dashboard(tmp_path / "d")
    accepted, stop = [], threading.Event()

    def push():
        number = 0
        while not stop.is_set():
            try:
                if dashboard.push(sha(number)).status == 200:
                    accepted.append(sha(number))
            except (OSError, http.client.HTTPException):
                return
            number += 1

    pusher = threading.Thread(target=push)
    pusher.start()
    wait_for(lambda: len(accepted) >= 30, "some pushes")
    dashboard.kill()
    pusher.join()
    stop.set()
    with dashboard:
        dashboard.start()
        stored = [row["sha"] for row in dashboard.sql("SELECT sha FROM commits ORDER BY id")]
        assert stored[:len(accepted)] == accepted and len(stored) <= len(accepted) + 1
        received = [dashboard.receive("build") for _ in stored]
        assert [job_of(message) for message in received] == list(range(1, len(stored) + 1))
        assert dashboard.receive("build") is None


def test_leases_and_finishes_outlive_a_kill(tmp_path):
    dashboard = programs.Dashboard(tmp_path / "d")
    dashboard.add_model("queens")
    dashboard.push(sha(1), sha(2))
    held, done = dashboard.receive("build"), dashboard.receive("build")
    assert dashboard.post("/jobs/2/finish", report(done, attempt=1)).status == 200
    worker = dashboard.post("/workers/register", {"hostname": "vm", "kind": "build"}).text
    dashboard.kill()
    with dashboard:
        dashboard.start()
        assert dashboard.receive("build") is None
        assert dashboard.receive("ci") is not None
        assert dashboard.receive("ci") is None
        assert dashboard.post("/queue/extend", {"receipt": held["receipt"]}).text == "OK"
        assert dashboard.post("/jobs/2/finish", report(done, attempt=1)).text == "OK"
        assert dashboard.receive("ci") is None
        assert dashboard.post("/jobs/1/finish", report(held, attempt=1)).text == "OK"
        assert dashboard.post("/workers/register", {"hostname": "vm", "kind": "build"}).text == worker
