"""The S3 body of the store, by workerctl's verb `store`, against a server that is not ours; directly, and
through every fault on the way: each ends in success or in the right failure, with no wrong object and no
multipart upload left."""
import concurrent.futures
import hashlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import threading

import pytest

from fault_proxy import (FaultProxy, FlipBit, Refuse, Reply, Reset, Stall, Trickle, Truncate, WrongDate,
                         s3_error)
from programs import BUILD, DEADLINE, wait_for

MIB = 1 << 20
SMALL, LARGE = os.urandom(MIB + 7), os.urandom(17 * MIB + 7)  # one PUT, and in parts


class Store:
    """workerctl, with a prefix of its own in the bucket and a proxy before the server."""

    def __init__(self, directory, server, proxy):
        self.directory, self.server, self.proxy = directory, server, proxy
        self.prefix = f"store/{directory.name}"
        self.bucket = server.bucket
        self.address = {"endpoint": proxy.endpoint}
        for name, text in ("id", server.access_key), ("secret", server.secret_key):
            (directory / name).touch(0o600)
            (directory / name).write_text(text)
        self.configure()

    def configure(self, **settings):
        """Keyword arguments are settings, _ for -."""
        settings = {"bucket": self.bucket, "region": self.server.region, "prefix": self.prefix,
                    **self.address, "part_size": "5MiB", "stall_timeout": "1s", **settings}
        lines = [f"store.{name.replace('_', '-')}: '{value}'\n" for name, value in settings.items()]
        (self.directory / "config.yaml").write_text(
            "".join(lines) + f"store.type: s3\naws.access-key-file: {self.directory}/id\n"
            f"aws.secret-key-file: {self.directory}/secret\nrun.timeout: 1h\n")

    def start(self, *arguments, **more):
        return subprocess.Popen(
            [BUILD / "moolloy-workerctl", "--config", self.directory / "config.yaml",
             *(["--replace"] if more.pop("replace", False) else []), "store", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def call(self, *arguments, **more):
        """What it printed; and the failure's code, None if it went well."""
        process = self.start(*arguments, **more)
        output, errors = process.communicate(timeout=4 * DEADLINE)
        code = re.search(r"\[([a-z-]+)\]$", errors.strip())
        assert (process.returncode == 0) == (code is None), errors
        return (output or errors).strip(), code and code.group(1)

    def file(self, content):
        path = self.directory / "file"
        path.write_bytes(content)
        return path

    def put(self, key, content, **more):
        return self.call("put", key, self.file(content), **more)

    def put_stream(self, key, content, **more):
        with open(self.file(content), "rb") as stream:
            return self.call("put", key, "-", stdin=stream, **more)

    def get(self, key):
        """The bytes, and the failure's code."""
        path = self.directory / "got"
        path.unlink(missing_ok=True)
        _, code = self.call("get", key, path)
        return (path.read_bytes() if path.exists() else None), code

    def stored(self, key):
        return self.server.get(f"{self.prefix}/{key}", self.bucket)

    def metadata(self, key):
        return self.server.head(f"{self.prefix}/{key}", self.bucket)

    def store_beside(self, key, content, metadata=()):
        self.server.put(f"{self.prefix}/{key}", content, metadata, self.bucket)

    def uploads(self):
        return self.server.incomplete_uploads(self.prefix, self.bucket)


@pytest.fixture
def store(tmp_path, s3_server, s3_proxy, request):
    made = Store(tmp_path, s3_server, s3_proxy)
    style = getattr(request, "param", None)
    if style:
        made.address = {"endpoint": s3_proxy.endpoint.replace("127.0.0.1", "localhost"),
                        "path_style": style}
        made.configure()
    yield made
    assert not made.uploads()
    if style:
        names = {record.headers["host"].split(":")[0] for record in s3_proxy.requests()}
        assert names == {"localhost" if style == "yes" else f"{made.bucket}.localhost"}


# The bucket in the path, and before the host's name: curl finds *.localhost at home.
in_either_style = pytest.mark.parametrize("store", ["yes", "no"], ids=["path", "host"], indirect=True)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


# ---- without faults ----

@pytest.mark.parametrize("size", [0, 1, MIB, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1, 20 * MIB])
def test_what_goes_in_comes_out(store, size):
    content = os.urandom(size)
    for name, put in ("file", store.put), ("stream", store.put_stream):
        output, code = put(f"results/{name}", content)
        assert code is None and f"{size} bytes" in output and sha256(content) in output
        assert store.stored(f"results/{name}") == content
        assert store.get(f"results/{name}") == (content, None)


def hashes_of(parts):
    return sorted((part.sent, part.headers["x-amz-content-sha256"]) for part in parts)


def hashes_of_parts(content, *edges):
    edges = [0, *edges, len(content)]
    parts = [content[start:end] for start, end in itertools.pairwise(edges)]
    return sorted((len(part), sha256(part)) for part in parts)


@in_either_style
def test_what_goes_as_one_and_what_in_parts(store):
    store.put("a", SMALL)
    assert len(store.proxy.requests("PUT")) == 1
    assert store.metadata("a")["x-amz-meta-sha256"] == sha256(SMALL)
    store.put("b", LARGE)
    parts = store.proxy.requests("PUT", "partNumber=")
    # Each with its own hash, which the server checks.
    assert hashes_of(parts) == hashes_of_parts(LARGE, 10 * MIB, 15 * MIB)
    assert store.metadata("b")["x-amz-meta-sha256"] == sha256(LARGE)
    # What a stream hashes to is known only when its metadata has gone.
    before = len(store.proxy.requests("PUT", "partNumber="))
    store.put_stream("c", LARGE)
    parts = store.proxy.requests("PUT", "partNumber=")[before:]
    assert hashes_of(parts) == hashes_of_parts(LARGE, 5 * MIB, 10 * MIB, 15 * MIB)
    assert store.metadata("c")["x-amz-meta-sha256"] is None


@pytest.mark.parametrize("concurrency, size", [(1, "5MiB"), (2, "9MiB"), (16, "5MiB"), (1, "64MiB")])
def test_parts_of_every_size_and_number(store, concurrency, size):
    store.configure(concurrency=concurrency, part_size=size, stall_timeout="60s")
    content = os.urandom(41 * MIB)
    for name, put in ("file", store.put), ("a", store.put_stream):
        assert put(name, content)[1] is None
        assert store.stored(name) == content
        parts = store.proxy.requests("PUT", rf"/{name}\?partNumber=")
        assert 1 <= len({part.connection for part in parts}) <= concurrency
    assert store.put_stream("b", content[:16 * MIB])[1] is None
    assert store.stored("b") == content[:16 * MIB]
    assert len(store.proxy.requests("PUT", "/b")) == 1


@in_either_style
def test_head(store):
    store.store_beside("a", SMALL)
    assert "SHA-256 not known" in store.call("head", "a")[0]
    assert store.call("head", "b")[1] == "not-found"


# ---- once ----

@in_either_style
def test_a_key_is_written_once(store):
    store.store_beside("a", b"first")
    for content in SMALL, LARGE:
        assert store.put("a", content)[1] == "exists"
    assert store.stored("a") == b"first"
    assert store.proxy.bytes_sent("PUT") == 0
    assert store.put("a", SMALL, replace=True)[1] is None
    assert store.stored("a") == SMALL


@in_either_style
@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["one", "parts"])
def test_of_two_writers_one_wins(store, content):
    """Both have seen that the key is free, and one is held up until the other is done."""
    rule = store.proxy.fault(Reply(status=503), method="PUT", times=None)
    slow = store.start("put", "a", store.file(content))
    wait_for(lambda: rule.applied, "the first writer's request")
    store.store_beside("a", b"the winner's")
    store.proxy.clear()
    output, errors = slow.communicate(timeout=DEADLINE)
    assert "[exists]" in errors and store.stored("a") == b"the winner's"


@in_either_style
def test_the_condition_decides(store):
    """Who comes between the last look and the writing is seen by the server alone."""
    store.put("a", b"x")
    head = store.proxy.fault(s3_error(404, "NoSuchKey"), method="HEAD")
    assert store.put("a", SMALL)[1] == "exists"
    assert head.applied
    assert [record.status for record in store.proxy.requests("PUT")] == [200, 412]


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["one", "parts"])
@pytest.mark.parametrize("kind", ["ignoring_bucket", "refusing_bucket"])
def test_servers_without_conditions(store, kind, content):
    store.bucket = getattr(store.server, kind)
    store.configure()
    assert store.put("a", content)[1] is None
    assert store.put("a", b"y")[1] == "exists"
    assert store.stored("a") == content


