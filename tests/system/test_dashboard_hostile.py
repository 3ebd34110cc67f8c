"""moolloy-dashboard under requests that are odd, wrong, huge or broken off."""
import itertools
import json
import os
import socket
import urllib.parse

import pytest

import programs
from programs import wait_for

SHA = "287a688f338d5d8c7b27b8915629893721a1fcac"
ALIVE = '{"worker_id":1}'


def str_number(_, count=itertools.count()):
    """A short name for a parameter that is long."""
    return str(next(count))


def is_alive(dashboard):
    return dashboard.post("/workers/register", {"hostname": "vm", "kind": "run"}).text == ALIVE


def first_line(answer):
    return answer.split(b"\r\n", 1)[0].decode()


def request_of(path, headers, body=b"", method="POST"):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


# ---- odd, but right ----

def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_chunked_body(dashboard):
    body = chunked(b'{"hostn', b'ame":"v', b'm"}')
    answer = dashboard.raw(request_of("/workers/register", ["Transfer-Encoding: chunked"], body))
    assert first_line(answer) == "HTTP/1.1 200 OK" and answer.endswith(b'{"worker_id":1}')


def test_chunked_upload(dashboard):
    dashboard.add_model("queens", content=None)
    body = (b'--edge\r\nContent-Disposition: form-data; name="file"; filename="m.tar.bz2"\r\n\r\n'
            + b"BZh" + b"x" * 100_000 + b"\r\n--edge--\r\n")
    pieces = [body[i:i + 1000] for i in range(0, len(body), 1000)]
    head = request_of("/models/1/upload", ["Transfer-Encoding: chunked",
                                           "Content-Type: multipart/form-data; boundary=edge"])
    assert first_line(dashboard.raw(head + chunked(*pieces))).startswith("HTTP/1.1 303")
    assert dashboard.sql("SELECT bytes FROM models") == [{"bytes": 100_003}]


def test_expect_is_answered(dashboard):
    head = request_of("/workers/register", ["Content-Length: 17", "Expect: 100-continue"])
    with socket.create_connection(("127.0.0.1", dashboard.port), programs.DEADLINE) as connection:
        connection.sendall(head)
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"hostname":"vm"}')
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_expect_of_what_is_refused(dashboard):
    head = request_of("/nowhere", ["Content-Length: 1000000", "Expect: 100-continue"])
    assert first_line(dashboard.raw(head)) == "HTTP/1.1 404 Not Found"


def test_keep_alive_and_pipelining(dashboard):
    one = (b"POST /workers/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 17\r\n\r\n"
           b'{"hostname":"vm"}')
    last = one.replace(b"Host:", b"Connection: close\r\nHost:")
    answer = dashboard.raw(one + one + last)
    assert [b'{"worker_id":%d}' % n in answer for n in (1, 2, 3)] == [True] * 3


def test_two_polls_on_one_connection(dashboard):
    dashboard.push(SHA)
    body = b'{"queues":["build"],"wait_seconds":0,"lease_seconds":100}'
    one = b"POST /queue/receive HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" \
        % (len(body), body)
    answer = dashboard.raw(one + one.replace(b"Host:", b"Connection: close\r\nHost:"))
    assert b"200 OK" in answer and b"204 No Content" in answer


def test_unknown_paths_and_methods(dashboard):
    for method, path in (("GET", "/workers/register"), ("POST", "/nowhere"), ("PUT", "/jobs/1/start"),
                         ("GET", "/../../etc/passwd"), ("POST", "/jobs//start"), ("POST", "/jobs/1/"),
                         ("GET", "/%2e%2e/%2e%2e/etc/passwd"), ("POST", "//jobs/1/start"),
                         ("DELETE", "/"), ("BREW", "/jobs/1/start")):
        answer = dashboard.request(method, path)
        assert (answer.status, answer.text) == (404, "<h1>Not Found</h1>"), (method, path)


# ---- too much ----

@pytest.mark.parametrize("path, limit", [("/workers/register", 65536), ("/queue/receive", 65536),
                                         ("/jobs/1/finish", 8 << 20),
                                         ("/repo/post_commit/x", 25 << 20)])
def test_bodies_have_limits(dashboard, path, limit):
    body = b" " * (limit + 1)
    assert first_line(dashboard.raw(request_of(path, [f"Content-Length: {limit + 1}"], body))) \
        .startswith("HTTP/1.1 413")
    assert first_line(dashboard.raw(request_of(path, ["Transfer-Encoding: chunked"], chunked(body)))) \
        .startswith("HTTP/1.1 413")
    assert is_alive(dashboard)


