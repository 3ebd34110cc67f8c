"""moolloy-dashboard: the contract of the existing dashboard, as its workers see it on the wire."""
import gzip
import hashlib
import hmac
import json
import re
import subprocess

import pytest

import programs

SHA = "287a688f338d5d8c7b27b8915629893721a1fcac"
OTHER = "b456548c1bf692905ea80cb660e08d1544c3a6e4"
JAR_HASH = "ab" * 32
HTML = "text/html;charset=utf-8"


def form_post(dashboard, path, body):
    """As an existing worker sends it: JSON, typed as a form, on a connection of its own."""
    head = (f"POST {path} HTTP/1.1\r\nConnection: close\r\nHost: 127.0.0.1:{dashboard.port}\r\n"
            f"Content-Length: {len(body)}\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n")
    answer = dashboard.raw(head.encode() + body.encode())
    headers, _, content = answer.partition(b"\r\n\r\n")
    return headers.decode(), content


def built(dashboard, sha=SHA, **more):
    """Pushes the commit, builds it as a worker would; the job and the answer to its finish."""
    dashboard.push(sha)
    message = dashboard.receive("build")
    job_id = int(re.search(r":job_id: (\d+)", message["body"])[1])
    report = {"secret_key": message["message_id"], "return_code": 0,
              "result_s3_key": f"builds/{sha}.jar", **more}
    return job_id, report, dashboard.post(f"/jobs/{job_id}/finish", report)


# ---- workers ----

def test_register_to_the_byte(dashboard):
    headers, body = form_post(dashboard, "/workers/register", '{"hostname":"vm"}')
    assert headers.startswith("HTTP/1.1 200 OK\r\n")
    assert body == b'{"worker_id":1}'
    assert f"Content-Type: {HTML}" in headers.split("\r\n")
    assert "application/json" not in headers
    assert "Content-Length: 15" in headers.split("\r\n")


def test_worker_life(dashboard):
    assert form_post(dashboard, "/workers/register", '{"hostname":"vm"}')[1] == b'{"worker_id":1}'
    for body in ('{"job_id":null}', "{}"):
        headers, content = form_post(dashboard, "/workers/1/heartbeat", body)
        assert (headers.split("\r\n")[0], content) == ("HTTP/1.1 200 OK", b"OK")
    headers, content = form_post(dashboard, "/workers/1/unregister", "")
    assert (headers.split("\r\n")[0], content) == ("HTTP/1.1 200 OK", b"")
    gone = dashboard.post("/workers/1/heartbeat", {"job_id": None})
    assert (gone.status, gone.text) == (400, "400 - Bad request: worker does not exist")
    assert dashboard.post("/workers/1/unregister").status == 400


@pytest.mark.parametrize("worker", ["7", "abc", "-1", "0", "1%00", "999999999999999999999"])
def test_heartbeat_of_a_worker_that_does_not_exist(dashboard, worker):
    dashboard.post("/workers/register", {"hostname": "vm"})
    answer = dashboard.post(f"/workers/{worker}/heartbeat", {"job_id": None})
    assert answer.status in (400, 404)
    if "%" not in worker:
        assert answer.text == "400 - Bad request: worker does not exist"


def test_a_state_changes_only_with_the_job(dashboard):
    dashboard.push(SHA)
    dashboard.post("/workers/register", {"hostname": "vm"})
    dashboard.sql("UPDATE workers SET last_state_change = 1, last_heartbeat = 1")
    dashboard.post("/workers/1/heartbeat", {"job_id": None})
    idle = dashboard.sql("SELECT * FROM workers")[0]
    assert idle["last_state_change"] == 1 and idle["last_heartbeat"] > 1
    dashboard.post("/workers/1/heartbeat", {"job_id": 1})
    assert dashboard.sql("SELECT * FROM workers")[0]["last_state_change"] > 1


def test_workers_of_yesterday_are_forgotten(dashboard):
    for name in "old", "young", "new":
        if name == "new":
            dashboard.sql("UPDATE workers SET last_heartbeat = last_heartbeat - ? * (id = 1)", 86400 * 1000)
        dashboard.post("/workers/register", {"hostname": name})
    assert [row["hostname"] for row in dashboard.sql("SELECT * FROM workers")] == ["young", "new"]


