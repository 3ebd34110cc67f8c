"""Each fault of the proxy does what it says, to the request that it is meant for."""
import contextlib
import email.utils
import http.client
import http.server
import socket
import threading
import time

import pytest

from fault_proxy import (FaultProxy, FlipBit, Refuse, Reset, Stall, Trickle, Truncate, WrongDate,
                         json_error, s3_error)
from programs import DEADLINE, wait_for

CONTENT = bytes(range(256)) * 400  # what GET answers; longer than the proxy reads at once
HEADERS_AND = b"\r\n\r\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        self.answer(CONTENT)

    do_HEAD = do_GET

    def do_PUT(self):
        self.server.heads.append(dict(self.headers))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        self.answer(b"stored")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.heads, self.bodies = [], []

    def handle_error(self, *_):
        pass  # connections end as they like here


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def proxy(server):
    with FaultProxy(*server.server_address) as running:
        yield running


def connected(proxy, timeout=DEADLINE):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout)


def get(target="/object", method="GET", more=""):
    return f"{method} {target} HTTP/1.1\r\nHost: here:1\r\n{more}\r\n".encode()


def put(body, target="/object", more=""):
    return get(target, "PUT", f"Content-Length: {len(body)}\r\n{more}") + body


def all_of(connection):
    """What comes until the end."""
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    return answer


def ask(proxy, request):
    """Sends a request on a connection of its own, which is closed after it; the answer until the end."""
    with connected(proxy) as connection:
        connection.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        return all_of(connection)


def body_of(answer):
    return answer.partition(HEADERS_AND)[2]


def test_nothing_is_changed(proxy, server):
    assert body_of(ask(proxy, get())) == CONTENT
    assert body_of(ask(proxy, put(CONTENT))) == b"stored"
    assert server.bodies == [CONTENT] and server.heads[0]["Host"] == "here:1"
    assert ask(proxy, get(method="HEAD")).endswith(HEADERS_AND)


def test_what_was_seen(proxy):
    ask(proxy, get("/builds/a?x=1", more="X-Amz-Target: AmazonSQS.Do\r\n"))
    ask(proxy, put(b"hello", "/results/b"))
    [first, second] = proxy.requests()
    assert (first.method, first.target, first.status) == ("GET", "/builds/a?x=1", 200)
    assert first.headers["host"] == "here:1"
    assert (first.sent, first.received) == (0, len(CONTENT))
    assert (second.body, second.sent, second.received) == (b"hello", 5, len(b"stored"))
    assert second.connection == proxy.connections == 2
    assert proxy.requests(action="Do") == proxy.requests("GET", r"^/builds/") == [first]
    assert proxy.bytes_received("GET", "/builds/") == len(CONTENT)
    assert proxy.bytes_received("GET", "/results/") == 0 and proxy.bytes_sent("PUT") == 5


def test_connections_live(proxy):
    with connected(proxy) as connection:
        file = connection.makefile("rb")
        for _ in range(2):
            connection.sendall(put(b"again"))
            while file.readline() != b"\r\n":
                pass
            assert file.read(6) == b"stored"
    assert [record.connection for record in proxy.requests()] == [1, 1]


def test_expected_continuation(proxy, server):
    with connected(proxy) as connection:
        head, body = put(b"later", more="Expect: 100-continue\r\n").split(HEADERS_AND)
        connection.sendall(head + HEADERS_AND)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert server.bodies == [b"later"]


def test_only_the_requests_that_are_meant(proxy):
    rule = proxy.fault(s3_error(503, "SlowDown"), method="GET", path=r"/builds/", times=2, after=1)
    targets = ["/models/1", "/builds/1", "/builds/2", "/models/1", "/builds/3", "/builds/4"]
    answers = [ask(proxy, get(target)).split()[1] for target in targets]
    assert answers == [b"200", b"200", b"503", b"200", b"503", b"200"]
    assert rule.applied == 2
    proxy.fault(s3_error(503, "SlowDown"), times=None)
    assert ask(proxy, get()).split()[1] == ask(proxy, get()).split()[1] == b"503"
    proxy.clear()
    assert ask(proxy, get()).split()[1] == b"200"