def test_file_limit(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("model.max-bytes: 64KiB\n")
    with programs.Dashboard(tmp_path / "d", ["--config", config]) as dashboard:
        dashboard.add_model("queens", b"BZh" + b"x" * 60_000)
        assert dashboard.upload_model(1, b"BZh" + b"x" * 200_000).status == 413
        assert dashboard.sql("SELECT bytes FROM models") == [{"bytes": 60_003}]


def test_long_headers(dashboard):
    for headers in (["X: " + "x" * 100_000], [f"X-{n}: y" for n in range(10_000)]):
        try:
            answer = dashboard.raw(request_of("/workers/register", headers))
        except ConnectionResetError:
            continue
        assert not answer or first_line(answer).split()[1] in ("400", "413", "431")
    try:
        answer = dashboard.raw(b"POST /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n")
        assert not answer or first_line(answer).split()[1] in ("400", "414", "431")
    except ConnectionResetError:
        pass
    assert is_alive(dashboard)


def test_many_idle_connections(dashboard):
    idle = [socket.create_connection(("127.0.0.1", dashboard.port)) for _ in range(500)]
    for connection in idle:
        connection.sendall(b"POST /workers/register HTTP/1.1\r\nHost: loc")
    assert is_alive(dashboard)
    for connection in idle:
        connection.close()


@pytest.mark.parametrize("body", [
    b"[" * 60_000, b'{"a":' * 10_000, b'{"hostname":"\\u0000"}', b'{"hostname":"\xff\xfe"}',
    b'{"hostname":"\\ud800"}', b'{"hostname":' + b"9" * 60_000 + b"}", b'{"hostname":1e999}',
    b"\x00" * 100, b'{"hostname":"x"}garbage', b"%%%&[=]&[a]=1&a[]=2"], ids=str_number)
def test_json_bombs(dashboard, body):
    for path in ("/workers/register", "/jobs/1/finish", "/queue/receive", "/queue/release"):
        assert dashboard.post(path, body).status in (400, 404)
    assert is_alive(dashboard)


@pytest.mark.parametrize("body", [
    b"payload=" + b"%7b" * 100_000, b"&".join(b"a%d=1" % n for n in range(10_000)) + b"&payload={}",
    b"payload=%", b"payload=%zz", b"=&=&=", b"payload[]=x", b"\xff\x00\xff", b"payload"],
    ids=str_number)
def test_form_bombs(dashboard, body):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert dashboard.post("/repo/post_commit/x", body, form).status == 400
    assert is_alive(dashboard)


@pytest.mark.parametrize("before, status", [(63, 200), (64, 400)])
def test_no_form_has_more_than_64_fields(dashboard, before, status):
    payload = urllib.parse.quote(json.dumps({"commits": []}))
    body = "".join(f"f{i}=1&" for i in range(before)) + f"payload={payload}"
    assert dashboard.post("/repo/post_commit/x", body.encode(),
                          {"Content-Type": "application/x-www-form-urlencoded"}).status == status


@pytest.mark.parametrize("kib, status", [(60, 303), (70, 400)])
def test_fields_beside_a_file_are_small(dashboard, kib, status):
    model = dashboard.add_model("m", None)
    body = (b'--edge\r\nContent-Disposition: form-data; name="more"\r\n\r\n' + b"x" * (kib << 10)
            + b'\r\n--edge\r\nContent-Disposition: form-data; name="file"; filename="m.tar.bz2"\r\n'
              b"\r\nBZh9\r\n--edge--\r\n")
    assert dashboard.post(f"/models/{model}/upload", body,
                          {"Content-Type": "multipart/form-data; boundary=edge"}).status == status


@pytest.mark.parametrize("kind", [
    "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "x" * 5000,
    "multipart/form-data; boundary=\"edge", "multipart/mixed; boundary=edge", "text/plain", "", "/"])
def test_form_types(dashboard, kind):
    dashboard.add_model("queens", content=None)
    body = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="m.tar.bz2"\r\n\r\nBZh\r\n'
    assert dashboard.post("/models/1/upload", body, {"Content-Type": kind}).status in (400, 303)
    assert is_alive(dashboard)


@pytest.mark.parametrize("filename", ["../../../etc/passwd.tar.bz2", "/etc/x.tar.gz", "a\\b.tar.bz2",
                                      "x" * 3000 + ".tar.bz2", "ü\u202e.tar.bz2", "%00.tar.bz2"])
def test_filenames_are_names_only(dashboard, filename):
    dashboard.add_model("queens", content=None)
    answer = dashboard.upload_model(1, b"BZh9", filename)
    assert answer.status in (303, 400)
    key = dashboard.sql("SELECT key FROM models")[0]["key"]
    assert key is None or (dashboard.data / "store" / key).read_bytes() == b"BZh9"
    assert is_alive(dashboard)


# ---- broken off ----

@pytest.mark.parametrize("data", [
    b"", b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"POST /workers/register HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /workers/register HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /workers/register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /workers/register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"POST /queue/receive HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    b"POST /models/1/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    b"Content-Type: multipart/form-data; boundary=edge\r\n\r\n--edge\r\nContent-Disposition: form-data;"],
    ids=str_number)
def test_broken_off(dashboard, data):
    with socket.create_connection(("127.0.0.1", dashboard.port)) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert is_alive(dashboard)
    assert is_alive(dashboard)


def open_files(dashboard):
    return len(os.listdir(f"/proc/{dashboard.process.pid}/fd"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root may see what a program has open")
def test_a_broken_upload_leaves_nothing(dashboard):
    dashboard.add_model("queens", content=None)
    before = open_files(dashboard)
    head = request_of("/models/1/upload", ["Content-Length: 1000000",
                                           "Content-Type: multipart/form-data; boundary=edge"])
    part = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="m.tar.bz2"\r\n\r\nBZh'
    connections = []
    for _ in range(10):
        connections.append(socket.create_connection(("127.0.0.1", dashboard.port)))
        connections[-1].sendall(head + part + b"x" * 5000)
    wait_for(lambda: open_files(dashboard) >= before + 20, "ten uploads under way")
    for connection in connections:
        connection.close()
    wait_for(lambda: open_files(dashboard) <= before, "all of them closed")
    assert dashboard.sql("SELECT key FROM models") == [{"key": None}]
    assert sorted(path.name for path in dashboard.data.iterdir() if path.suffix != ".db-shm") \
        == ["dashboard.db", "dashboard.db-wal", "store"]


def test_an_answer_to_nonsense_is_no_markup(dashboard):
    answer = dashboard.post("/repo/post_commit/hook", b"{<script>", {"Content-Type": "application/json"})
    assert answer.status == 400 and "<script" not in answer.text and "&lt;" in answer.text