# ---- faults that pass ----

SHORT = os.urandom(16 * MIB + 7)  # in parts, one at a time


def faults_of(of, kinds, places):
    for kind, place in itertools.product(kinds, places):
        yield f"{kind.__name__} {of} {place}", kind(at=place, of=of)


PASSING = [*faults_of("answer", (Stall, Reset), ("before headers", "headers", "last byte")),
           *faults_of("request", (Stall, Reset), ("headers", "middle", "last byte")),
           ("FlipBit request", FlipBit(at="middle", of="request")),
           ("FlipBit answer", FlipBit(at="middle")),
           ("500", Reply(status=500)),
           ("SlowDown", s3_error(503, "SlowDown")),
           ("429", s3_error(429, "TooManyRequests")),
           ("200 with Error", s3_error(200, "InternalError")),
           ("lost", Reply(status=500, asked=True)),
           ("page", Reply(status=200, body=b"<html>")),
           ("WrongDate", WrongDate(offset=3600))]
# Where the answer is all that there is.
READING = [*faults_of("answer", (Stall, Reset, Truncate), ("first byte", "middle")),
           *faults_of("answer", (Truncate,), ("before headers", "headers", "last byte"))]


def get_it(store):
    store.store_beside("a", SMALL, {"sha256": sha256(SMALL)})
    yield
    assert store.get("a") == (SMALL, None)