def test_a_run_gets_the_jar_of_the_latest_good_build(dashboard):
    model = dashboard.add_model("m", ci=False)
    for jar in "first", "second":
        dashboard.push(SHA) if jar == "first" else dashboard.post("/commits/1/build")
        message = dashboard.receive("build")
        job = re.search(r":job_id: (\d+)", message["body"])[1]
        dashboard.post(f"/jobs/{job}/finish", {"secret_key": message["message_id"], "return_code": 0,
                                               "result_s3_key": f"builds/{jar}.jar"})
    assert dashboard.post(f"/models/{model}/run").status == 303
    assert ":jar_file_key: builds/second.jar" in dashboard.receive("performance")["body"]


def test_heartbeat_with_job(dashboard):
    dashboard.push(SHA)
    dashboard.post("/workers/register", {"hostname": "vm", "kind": "build", "version": "0.1.0"})
    working = {"job_id": 1, "attempt": 1, "step": "clone",
               "progress": {"done": 1, "total": 2, "unit": "bytes"}}
    assert dashboard.post("/workers/1/heartbeat", working).text == "OK"
    row = dashboard.sql("SELECT * FROM workers")[0]
    assert (row["job_id"], row["step"], row["progress_done"], row["progress_unit"]) \
        == (1, "clone", 1, "bytes")
    assert dashboard.post("/workers/1/heartbeat", '{"job_id":"1"}').text == "OK"
    answer = dashboard.post("/workers/1/heartbeat", {"job_id": 77})
    assert (answer.status, answer.text) == (400, "400 - Bad request: job does not exist")
    assert dashboard.post("/workers/1/heartbeat", {"job_id": None}).text == "OK"
    assert dashboard.sql("SELECT job_id FROM workers") == [{"job_id": None}]


@pytest.mark.parametrize("body", ["", "[]", "{", '"x"', "\xff", '{"hostname":"%s"}' % ("x" * 256),
                                  '{"hostname":1}', '{"hostname":"a","hostname":"b"}'])
def test_register_refused(dashboard, body):
    answer = dashboard.post("/workers/register", body.encode("latin-1"))
    assert answer.status == 400
    assert answer.headers["Content-Type"] == HTML
    assert dashboard.sql("SELECT * FROM workers") == []


@pytest.mark.parametrize("body", ["{}", '{"hostname":null}'])
def test_register_without_a_name(dashboard, body):
    answer = dashboard.post("/workers/register", body)
    assert (answer.status, answer.text) == (400, '{"worker_id":null}')
    assert dashboard.sql("SELECT * FROM workers") == []


def test_existing_workers_of_one_host_are_two_and_ours_are_one(dashboard):
    ids = [dashboard.post("/workers/register", {"hostname": "vm"}).text for _ in range(2)]
    assert ids == ['{"worker_id":1}', '{"worker_id":2}']
    ours = {"hostname": "vm", "kind": "run", "version": "0.1.0"}
    ids = [dashboard.post("/workers/register", ours).text for _ in range(2)]
    assert ids[0] == ids[1]
    build = dashboard.post("/workers/register", {**ours, "kind": "build"}).text
    assert build != ids[0]


# ---- jobs ----

def test_start_and_finish_as_an_existing_worker(dashboard):
    dashboard.push(SHA)
    message = dashboard.receive("build")
    head, body = form_post(dashboard, "/jobs/1/start", "")
    assert (head.split("\r\n")[0], body) == ("HTTP/1.1 200 OK", b"OK")
    report = json.dumps({"secret_key": message["message_id"], "return_code": 256,
                         "error_message": "Failed to build.", "error_details": "a % b & c = [x\n"},
                        separators=(",", ":"))
    head, body = form_post(dashboard, "/jobs/1/finish", report)
    assert (head.split("\r\n")[0], body) == ("HTTP/1.1 200 OK", b"OK")
    assert f"Content-Type: {HTML}" in head.split("\r\n")
    job = dashboard.job(1)
    assert (job["return_code"], job["error_message"]) == (256, "Failed to build.")
    assert job["error_details"] == "a % b & c = [x\n"
    assert (job["finished_attempt"], job["queued"]) == (1, 0)