@pytest.mark.parametrize("at, expected", [
    ("before headers", None), ("headers", None), ("first byte", 0), (7, 7),
    ("middle", len(CONTENT) // 2), ("last byte", len(CONTENT) - 1)])
def test_answers_end_at_that_place(proxy, at, expected):
    """Truncated in good order."""
    proxy.fault(Truncate(at=at))
    answer = ask(proxy, get())
    if expected is None:
        assert HEADERS_AND not in answer and bool(answer) == (at == "headers")
    else:
        assert body_of(answer) == CONTENT[:expected]
    assert proxy.bytes_received() == (expected or 0)


def test_an_answer_is_reset(proxy):
    proxy.fault(Reset(at=70000))
    with connected(proxy) as connection:
        connection.sendall(get())
        received = b""
        with pytest.raises(ConnectionResetError):
            while True:
                received += connection.recv(65536)
    assert body_of(received) == CONTENT[:70000] and proxy.bytes_received() == 70000


@pytest.mark.parametrize("at, expected", [("before headers", None), ("middle", 5), (3, 3)])
def test_a_request_is_reset(proxy, server, at, expected):
    proxy.fault(Reset(of="request", at=at))
    with connected(proxy) as connection:
        connection.sendall(put(b"0123456789"))
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    assert proxy.bytes_sent() == (expected or 0)
    wait_for(lambda: len(server.heads) == (0 if expected is None else 1), "the head of the request")


@pytest.mark.parametrize("fault, request_bytes, received", [
    (Stall(at="before headers"), get(), 0),
    (Stall(at="middle"), get(), len(CONTENT) // 2),
    (Stall(at="middle", of="request"), put(b"0123456789"), 0)])
def test_a_stalled_connection_lasts_until_the_client_goes(proxy, fault, request_bytes, received):
    proxy.fault(fault)
    with connected(proxy) as connection:
        connection.sendall(request_bytes)
        wait_for(lambda: proxy.requests() and proxy.bytes_received() == received
                 and proxy.bytes_sent() == (5 if fault.of == "request" else 0), "the stall")
        [stalled] = proxy.requests()
        answer = b""
        connection.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                answer += connection.recv(65536) or pytest.fail("the connection ended")
        assert len(body_of(answer)) == received
    assert stalled.fault is fault
    wait_for(lambda: not proxy.open, "the end of the stalled connection")
    assert ask(proxy, get()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("at, position", [
    ("first byte", 0), ("middle", len(CONTENT) // 2), ("last byte", len(CONTENT) - 1), (70000, 70000)])
def test_a_bit_is_flipped(proxy, server, at, position):
    wrong = bytearray(CONTENT)
    wrong[position] ^= 1
    proxy.fault(FlipBit(at=at))
    proxy.fault(FlipBit(at=at, of="request"), method="PUT")
    assert body_of(ask(proxy, get())) == wrong
    ask(proxy, put(CONTENT))
    assert server.bodies == [wrong]


def test_errors_of_s3(proxy, server):
    proxy.fault(s3_error(403, "AccessDenied", "no"))
    answer = ask(proxy, put(b"hello"))
    assert answer.startswith(b"HTTP/1.1 403 ") and b"Content-Type: application/xml\r\n" in answer
    assert b"<Code>AccessDenied</Code><Message>no</Message>" in body_of(answer)
    assert server.bodies == []
    proxy.fault(s3_error(404, "NoSuchKey"))
    assert body_of(ask(proxy, get(method="HEAD"))) == b""


def test_error_within_200_after_the_work_was_done(proxy, server):
    proxy.fault(s3_error(200, "InternalError", asked=True))
    answer = ask(proxy, put(b"hello"))
    assert answer.startswith(b"HTTP/1.1 200 ") and b"<Error>" in body_of(answer)
    assert server.bodies == [b"hello"]


def test_errors_of_sqs(proxy):
    proxy.fault(json_error(400, "ThrottlingException"))
    assert b'"__type": "com.amazonaws.sqs#ThrottlingException"' in ask(proxy, get())


@pytest.mark.parametrize("fault", [
    WrongDate(offset=-7200), s3_error(403, "RequestTimeTooSkewed", date_offset=-7200)])
def test_a_wrong_clock(proxy, fault):
    proxy.fault(fault)
    answer = ask(proxy, get())
    [date] = [line[6:] for line in answer.decode("latin-1").split("\r\n") if line[:6] == "Date: "]
    assert abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time() + 7200) < 60
    assert isinstance(fault, WrongDate) == (body_of(answer) == CONTENT)


def test_a_trickle(proxy, server):
    proxy.fault(Trickle(size=10000, interval=0.001))
    proxy.fault(Trickle(size=10000, interval=0.001, of="request"))
    assert body_of(ask(proxy, get())) == CONTENT
    ask(proxy, put(CONTENT))
    assert server.bodies == [CONTENT]
    assert proxy.bytes_received("GET") == proxy.bytes_sent() == len(CONTENT)


def test_connections_are_refused(proxy):
    rule = proxy.fault(Refuse(), times=2)
    for _ in range(2):
        with pytest.raises(ConnectionError), connected(proxy) as connection:
            connection.sendall(get())
            connection.recv(1)
    assert rule.applied == 2 and proxy.requests() == []
    assert ask(proxy, get()).startswith(b"HTTP/1.1 200 ")


def test_nobody_listens(proxy):
    with connected(proxy) as connection:
        connection.sendall(get())
        assert connection.recv(1)
        with proxy.down():
            with pytest.raises(ConnectionRefusedError):
                connected(proxy)
            assert len(all_of(connection)) < len(CONTENT) + 1000  # and its end
    assert ask(proxy, get()).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_goes_takes_the_servers_connection_along(proxy, server):
    """So that a long poll which was given up is given up on the server too."""
    silent = socket.create_server(("127.0.0.1", 0))
    silent.settimeout(DEADLINE)
    with FaultProxy(*silent.getsockname()) as between, silent:
        with connected(between) as client:
            client.sendall(get())
            connection, _ = silent.accept()
            assert connection.recv(1000).startswith(b"GET ")
        connection.settimeout(DEADLINE)
        with connection:
            assert connection.recv(1) == b""


def test_what_is_signed_for_the_proxy_is_good_for_s3(s3_server, s3_proxy):
    key = f"through-a-proxy-{s3_proxy.port}"
    put = s3_server.request("PUT", key, b"content", endpoint=s3_proxy.endpoint)
    assert put.status == 200 and s3_server.get(key) == b"content"
    s3_proxy.fault(FlipBit(of="request", at="last byte"), method="PUT")
    put = s3_server.request("PUT", key, b"content", endpoint=s3_proxy.endpoint)
    assert put.status == 400 and b"BadDigest" in put.body


def test_what_is_signed_for_the_proxy_is_good_for_sqs(sqs_server, sqs_proxy):
    queue = sqs_server.create_queue("through-a-proxy")
    send = {"QueueUrl": queue, "MessageBody": "body"}
    sqs_proxy.fault(json_error(500, "InternalFailure"), action="SendMessage", times=1)
    for expected in (500, 200):
        answer = sqs_server.request("SendMessage", send, endpoint=sqs_proxy.endpoint)
        assert answer.status == expected
    assert sqs_server.receive(queue).body == "body"


def test_a_long_poll_that_is_given_up_ends(sqs_server, sqs_proxy):
    queue = sqs_server.create_queue("polled")
    body, headers = sqs_server.signed("ReceiveMessage", {"QueueUrl": queue, "WaitTimeSeconds": 20},
                                      endpoint=sqs_proxy.endpoint)
    poll = http.client.HTTPConnection("127.0.0.1", sqs_proxy.port)
    poll.request("POST", "/", body, headers)
    wait_for(lambda: sqs_server.polls(queue) == 1, "the poll that waits")
    poll.close()
    wait_for(lambda: sqs_server.polls(queue) == 0, "the end of the poll")