def put_it(store):
    yield
    assert store.put("a", SMALL)[1] is None
    assert store.stored("a") == SMALL


def put_parts(store):
    store.configure(concurrency=1, stall_timeout="3s")
    yield
    assert store.put("a", SHORT)[1] is None
    assert store.stored("a") == SHORT


def stream_parts(store):
    """Over whatever lies there: no condition says that a request came through whose answer was lost."""
    store.configure(concurrency=1, stall_timeout="3s")
    yield
    assert store.put_stream("a", SHORT, replace=True)[1] is None
    assert store.stored("a") == SHORT


LOST = [fault for fault in PASSING if fault[0] in ("lost", "Reset answer before headers",
                                                  "Stall answer last byte")]
OPERATIONS = [("get", get_it, "GET", "/a$"),
              ("put", put_it, "PUT", None),
              ("create", put_parts, "POST", "uploads="),
              ("part", put_parts, "PUT", "partNumber=2"),
              ("complete", put_parts, "POST", "uploadId=")]
REPLACING = [("create, replacing", stream_parts, "POST", "uploads="),
             ("complete, replacing", stream_parts, "POST", "uploadId=")]


def case(directory, server, operation, fault):
    """Goes through the operation with that fault in its way, once: what is wrong, or None."""
    name, work, method, path = operation
    directory.mkdir()
    with FaultProxy("127.0.0.1", server.port) as proxy:
        store = Store(directory, server, proxy)
        steps = work(store)
        next(steps)
        rule = proxy.fault(fault[1], method=method, path=path)
        try:
            assert next(steps, "over") == "over"
            assert rule.applied == 1, "the fault was not met"
            assert not store.uploads(), "an upload is left"
        except AssertionError as problem:
            return f"{name}, {fault[0]}: {problem}"
    return None


def test_faults_that_pass(tmp_path, s3_server):
    """Side by side, for a stall takes its time to be one."""
    pairs = [*itertools.product(OPERATIONS, PASSING), *itertools.product(OPERATIONS[:1], READING),
             *itertools.product(REPLACING, LOST)]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        cases = [pool.submit(case, tmp_path / f"case-{number}", s3_server, *pair)
                 for number, pair in enumerate(pairs)]
        problems = [done.result() for done in cases]
    assert not [problem for problem in problems if problem]


@pytest.mark.parametrize("fault", [Reset(at="headers"), Reply(status=503)], ids=["Reset", "503"])
def test_head_through_faults(store, fault):
    store.store_beside("a", SMALL)
    store.proxy.fault(fault, method="HEAD", times=2)
    assert store.call("head", "a")[1] is None