def test_long_form_typed_report(dashboard):
    """The existing dashboard refuses those: names of form parameters of more than 64 KiB."""
    dashboard.push(SHA)
    secret = dashboard.receive("build")["message_id"]
    report = json.dumps({"secret_key": secret, "return_code": 1, "error_message": "m" * 20000,
                         "error_details": "ü" * 100000 + "the end"}, ensure_ascii=False)
    head = (f"POST /jobs/1/finish HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n"
            f"Content-Length: {len(report.encode())}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n")
    assert dashboard.raw(head.encode() + report.encode()).startswith(b"HTTP/1.1 200")
    job = dashboard.job(1)
    assert job["error_details"].endswith("üthe end")
    assert len(job["error_details"].encode()) <= 65536 and len(job["error_message"]) == 8192


def test_our_report_is_kept_whole(dashboard):
    report = {"attempt": 1, "jar_sha256": JAR_HASH, "result_sha256": "cd" * 32, "worker": "vm/1",
              "failure": "exit-status", "step": "execute", "timings": {"clone": 1.25},
              "max_rss_bytes": 4096, "measured_by": "proc", "correct": 1,
              "real_time_seconds": 0.6770076310001514, "cpu_time_seconds": 7}
    built(dashboard, **report)
    job = dashboard.job(1)
    assert json.loads(job["timings"]) == {"clone": 1.25}
    assert (job["real_time_seconds"], job["cpu_time_seconds"]) == (0.6770076310001514, 7)
    assert [job[name] for name in ("jar_sha256", "result_sha256", "worker", "failure", "step",
                                   "max_rss_bytes", "measured_by", "correct")] \
        == [JAR_HASH, "cd" * 32, "vm/1", "exit-status", "execute", 4096, "proc", 1]


def test_start_is_idempotent(dashboard):
    dashboard.push(SHA)
    dashboard.receive("build")
    assert dashboard.post("/jobs/1/start", {"attempt": 1, "worker": "a"}).text == "OK"
    first = dashboard.job(1)
    assert dashboard.post("/jobs/1/start", {"attempt": 1, "worker": "b"}).text == "OK"
    assert dashboard.job(1) == first


def test_finish_again(dashboard):
    dashboard.add_model("queens")
    job_id, report, answer = built(dashboard, attempt=1, jar_sha256=JAR_HASH)
    assert answer.text == "OK"
    before = dashboard.sql("SELECT * FROM jobs")
    again = dashboard.post(f"/jobs/{job_id}/finish", report)
    assert (again.status, again.text) == (200, "OK")
    other = dashboard.post(f"/jobs/{job_id}/finish", {**report, "return_code": 1})
    assert other.status == 409
    wrong = dashboard.post(f"/jobs/{job_id}/finish", {**report, "secret_key": "x"})
    assert wrong.status == 403
    late = dashboard.post(f"/jobs/{job_id}/start", {"attempt": 1, "worker": "vm"})
    assert late.text == "OK"
    assert dashboard.sql("SELECT * FROM jobs") == before


@pytest.mark.parametrize("change, status", [
    ({"secret_key": "3afb1aad-7d34-49d1-86d1-c3154771fcf3"}, 403),
    ({"secret_key": None}, 403),
    ({"secret_key": 1}, 400),
    ({"return_code": "0"}, 400),
    ({"return_code": None}, 400),
    ({"return_code": 2 ** 40}, 400),
    ({"return_code": 0.5}, 400),
    ({"result_s3_key": "../../etc/passwd"}, 400),
    ({"result_s3_key": "a b"}, 400),
    ({"jar_sha256": "AB" * 32}, 400),
    ({"attempt": 0}, 400),
    ({"attempt": 2}, 409),
    ({"timings": {"x" * 20000: 1}}, 400),
    ({"worker": "x" * 300}, 400),
])
def test_finish_refused(dashboard, change, status):
    dashboard.push(SHA)
    message = dashboard.receive("build")
    report = {"secret_key": message["message_id"], "return_code": 0, "attempt": 1, **change}
    answer = dashboard.post("/jobs/1/finish", report)
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == HTML
    assert dashboard.job(1)["finished_at"] is None


@pytest.mark.parametrize("job", ["2", "x", "1x", "-1", "18446744073709551617"])
def test_unknown_job(dashboard, job):
    dashboard.push(SHA)
    assert dashboard.post(f"/jobs/{job}/start").status == 404
    assert dashboard.post(f"/jobs/{job}/finish", {"secret_key": "x", "return_code": 0}).status == 404


