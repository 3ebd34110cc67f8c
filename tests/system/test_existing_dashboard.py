"""The workers with the existing dashboard: what they say to it, field by field, and what they make of its
answers. And that what stands in for it here says what the recorded exchanges say."""
import base64
import json
import re
import socket

import pytest

import exchanges
import models
from existing_dashboard import ExistingDashboard, Job
from make_repository import commit_change
from programs import DEADLINE, wait_for

EXCHANGES = exchanges.read()
COMMIT = "287a688f338d5d8c7b27b8915629893721a1fcac"
BASIC = base64.b64encode(b"tester:secret").decode()


class Memory:
    """A store for the dashboard alone."""

    def __init__(self):
        self.objects = {}

    def put(self, key, content):
        self.objects[key] = content


@pytest.fixture
def double(sqs_server):
    dashboard = ExistingDashboard(Memory(), sqs_server, "secret")
    yield dashboard
    dashboard.stop()


def raw(dashboard, request):
    with socket.create_connection(("127.0.0.1", dashboard.port), DEADLINE) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def scene(double, name):
    """A row of each kind; what the {names} of an exchange stand for."""
    worker = json.loads(raw(double, EXCHANGES["register"].request.bytes(
        basic=BASIC, host=double.host)).partition(b"\r\n\r\n")[2])["worker_id"]
    double.push(COMMIT)
    model = double.add_model("model", b"BZh", ci=False)
    [job] = double.jobs()
    if "run" in name or "model" in name:
        job = double.jobs(id=double.request_run(model, COMMIT))[0]
    return {"worker": worker, "job": job.id, "model": model, "secret": job.secret_key,
            "basic": BASIC, "host": double.host}


# ---- the stand-in ----

@pytest.mark.parametrize("name", EXCHANGES)
def test_the_stand_in_answers_as_recorded(double, name):
    values = scene(double, name)
    exchange = EXCHANGES[name]
    answer = raw(double, exchange.request.bytes(**values).replace(
        b"Content-Type: multipart", b"Connection: close\r\nContent-Type: multipart"))
    if name == "register":
        values["worker"] = max(double.workers)
    assert answer == exchange.answer.bytes(**values)


def finish(double, job, **report):
    body = json.dumps({"secret_key": job.secret_key, **report}).encode()
    head = (f"POST /jobs/{job.id}/finish HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: Basic {BASIC}\r\nContent-Length: {len(body)}\r\n\r\n")
    return int(raw(double, head.encode() + body).split()[1])


def test_messages_to_the_byte(double, sqs_server):
    model = double.add_model("model", b"BZh", ci=False)
    double.push(COMMIT, "1" * 40)
    assert sqs_server.receive(double.queues["build"]).body == (
        f"---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: {COMMIT}\n")
    message = sqs_server.receive(double.queues["build"])
    assert message.body == f"---\n:version: 2\n:job_id: 2\n:job_type: :build\n:commit: '{'1' * 40}'\n"
    assert message.id == double.jobs(id=2)[0].secret_key
    double.built_by_hand(COMMIT, f"builds/{COMMIT}.jar")
    double.request_run(model, COMMIT)
    assert sqs_server.receive(double.queues["performance"]).body == (
        f"---\n:version: 2\n:job_id: 4\n:job_type: :run\n:commit: {COMMIT}\n:model_id: 1\n"
        f":jar_file_key: builds/{COMMIT}.jar\n:model_file_key: {double.models[1].s3_key}\n"
        ":algorithm: GIA\n")
    nothing = Job(5, "run", "1.5e3", 1)
    assert nothing.message().endswith(":jar_file_key:\n:model_file_key:\n:algorithm:\n")


def test_a_build_that_is_finished_twice_is_run_twice(double):
    double.add_model("model", b"BZh")
    double.push(COMMIT)
    [job] = double.jobs()
    for key in ("builds/1.jar", "builds/2.jar"):
        assert finish(double, job, return_code=0, result_s3_key=key) == 200
    assert job.result_s3_key == "builds/2.jar" and len(double.jobs(type="run")) == 2
    for code in ("0", 1, None):  # a text is no number
        assert finish(double, job, return_code=code) == 200
    assert len(double.jobs(type="run")) == 2
    assert finish(double, job, return_code=2**40) == 500


def test_a_run_is_finished_once(double):
    double.push(COMMIT)
    job = double.jobs(id=double.request_run(double.add_model("model", b"BZh"), COMMIT))[0]
    assert finish(double, job, return_code=0, correct=True, real_time_seconds=12.9,
                  cpu_time_seconds="7") == 200
    assert (job.correct, job.real_time_seconds, job.cpu_time_seconds) == (0, 12, 7)
    assert finish(double, job, secret_key="wrong", return_code=1) == 200
    assert job.return_code == 0 and len(job.reports) == 1