def test_connections_that_are_refused(store):
    store.proxy.fault(Refuse(), times=3)
    assert store.put("a", SMALL)[1] is None
    with store.proxy.down():
        reader = store.start("head", "a")  # asks now, or when it is up: either way it gets there
    assert reader.wait(2 * DEADLINE) == 0
    reader.communicate()


def test_a_trickle(store):
    content = os.urandom(300)
    store.store_beside("a", content)
    store.proxy.fault(Trickle(size=7, interval=0.01), times=None)
    assert store.get("a") == (content, None)


def test_a_download_goes_on_where_it_broke(store):
    content = os.urandom(100 * MIB)
    store.store_beside("a", content)
    # Every connection that there is at 90 MiB.
    cut = threading.Thread(target=lambda: (
        wait_for(lambda: store.proxy.bytes_received("GET") >= 90 * MIB, "90 MiB"),
        store.proxy.cut_connections()))
    cut.start()
    assert store.get("a") == (content, None)
    cut.join()
    assert store.proxy.bytes_received("GET") <= 101 * MIB


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_large_object_comes_in_ranges(store, concurrency):
    store.configure(concurrency=concurrency)
    content = os.urandom(64 * MIB + 7)
    store.store_beside("a", content, {"sha256": sha256(content)})
    for after in range(5):
        store.proxy.fault(Reset(at="middle"), method="GET", after=after)
    assert store.get("a") == (content, None)
    ranges = {request.headers["range"] for request in store.proxy.requests("GET")}
    assert {"bytes=0-33554431", f"bytes={64 * MIB}-{64 * MIB + 6}"} <= ranges
    assert store.proxy.bytes_received("GET") < 2 * len(content)


def test_an_object_that_changes_while_it_is_read(store):
    store.store_beside("a", os.urandom(64 * MIB))
    content = os.urandom(40 * MIB)
    rule = store.proxy.fault(Reset(at="middle"), method="GET", after=2)
    change = threading.Thread(target=lambda: (wait_for(lambda: rule.applied, "the fault"),
                                              store.store_beside("a", content)))
    change.start()
    got, code = store.get("a")
    change.join()
    # The new one if the change was seen; whichever, it is one object, whole.
    assert code is None and len(got) in (40 * MIB, 64 * MIB)
    assert len(got) == 64 * MIB or got == content


# ---- failures ----

@pytest.mark.parametrize("reply, code, message", [
    (s3_error(403, "AccessDenied"), "access-denied", "AccessDenied"),
    (s3_error(403, "InvalidAccessKeyId"), "unauthorized", "InvalidAccessKeyId"),
    (s3_error(403, "RequestTimeTooSkewed", date_offset=7200), "clock", "behind"),
    (s3_error(403, "RequestTimeTooSkewed", date_offset=-7200), "clock", "2h00m ahead"),
    (s3_error(400, "ExpiredToken"), "credentials", "ExpiredToken"),
    (s3_error(404, "NoSuchBucket"), "no-bucket", "bucket moolloy"),
    (Reply(status=301, headers={"x-amz-bucket-region": "eu-west-1"}), "wrong-region", "eu-west-1"),
    (Reply(status=400), "refused", "400"),
    (Reply(status=405), "refused", "405"),
], ids=lambda value: value if isinstance(value, str) and " " not in value else "")
@pytest.mark.parametrize("verb", ["head", "get", "put", "parts"])
def test_failures_that_stay(store, reply, code, message, verb):
    store.store_beside("a", SMALL)
    store.proxy.fault(reply, times=None)
    call = {"head": lambda: store.call("head", "a"),
            "get": lambda: store.call("get", "a", store.directory / "got"),
            "put": lambda: store.put("a", SMALL, replace=True),
            "parts": lambda: store.put("a", LARGE, replace=True)}[verb]
    errors, told = call()
    assert told == code and message in errors and "bucket moolloy" in errors
    assert len(store.proxy.requests()) <= 4  # not again and again
    assert not (store.directory / "got").exists()