@pytest.mark.parametrize("body", ["", "[]", "{", "null"])
def test_finish_without_a_report(dashboard, body):
    dashboard.push(SHA)
    assert dashboard.post("/jobs/1/finish", body).status == 400


def test_code_zero_as_a_real_number_counts(dashboard):
    dashboard.add_model("queens")
    assert built(dashboard, return_code=0.0)[2].text == "OK"
    assert dashboard.receive("ci") is not None


# ---- what follows from a build ----

def test_messages_to_the_byte(dashboard):
    model = dashboard.add_model("queens", b"BZh9 queens")
    dashboard.push(SHA)
    message = dashboard.receive("build")
    assert message["body"] == f"---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: {SHA}\n"
    dashboard.post("/jobs/1/finish", {"secret_key": message["message_id"], "return_code": 0,
                                      "result_s3_key": f"builds/{SHA}.jar", "jar_sha256": JAR_HASH})
    key = hashlib.sha256(b"BZh9 queens").hexdigest()
    assert dashboard.receive("ci")["body"] == (
        f"---\n:version: 2\n:job_id: 2\n:job_type: :run\n:commit: {SHA}\n:model_id: {model}\n"
        f":jar_file_key: builds/{SHA}.jar\n:model_file_key: models/{key}.tar.bz2\n"
        f":algorithm: GIA\n:jar_sha256: {JAR_HASH}\n")


def test_message_of_a_jar_without_hash(dashboard):
    dashboard.add_model("queens")
    built(dashboard)
    assert dashboard.receive("ci")["body"].endswith(":algorithm: GIA\n")


def test_all_digit_commit_is_quoted(dashboard):
    dashboard.push("1234567890" * 4)
    assert f":commit: '{'1234567890' * 4}'\n" in dashboard.receive("build")["body"]


def test_ci_runs_only_for_models_that_want_and_can(dashboard):
    wants = [dashboard.add_model("a", b"BZh a"), dashboard.add_model("b", b"BZh b")]
    dashboard.add_model("no ci", ci=False)
    dashboard.add_model("no archive", content=None)
    built(dashboard)
    runs = dashboard.sql("SELECT model_id, queue, test_type FROM jobs WHERE type = 'run' ORDER BY id")
    assert runs == [{"model_id": m, "queue": "ci", "test_type": "ci"} for m in wants]


@pytest.mark.parametrize("change", [{"return_code": 1}, {"result_s3_key": None}])
def test_no_ci_runs_without_a_jar(dashboard, change):
    dashboard.add_model("queens")
    assert built(dashboard, **change)[2].text == "OK"
    assert dashboard.receive("ci") is None


def test_waiting_runs_get_a_later_hash(dashboard):
    dashboard.add_model("queens")
    built(dashboard, jar_sha256=JAR_HASH)
    dashboard.sql("INSERT INTO jobs (type, commit_id, requested_at, queue, secret, visible_at)"
                  " VALUES ('build', 1, 0, 'build', 'again', 0)")
    rebuilt = dashboard.receive("build")
    job_id = int(re.search(r":job_id: (\d+)", rebuilt["body"])[1])
    dashboard.post(f"/jobs/{job_id}/finish", {"secret_key": "again", "return_code": 0,
                                              "result_s3_key": f"builds/{SHA}.jar",
                                              "jar_sha256": "ef" * 32})
    assert dashboard.receive("ci")["body"].endswith(f":jar_sha256: {'ef' * 32}\n")


# ---- models ----

def test_upload_to_the_byte(dashboard):
    model = dashboard.add_model("queens", content=None)
    answer = dashboard.upload_model(model, b"BZh9 something", "populated_model.tar.bz2")
    assert answer.status == 303
    assert answer.headers["Location"] == f"http://127.0.0.1:{dashboard.port}/models/{model}"
    assert answer.headers["Content-Type"] == HTML
    digest = hashlib.sha256(b"BZh9 something").hexdigest()
    row = dashboard.sql("SELECT * FROM models")[0]
    assert (row["key"], row["sha256"], row["bytes"]) == (f"models/{digest}.tar.bz2", digest, 14)
    stored = dashboard.data / "store" / row["key"]
    assert stored.read_bytes() == b"BZh9 something"