def test_a_body_in_chunks_is_lost(double):
    values = scene(double, "")
    request = EXCHANGES["heartbeat, idle"].request.bytes(**values)
    head, _, body = request.partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    answer = raw(double, head + b"\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    assert answer.startswith(b"HTTP/1.1 500 ")


# ---- our dashboard, asked as the existing worker asks ----

@pytest.mark.parametrize("name", [
    name for name, exchange in EXCHANGES.items()
    if exchange.status in (200, 303) and name != "register without a name"])
def test_our_dashboard_answers_the_same(dashboard, name):
    exchange = EXCHANGES[name]
    values = {"basic": BASIC, "host": f"127.0.0.1:{dashboard.port}",
              "worker": dashboard.post("/workers/register", {"hostname": "vm"}).text[13:-1]}
    values["model"] = dashboard.add_model("model", ci=False)
    dashboard.push(COMMIT)
    message = dashboard.receive("build")
    values |= {"job": 1, "secret": message["message_id"]}
    answer = raw(dashboard, exchange.request.bytes(**values).replace(
        b"Content-Type: multipart", b"Connection: close\r\nContent-Type: multipart"))
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert int(head.split()[1]) == exchange.status
    assert f"Content-Type: {exchange.answer.headers['Content-Type']}".lower() in head.lower()
    if exchange.status == 303:
        assert exchanges.fill(exchange.answer.headers["Location"], values) in head
    elif name == "register":
        assert re.fullmatch(r'{"worker_id":\d+}', body)
    else:
        assert body == exchange.answer.body


# ---- our workers ----

# What ours say beyond the existing worker, which the existing dashboard ignores.
MORE = {
    "register": {"version": str, "kind": str},
    "heartbeat": {"attempt": int, "step": str, "progress": dict},
    "start": {"attempt": int, "worker": str},
    "finish": {"attempt": int, "jar_sha256": str, "result_sha256": str, "failure": str, "step": str,
               "timings": dict, "max_rss_bytes": int, "measured_by": str, "worker": str,
               "error_message": str, "error_details": str},
    "unregister": {},
}
NEVER = ("accept-encoding", "expect", "transfer-encoding")


def check_request(request, name, values):
    """Line by line against the recorded one: the same verb and path, all of its headers but for the
    body's type, all of its fields in its order, and beside them only what is known to be ignored."""
    recorded = EXCHANGES[name].request
    assert f"{request.method} {request.path}" == exchanges.fill(
        recorded.start.removesuffix(" HTTP/1.1"), values)
    assert request.head.startswith(f"{request.method} {request.path} HTTP/1.1\r\n".encode())
    for header in ("Authorization", "Host"):
        assert request.headers[header.lower()] == exchanges.fill(recorded.headers[header], values)
    assert request.headers["content-length"] == str(len(request.body))
    assert not [header for header in NEVER if header in request.headers]
    check_body(request, recorded, values)


def check_body(request, recorded, values):
    verb = request.path.rpartition("/")[2]
    if not request.body:
        assert not recorded.body and "content-type" not in request.headers
        return
    assert request.headers["content-type"] == "application/json"
    ours = json.loads(request.body)
    theirs = json.loads(exchanges.fill(recorded.body, values)) if recorded.body else {}
    kept = {field: value for field, value in theirs.items() if not field.startswith("error_detail")}
    assert [field for field in ours if field in kept] == list(kept)
    for field, value in kept.items():
        same = (int, float) if isinstance(value, (int, float)) else type(value)
        assert isinstance(ours[field], same), field
    for field in set(ours) - set(kept):
        assert isinstance(ours[field], MORE[verb][field]), field


def one(dashboard, path):
    [request] = dashboard.requests_to(path)
    return request


def report(dashboard, job):
    return one(dashboard, f"/jobs/{job['id']}/finish")


@pytest.fixture
def site(new_site, jar):
    """The run worker alone, and a jar."""
    site = new_site(queue="sqs", workers=["run"], password="secret")
    site.add_built_commit(jar)
    return site


def values_of(site, job=None):
    values = {"basic": BASIC, "host": site.dashboard.host,
              "worker": max(site.dashboard.workers, default=None)}
    if job:
        values |= {"job": job["id"], "secret": job["secret_key"], "model": job["model_id"]}
    return values


def test_what_a_build_worker_says(new_site):
    site = new_site(queue="sqs", workers=["build"], password="secret",
                    build={"build.commands": ["cp number out.jar"], "build.artifact": "out.jar"})
    check_request(one(site.dashboard, "/workers/register"), "register", values_of(site))
    failed = site.build(site.commit)  # which has no such file
    assert (failed["return_code"], failed["result_s3_key"]) == (1, None)
    check_request(report(site.dashboard, failed), "finish, build failed", values_of(site, failed))
    commit = commit_change(site.repository, {"number": "1"}, "Count")
    build = site.build(commit)
    assert (build["return_code"], build["result_s3_key"]) == (0, f"builds/{commit}.jar")
    check_request(report(site.dashboard, build), "finish, built", values_of(site, build))
    check_request(one(site.dashboard, f"/jobs/{build['id']}/start"), "start", values_of(site, build))
    values = values_of(site)
    site.build_worker.stop()
    check_request(one(site.dashboard, "/workers/.*/unregister"), "unregister", values)


def test_what_a_run_worker_says(site, archive):
    run = site.run(site.add_model("model", archive(), ci=False))
    assert (run["return_code"], run["correct"]) == (0, 1)
    check_request(report(site.dashboard, run), "finish, run", values_of(site, run))
    wrong = site.run(site.add_model("wrong", archive(models.misbehaving("exit 3")), ci=False))
    check_request(report(site.dashboard, wrong), "finish, run failed", values_of(site, wrong))
    assert (wrong["return_code"], wrong["correct"]) == (1, 0)
    heartbeats = site.dashboard.requests_to("/workers/.*/heartbeat")
    assert heartbeats
    for request in heartbeats:
        job = json.loads(request.body)["job_id"]
        check_request(request, "heartbeat, idle" if job is None else "heartbeat, working",
                      values_of(site, job and site.job(job)))


def test_a_model_that_cannot_be_unpacked(site):
    run = site.run(site.plant_model("bad", b"BZh no archive"))
    assert run["return_code"] == 255
    check_request(report(site.dashboard, run), "finish, model not unpacked", values_of(site, run))


def test_populated_solutions_are_uploaded_before_the_report(site, archive):
    model = site.add_model("unpopulated", archive(expected=None), ci=False)
    before = site.model(model)["s3_key"]
    run = site.run(model)
    assert (run["return_code"], run["correct"]) == (0, 1)
    upload = one(site.dashboard, f"/models/{model}/upload")
    requests = site.dashboard.requests
    assert requests.index(upload) < requests.index(report(site.dashboard, run))
    assert upload.status == 303 and upload.headers["authorization"] == f"Basic {BASIC}"
    assert re.fullmatch("multipart/form-data; boundary=.*", upload.headers["content-type"])
    assert (b'\r\nContent-Disposition: form-data; name="file"; filename="populated_model.tar.bz2"'
            b"\r\nContent-Type: application/x-bzip2\r\n\r\nBZh") in upload.body
    assert not [header for header in NEVER if header in upload.headers]
    after = site.model(model)["s3_key"]
    assert after != before and site.object(after).startswith(b"BZh")


def test_a_worker_that_was_forgotten_registers_again(new_site, jar, archive):
    site = new_site(queue="sqs", workers=["run"], run={"heartbeat-period": "1s"})
    site.add_built_commit(jar)
    model = site.add_model("slow", archive(models.misbehaving("delay 3")), ci=False)
    job = site.request_run(model)
    site.run_worker.wait_for_step("execute")
    site.dashboard.forget_workers()
    wait_for(lambda: len(site.dashboard.requests_to("/workers/register")) == 2, "registering again")
    assert site.wait_for_job(id=job)["correct"] == 1
    assert len(site.dashboard.requests_to(f"/jobs/{job}/finish")) == 1


def test_a_report_to_a_dashboard_that_is_away_arrives(site, archive):
    job = site.request_run(site.add_model("slow", archive(models.misbehaving("delay 1")), ci=False))
    site.run_worker.wait_for_step("execute")
    site.dashboard.stop()
    site.run_worker.wait_until(lambda status: status["outbox"] and status["state"] == "idle",
                               "a report that waits")
    site.dashboard.start()
    run = site.wait_for_job(id=job)
    assert run["correct"] == 1 and len(run["reports"]) == 1
    check_request(report(site.dashboard, run), "finish, run", values_of(site, run))
    queue = site.dashboard.queues["performance"]
    wait_for(lambda: site.sqs.in_flight(queue) == 0, "the message's end")


def test_a_wrong_password_is_said(site, archive):
    """401 is for ever until somebody mends it: nothing is lost meanwhile."""
    site.dashboard.password = "another"
    job = site.request_run(site.add_model("model", archive(), ci=False))
    site.run_worker.log_has("401")
    site.dashboard.password = "secret"
    assert site.wait_for_job(id=job)["correct"] == 1