def test_the_server_itself_refuses(store):
    store.configure(region="eu-west-1")
    errors, code = store.put("a", SMALL)
    assert code == "wrong-region" and store.server.region in errors
    store.configure(bucket="no-such-bucket")
    assert store.call("head", "a")[1] == "no-bucket"
    store.configure()
    (store.directory / "secret").write_text("wrong")
    assert store.put("a", SMALL)[1] == "unauthorized"
    assert store.put("a", LARGE)[1] == "unauthorized"
    # The body of a request that is refused early does not hide why.
    assert store.put("a", os.urandom(15 * MIB), replace=True)[1] == "unauthorized"


def test_damaged_objects_are_noticed(store):
    store.store_beside("a", SMALL, {"sha256": sha256(b"")})
    assert store.get("a") == (None, "hash-mismatch")


def test_a_part_that_fails_for_good_ends_the_upload(store):
    store.proxy.fault(s3_error(403, "AccessDenied"), method="PUT", path="partNumber=2", times=None)
    errors, code = store.put("a", LARGE)
    assert code == "access-denied" and "UploadPart" in errors
    assert store.stored("a") is None


def test_a_file_that_changes_while_it_goes(store):
    rule = store.proxy.fault(Reply(status=503), method="PUT", path="partNumber=3", times=None)
    path = store.file(LARGE)
    process = store.start("put", "a", path)
    wait_for(lambda: rule.applied, "the last part")
    with open(path, "ab") as file:
        file.write(b"more")
    store.proxy.clear()
    assert "[hash-mismatch]" in process.communicate(timeout=DEADLINE)[1]
    assert store.stored("a") is None


# ---- stopped ----

def parts_under_way(store):
    return [record for record in store.proxy.requests("PUT", "partNumber=") if record.sent]


def test_a_stopped_upload_leaves_nothing(store):
    store.configure(stall_timeout="60s")
    store.proxy.fault(Stall(at="before headers"), method="PUT", path="partNumber=3")
    process = store.start("put", "a", store.file(LARGE))
    wait_for(lambda: len(parts_under_way(store)) == 3, "the parts")
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 75
    assert "[cancelled]" in process.communicate()[1]
    assert store.stored("a") is None


def test_a_stalled_download_is_stopped(store):
    store.configure(stall_timeout="60s")
    store.store_beside("a", SMALL)
    rule = store.proxy.fault(Stall(at="middle"), method="GET")
    process = store.start("get", "a", store.directory / "got")
    wait_for(lambda: rule.applied, "the request")
    # Nor does it die of a connection that TLS writes to when it is gone.
    ignored = re.search(r"SigIgn:\s*(\w+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())
    assert int(ignored.group(1), 16) >> (signal.SIGPIPE - 1) & 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 75
    assert "[cancelled]" in process.communicate()[1]
    assert not (store.directory / "got").exists()


@in_either_style
def test_the_winner_ends_what_a_killed_writer_began(store):
    store.configure(stall_timeout="60s")
    store.proxy.fault(Stall(at="before headers"), method="PUT", path="partNumber=3")
    killed = store.start("put", "a", store.file(LARGE))
    wait_for(lambda: len(parts_under_way(store)) == 3, "the parts")
    killed.kill()
    killed.communicate()
    assert store.uploads()
    assert store.put("a", LARGE)[1] is None
    assert not store.uploads()


def test_who_loses_while_its_parts_go(store):
    """Its upload is gone when its last part comes: the winner ended it."""
    rule = store.proxy.fault(Reply(status=503), method="PUT", path="partNumber=3", times=None)
    slow = store.start("put", "a", store.file(LARGE))
    wait_for(lambda: rule.applied, "the loser's last part")
    winner = pathlib.Path(store.directory / "winner")
    winner.write_bytes(SMALL)
    assert store.call("put", "a", winner)[1] is None
    store.proxy.clear()
    assert "[exists]" in slow.communicate(timeout=DEADLINE)[1]
    assert store.stored("a") == SMALL


# ---- settings ----

@pytest.mark.parametrize("settings, message", [
    ({"bucket": ""}, "store.bucket is not set"),
    ({"endpoint": "s3.example"}, "store.endpoint"),
    ({"part_size": "1MiB"}, "5MiB to 1GiB"),
    ({"typ": "s3"}, "unknown setting"),
])
def test_wrong_settings(store, settings, message):
    store.configure(**settings)
    errors, code = store.call("head", "a")
    assert code == "configuration" and message in errors