def test_upload_by_http_1_0_is_answered_with_302(dashboard):
    dashboard.add_model("queens", content=None)
    body = (b'--edge\r\nContent-Disposition: form-data; name="file"; filename="M.TAR.GZ"\r\n\r\n'
            + gzip.compress(b"x") + b"\r\n--edge--\r\n")
    answer = dashboard.raw(b"POST /models/1/upload HTTP/1.0\r\nHost: localhost\r\nContent-Type: "
                           b"multipart/form-data; boundary=edge\r\nContent-Length: %d\r\n\r\n%s"
                           % (len(body), body))
    assert answer.startswith(b"HTTP/1.0 302") or answer.startswith(b"HTTP/1.1 302")
    assert b"Location: http://localhost/models/1\r\n" in answer


def test_same_name_different_content_gets_different_keys(dashboard):
    models = [dashboard.add_model(name, b"BZh " + name.encode()) for name in ("a", "b")]
    keys = {row["key"] for row in dashboard.sql("SELECT key FROM models")}
    assert len(models) == len(keys) == 2


@pytest.mark.parametrize("content, filename", [
    (b"BZh9", "model.tgz"), (b"not an archive", "model.tar.bz2"), (b"", "model.tar.bz2"),
    (b"BZh9", ".tar.bz2"), (b"BZh9", "model")])
def test_upload_refused(dashboard, content, filename):
    dashboard.add_model("queens", content=None)
    answer = dashboard.upload_model(1, content, filename)
    assert answer.status == 400, answer
    assert dashboard.sql("SELECT key FROM models") == [{"key": None}]


def test_upload_of_something_else(dashboard):
    dashboard.add_model("queens", content=None)
    multipart = {"Content-Type": "multipart/form-data; boundary=edge"}
    no_filename = b'--edge\r\nContent-Disposition: form-data; name="file"\r\n\r\nBZh9\r\n--edge--\r\n'
    other_name = (b'--edge\r\nContent-Disposition: form-data; name="f"; filename="m.tar.bz2"\r\n\r\n'
                  b'BZh9\r\n--edge--\r\n')
    assert dashboard.post("/models/1/upload", no_filename, multipart).status == 400
    assert dashboard.post("/models/1/upload", other_name, multipart).status == 400
    assert dashboard.post("/models/1/upload", b"BZh9").status == 400
    assert dashboard.post("/models/1/upload", b"").status == 400
    answer = dashboard.upload_model(99, b"BZh9")
    assert (answer.status, answer.text) == (404, "404 - Page not found.")


def test_only_the_first_file_counts(dashboard):
    dashboard.add_model("queens", content=None)
    part = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="m.tar.bz2"\r\n\r\n%s\r\n'
    body = (b'--edge\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n' + part % b"BZh first"
            + part % b"BZh second" + b"--edge--\r\n")
    answer = dashboard.post("/models/1/upload", body,
                            {"Content-Type": "multipart/form-data; boundary=edge"})
    assert answer.status == 303
    assert dashboard.sql("SELECT bytes FROM models") == [{"bytes": len(b"BZh first")}]


# ---- the hook ----

PUSH = {"ref": "refs/heads/x", "commits": [
    {"id": SHA, "timestamp": "2014-03-01T12:00:00-05:00", "message": "first\n\n<script>" + "x" * 9000},
    {"id": OTHER.upper(), "timestamp": "2026-11-24T03:09:37Z", "message": "second"}]}


def form_of(payload):
    quoted = "".join(f"%{byte:02x}" for byte in json.dumps(payload).encode())
    return f"payload={quoted}".encode()


def multipart_of(payload):
    return (b'--edge\r\nContent-Disposition: form-data; name="payload"\r\n\r\n'
            + json.dumps(payload).encode() + b"\r\n--edge--\r\n")


@pytest.mark.parametrize("body, kind", [
    (form_of(PUSH), "application/x-www-form-urlencoded"),
    (multipart_of(PUSH), "multipart/form-data; boundary=edge"),
    (json.dumps(PUSH).encode(), "application/json"),
    (json.dumps(PUSH).encode(), "application/json; charset=utf-8")],
    ids=["form", "multipart", "json", "json with charset"])
def test_hook(dashboard, body, kind):
    answer = dashboard.post("/repo/post_commit/anything", body, {"Content-Type": kind})
    assert (answer.status, answer.text) == (200, f"{SHA}\n{OTHER}\n")
    rows = dashboard.sql("SELECT sha, time, comment FROM commits ORDER BY id")
    assert [row["sha"] for row in rows] == [SHA, OTHER]
    assert rows[0]["time"] == 1393693200000 and rows[1]["time"] == 1795489777000
    assert rows[0]["comment"] == PUSH["commits"][0]["message"]
    again = dashboard.post("/repo/post_commit/anything", body, {"Content-Type": kind})
    assert (again.status, again.text) == (200, "")
    assert dashboard.sql("SELECT count(*) AS n FROM jobs") == [{"n": 2}]


def test_hook_with_nothing_to_do(dashboard):
    assert (dashboard.push().status, dashboard.push().text) == (200, "")
    ping = dashboard.post("/repo/post_commit/x", {"zen": "Keep it logically awesome."},
                          {"X-GitHub-Event": "ping"})
    assert (ping.status, ping.text) == (200, "")


@pytest.mark.parametrize("payload", [
    {}, [], {"commits": None}, {"commits": 1},
    {"commits": [{"id": SHA, "message": "m"}]},
    {"commits": [{"timestamp": "2026-11-24T03:09:37Z", "message": "m"}]},
    {"commits": [{"id": "; touch /tmp/x", "timestamp": "2026-11-24T03:09:37Z"}]},
    {"commits": [{"id": SHA[:39], "timestamp": "2026-11-24T03:09:37Z"}]},
    {"commits": [{"id": OTHER, "timestamp": "2026-11-24T03:09:37Z"}, {"id": "x", "timestamp": ""}]},
    {"commits": ["x"]}])
def test_hook_refused(dashboard, payload):
    answer = dashboard.post("/repo/post_commit/x", payload)
    assert answer.status == 400, answer
    assert dashboard.sql("SELECT * FROM commits") == dashboard.sql("SELECT * FROM jobs") == []


def test_hook_without_payload(dashboard):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in (b"", b"x=1", b"payload=%7b"):
        assert dashboard.post("/repo/post_commit/x", body, form).status == 400


# ---- who may ----

@pytest.fixture
def guarded(tmp_path):
    """A dashboard with a password and both secrets of the hook."""
    secrets = {"password": "sekrit", "github": "hub-secret", "hook": "path-secret"}
    for name, value in secrets.items():
        (tmp_path / name).write_text(value + "\n")
        (tmp_path / name).chmod(0o600)
    config = tmp_path / "dashboard.yaml"
    config.write_text(f"username: amalgam\npassword-file: {tmp_path}/password\n"
                      f"github-secret-file: {tmp_path}/github\nhook-secret-file: {tmp_path}/hook\n")
    with programs.Dashboard(tmp_path / "data", ["--config", config], "amalgam", "sekrit") as running:
        yield running


@pytest.mark.parametrize("header", [None, "Basic", "Basic !!!", "Bearer abc", "Basic YWJj",
                                    "Basic YW1hbGdhbTp3cm9uZw==", "Basic eDpzZWtyaXQ=",
                                    "Basic YW1hbGdhbTpzZWtyaXQx"])
@pytest.mark.parametrize("path", ["/workers/register", "/jobs/1/finish", "/queue/receive",
                                  "/models/1/upload"])
def test_unauthorized_to_the_byte(guarded, header, path):
    guarded.password = None
    answer = guarded.post(path, {"hostname": "vm"}, {"Authorization": header} if header else {})
    assert (answer.status, answer.text) == (401, "Not authorized\n")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Restricted Area"'
    assert answer.headers["Content-Type"] == HTML


def test_authorized(guarded):
    assert guarded.authorization() == "Basic YW1hbGdhbTpzZWtyaXQ="
    assert guarded.post("/workers/register", {"hostname": "vm"}).text == '{"worker_id":1}'


def signature(body, secret=b"hub-secret"):
    return "sha256=" + hmac.new(secret, body, "sha256").hexdigest()


def test_hook_signature(guarded):
    guarded.password = None
    body = json.dumps(PUSH).encode()
    json_type = {"Content-Type": "application/json"}
    form = form_of(PUSH)

    def push(path="path-secret", content=body, **headers):
        return guarded.post(f"/repo/post_commit/{path}", content, {**json_type, **headers}).status

    name = "X-Hub-Signature-256"
    assert push() == 403
    assert push(**{name: "sha256=" + "0" * 64}) == 403
    assert push(**{name: signature(body, b"other")}) == 403
    assert push(**{name: signature(body)[7:]}) == 403
    assert push(content=body + b" ", **{name: signature(body)}) == 403
    assert push("wrong", **{name: signature(body)}) == 403
    assert guarded.sql("SELECT * FROM commits") == []
    assert push(**{name: signature(body)}) == 200
    assert guarded.post("/repo/post_commit/path-secret", form,
                        {"Content-Type": "application/x-www-form-urlencoded",
                         name: signature(form)}).status == 200


def test_hook_without_secret_beside_a_password(tmp_path):
    (tmp_path / "password").write_text("sekrit\n")
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "c.yaml").write_text(f"password-file: {tmp_path}/password\n")
    with programs.Dashboard(tmp_path / "data", ["--config", tmp_path / "c.yaml"]) as running:
        assert running.push(SHA).status == 403
        assert "neither github-secret-file nor hook-secret-file" in running.log_text()


@pytest.mark.parametrize("headers, status", [
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://127.0.0.1"}, 403),
    ({"Origin": "http://127.0.0.1:PORT.evil.example"}, 403),
    ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
    ({"Host": "localhost.evil.example"}, 403),
    ({"Origin": "http://127.0.0.1:PORT"}, 200),
    ({"Host": "localhost", "Origin": "http://localhost"}, 200)])
def test_posts_of_other_sites(dashboard, headers, status):
    headers = {name: value.replace("PORT", str(dashboard.port)) for name, value in headers.items()}
    assert dashboard.post("/workers/register", {"hostname": "vm"}, headers).status == status


# ---- starting ----

def run(*arguments):
    return subprocess.run([programs.BUILD / "moolloy-dashboard", *arguments], capture_output=True,
                          text=True, timeout=programs.DEADLINE)


def test_password_is_needed_where_others_can_reach_it(tmp_path):
    for address in ("0.0.0.0:0", "[::]:0", "192.0.2.1:0"):
        ended = run("--data", tmp_path / "d", "--listen", address)
        assert ended.returncode == 78 and "password-file" in ended.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("text, said", [
    ("listn: x\n", "1: listn: unknown setting (did you mean listen?"),
    ("\nmodel.max-bytes: 1\n", "2: model.max-bytes"),
    ("listen: nowhere\n", "listen: 'nowhere'"),
    ("listen: example.org:80\n", "no numeric address"),
    ("username: 'a:b'\n", "colon"),
    ("hook-secret-file: SECRET\n", "must not hold a slash"),
    ("password-file: /nonexistent\n", "password-file: ")])
def test_wrong_configuration(tmp_path, text, said):
    (tmp_path / "secret").write_text("a/b\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "c.yaml").write_text(text.replace("SECRET", f"{tmp_path}/secret"))
    for verb in ("check-config", "serve"):
        ended = run("--config", tmp_path / "c.yaml", "--data", tmp_path / "d", verb)
        assert ended.returncode == 78 and said in ended.stderr, ended.stderr


def test_verbs_and_options(tmp_path):
    assert run("--version").stdout.startswith("moolloy-dashboard ")
    assert "--listen ADDR:PORT" in run("--help").stdout
    assert run("--nonsense").returncode == 64
    assert run("nonsense").returncode == 64
    assert run("serve", "too", "much").returncode == 64
    (tmp_path / "c.yaml").write_text("listen: 127.0.0.1:0\n")
    shown = run("--config", tmp_path / "c.yaml", "--data", tmp_path / "d", "show-config")
    assert shown.returncode == 0 and f"store.path: {tmp_path}/d/store\n" in shown.stdout
    (tmp_path / "shown.yaml").write_text(shown.stdout)
    assert run("--config", tmp_path / "shown.yaml", "show-config").stdout == shown.stdout
    assert run("--config", tmp_path / "shown.yaml", "check-config").returncode == 0


def test_one_dashboard_of_one_directory(dashboard):
    ended = run("--data", dashboard.data, "--listen", "127.0.0.1:0")
    assert ended.returncode == 75 and "another moolloy-dashboard" in ended.stderr


def test_database_of_a_later_version(tmp_path):
    with programs.Dashboard(tmp_path / "d") as running:
        running.stop()
        running.sql("PRAGMA user_version = 1000")
        ended = run("--data", tmp_path / "d", "--listen", "127.0.0.1:0")
        assert ended.returncode == 78 and "version 1000" in ended.stderr
