"""A proxy for HTTP between a worker and a server that breaks what the test says, and keeps a record of
all that went through it. It changes nothing else: Host, and so a signature, stays as it was sent.

    proxy = FaultProxy("127.0.0.1", port_of_server)
    proxy.fault(Stall(at="middle"), method="GET", path=r"/builds/")
    ... a worker that uses proxy.endpoint ...
    assert proxy.bytes_received("GET", r"/builds/") < 1000

Places in a request or an answer, each meaning "up to there, without it": "before headers", "headers"
(half of them), "first byte", "middle", "last byte" of the body, or a number of bytes of the body."""
import contextlib
import dataclasses
import email.utils
import fcntl
import http.client
import itertools
import json
import re
import select
import socket
import struct
import termios
import threading
import time

PIECE = 1 << 16  # bytes read at once
LONGEST_HEAD = 1 << 16
LONGEST_KEPT = 1 << 20  # bytes of a request's body that are kept for the tests
RDHUP = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class Ended(Exception):
    """The connection is to end so: "stall", "reset" or "close"."""


# ---- faults ----

@dataclasses.dataclass(kw_only=True)
class Fault:
    """What passes is pieces of bytes, the head first. Each kind of fault changes them, or ends them by
    Ended. of: whether the request or the answer."""
    of: str = "answer"

    def change(self, head, body):
        """body: an iterable; its length is in the head."""
        yield head
        yield from body


@dataclasses.dataclass(kw_only=True)
class Cut(Fault):
    at: object = "middle"
    how = None

    def change(self, head, body):
        if self.at == "before headers":
            raise Ended(self.how)
        if self.at == "headers":
            yield head[:len(head) // 2]
            raise Ended(self.how)
        yield head
        left = place(self.at, head)
        for piece in body:
            if len(piece) > left:
                yield piece[:left]
                break
            left -= len(piece)
            yield piece
        raise Ended(self.how)


class Stall(Cut):
    """Nothing more, and no end, until the client gives up."""
    how = "stall"


class Reset(Cut):
    """The connection is reset."""
    how = "reset"


class Truncate(Cut):
    """The connection ends, in good order."""
    how = "close"


@dataclasses.dataclass(kw_only=True)
class FlipBit(Fault):
    """The lowest bit of the byte at that place of the body is the other one."""
    at: object = "middle"

    def change(self, head, body):
        yield head
        left = place(self.at, head)
        for piece in body:
            if 0 <= left < len(piece):
                piece = piece[:left] + bytes([piece[left] ^ 1]) + piece[left + 1:]
            left -= len(piece)
            yield piece


@dataclasses.dataclass(kw_only=True)
class Trickle(Fault):
    """size bytes of head and body at a time, then nothing for interval seconds."""
    size: int = 1
    interval: float = 0.01

    def change(self, head, body):
        for piece in itertools.chain([head], body):
            for start in range(0, len(piece), self.size):
                yield piece[start:start + self.size]
                time.sleep(self.interval)


@dataclasses.dataclass(kw_only=True)
class WrongDate(Fault):
    """The server's clock is wrong by so many seconds."""
    offset: int = 3600

    def change(self, head, body):
        start, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        lines = [line for line in lines if not line.lower().startswith(b"date:")]
        lines.append(b"Date: " + http_date(self.offset).encode())
        yield b"\r\n".join([start, *lines]) + b"\r\n\r\n"
        yield from body


@dataclasses.dataclass(kw_only=True)
class Reply(Fault):
    """The proxy's own answer. asked: the server gets the request first, and its answer is lost.
    date_offset: as in WrongDate. See s3_error() and json_error()."""
    status: int = 500
    body: bytes = b""
    headers: dict = dataclasses.field(default_factory=dict)
    asked: bool = False
    date_offset: int = 0

    def content(self, method):
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, 'Status')}",
                 f"Date: {http_date(self.date_offset)}", f"Content-Length: {len(self.body)}",
                 *(f"{name}: {value}" for name, value in self.headers.items())]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        return head if method == "HEAD" else head + self.body


def s3_error(status, code, message="as the test wants it", **more):
    """Also with status 200, as S3 may answer to the completion of a multipart upload."""
    body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}'
            "</Message><RequestId>0123456789ABCDEF</RequestId></Error>").encode()
    return Reply(status=status, body=body, headers={"Content-Type": "application/xml"}, **more)


def json_error(status, code, message="as the test wants it", **more):
    """As SQS answers."""
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message}).encode()
    return Reply(status=status, body=body, headers={"Content-Type": "application/x-amz-json-1.0"},
                 **more)


class Refuse(Fault):
    """A connection that is reset as soon as it is made; it has no request yet, so it is matched by
    any rule, which must be without method and path."""


def place(at, head):
    """How many bytes of the body come before that place."""
    if isinstance(at, int):
        return at
    length = int(headers_of(head).get("content-length", 0))
    return {"first byte": 0, "middle": length // 2, "last byte": max(0, length - 1)}[at]


def http_date(offset=0):
    return email.utils.formatdate(time.time() + offset, usegmt=True)


# ---- HTTP on a socket ----

def headers_of(head):
    """{lower-case name: value}"""
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


class Stream:
    """What comes from one side, piece by piece as it comes, framing included."""

    def __init__(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = connection
        self.buffer = b""

    def fill(self):
        piece = self.socket.recv(PIECE)
        self.buffer += piece
        return bool(piece)

    def take(self, count):
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def through(self, mark):
        """All up to the mark, with it; b"" at the end."""
        while mark not in self.buffer:
            if len(self.buffer) > LONGEST_HEAD or not self.fill():
                return b""
        return self.take(self.buffer.index(mark) + len(mark))

    def head(self):
        return self.through(b"\r\n\r\n")

    def exactly(self, count):
        while count > 0:
            if not self.buffer and not self.fill():
                raise Ended("close")
            piece = self.take(min(count, PIECE))
            count -= len(piece)
            yield piece

    def chunks(self):
        while True:
            line = self.through(b"\r\n")
            if not line:
                raise Ended("close")
            yield line
            size = int(line.split(b";")[0], 16)
            yield from self.exactly(size + 2)
            if size == 0:
                return

    def rest(self):
        while self.buffer or self.fill():
            yield self.take(PIECE)

    def body(self, head, until_end):
        """until_end: without a length it ends with the connection, as an answer's does."""
        headers = headers_of(head)
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self.chunks()
        if "content-length" in headers:
            return self.exactly(int(headers["content-length"]))
        return self.rest() if until_end else iter(())

    def send(self, data):
        self.socket.sendall(data)

    def reset(self):
        """With all delivered that was sent."""
        while struct.unpack("i", fcntl.ioctl(self.socket, termios.TIOCOUTQ, b"\0" * 4))[0]:
            if self.gone(timeout=1):
                break
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def gone(self, timeout=None):
        """Waits (milliseconds) until the other side has closed: whether it has."""
        poll = select.poll()
        poll.register(self.socket, RDHUP)
        return bool(poll.poll(timeout))

    def answers_before(self, client):
        """Waits until there is something to read: false if that client goes first."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN | RDHUP)
        poll.register(client.socket, RDHUP)
        return bool(self.buffer) or self.socket.fileno() in dict(poll.poll())


class BodyMeter:
    """Tells the bytes of a body from those of the head before it."""

    def __init__(self):
        self.head = b""

    def add(self, piece):
        """How many of these bytes belong to the body."""
        if self.head.endswith(b"\r\n\r\n"):
            return len(piece)
        head, mark, body = (self.head + piece).partition(b"\r\n\r\n")
        self.head = head + mark
        return len(body)


# ---- the proxy ----

@dataclasses.dataclass
class Record:
    """A request that came. target: path and query; headers: {lower-case name: value}; body: its first
    MiB; sent, received: bytes of bodies passed on to the server, and back to the client; status: of the
    answer, once it goes to the client; fault: what was done to it."""
    connection: int
    method: str
    target: str
    headers: dict
    body: bytes = b""
    sent: int = 0
    received: int = 0
    status: int = None
    fault: Fault = None

    def matches(self, method, path, action=None):
        return (method in (None, self.method) and re.search(path or "", self.target) is not None
                and re.search(action or "", self.headers.get("x-amz-target", "")) is not None)


@dataclasses.dataclass
class Rule:
    """A fault for the requests that match, the first `after` apart, `times` times (None: for ever).
    applied: how often it was."""
    fault: Fault
    method: str
    path: str
    action: str
    times: int
    after: int
    applied: int = 0

    def applies(self, record):
        if self.times is not None and self.applied >= self.times:
            return False
        if not record.matches(self.method, self.path, self.action):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.applied += 1
        return True


class FaultProxy:
    def __init__(self, host, port):
        self.upstream = (host, port)
        self.lock = threading.Lock()
        self.rules, self.records = [], []
        self.connections = 0  # made by clients, those that were refused too
        self.open = set()  # sockets, of both sides
        self.threads = []
        self.port = 0
        self.listen()
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # ---- for the tests ----

    def fault(self, fault, method=None, path=None, action=None, times=1, after=0):
        """The rule, in force from now on. path: a pattern searched for in path and query; action: the
        same for X-Amz-Target, which tells SQS's requests apart. The first rule that applies wins."""
        rule = Rule(fault, method, path, action, times, after)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        """No faults any more; stalled connections stay so."""
        with self.lock:
            self.rules.clear()

    def cut_connections(self):
        """Those that there are now; new ones are welcome."""
        with self.lock:
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def down(self):
        """Nobody listens meanwhile, and connections that there were are gone."""
        self.stop()
        try:
            yield
        finally:
            self.listen()

    def requests(self, method=None, path=None, action=None):
        """Records of those that match, oldest first."""
        with self.lock:
            return [record for record in self.records if record.matches(method, path, action)]

    def bytes_received(self, method=None, path=None):
        """Bytes of answers' bodies that went to the clients."""
        return sum(record.received for record in self.requests(method, path))

    def bytes_sent(self, method=None, path=None):
        """Bytes of requests' bodies that went to the server."""
        return sum(record.sent for record in self.requests(method, path))

    # ---- connections ----

    def listen(self):
        self.stopping = False
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.start(self.accept, self.listener)

    def start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def stop(self):
        # shutdown() wakes the thread in accept(), close() alone does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.threads[0].join()
        with self.lock:
            self.stopping = True
        self.cut_connections()
        for thread in self.threads:
            thread.join()
        self.threads.clear()

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self.start(self.serve, connection, self.connections)

    def serve(self, connection, number):
        """One connection of a client, and ours to the server for it."""
        client, server = Stream(connection), None
        try:
            if self.is_refused():
                raise Ended("reset")
            self.adopt(connection)
            server = Stream(socket.create_connection(self.upstream))
            self.adopt(server.socket)
            while self.exchange(client, server, number):
                pass
        except Ended as end:
            self.end(client, str(end))
        except OSError:
            pass  # one of the two is gone
        finally:
            for stream in filter(None, (client, server)):
                with self.lock:
                    self.open.discard(stream.socket)
                stream.socket.close()

    def adopt(self, connection):
        """For stop() to end it."""
        with self.lock:
            if self.stopping:
                raise Ended("close")
            self.open.add(connection)

    def end(self, client, how):
        if how == "stall":
            # Unread, what it sends would keep the news from us that it has gone.
            with contextlib.suppress(OSError):
                while client.socket.recv(PIECE):
                    pass
        if how == "reset":
            client.reset()

    def is_refused(self):
        nothing = Record(0, None, "", {})
        with self.lock:
            return any(isinstance(rule.fault, Refuse) and rule.applies(nothing)
                       for rule in self.rules)

    def fault_for(self, record):
        with self.lock:
            self.records.append(record)
            for rule in self.rules:
                if not isinstance(rule.fault, Refuse) and rule.applies(record):
                    return rule.fault
        return None

    # ---- one request and its answer ----

    def exchange(self, client, server, number):
        """Whether another may follow on these connections."""
        head = client.head()
        if not head:
            return False
        method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ", 2)
        record = Record(number, method, target, headers_of(head))
        fault = record.fault = self.fault_for(record)
        body = self.kept(record, client.body(head, until_end=False))
        if isinstance(fault, Reply) and not fault.asked:
            if "expect" in record.headers:
                client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            return self.reply(record, body, client)
        answered_early = self.hand_on(record, head, body, client, server)
        answer_head = server.head() if server.answers_before(client) else b""
        if not answer_head:
            return False
        bodiless = record.method == "HEAD" or answer_head.split(b" ", 2)[1] in (b"204", b"304")
        answer = iter(()) if bodiless else server.body(answer_head, until_end=True)
        if isinstance(fault, Reply):
            return self.reply(record, answer, client)
        self.answer(record, answer_head, answer, client)
        if record.method == "HEAD" and "transfer-encoding" in headers_of(answer_head):
            return False  # Swift ends a body there that it must not have begun
        return not answered_early and keeps(head) and keeps(answer_head)

    def reply(self, record, instead_of, client):
        """The proxy's own answer, instead of what comes from one of them."""
        for _ in instead_of:
            pass
        record.status = record.fault.status
        answer = record.fault.content(record.method)
        client.send(answer)
        record.received = BodyMeter().add(answer)
        return record.headers.get("connection", "").lower() != "close"

    def kept(self, record, body):
        """The pieces, whose bytes are noted on the way."""
        for piece in body:
            if len(record.body) < LONGEST_KEPT:
                record.body += piece
            yield piece

    def hand_on(self, record, head, body, client, server):
        """The request, to the server. True: it would not have all of it, and has answered already."""
        fault = record.fault
        if fault is None or fault.of != "request":
            fault = Fault()
        pieces = fault.change(head, self.continued(record, body, client, server))
        meter = BodyMeter()
        try:
            for piece in pieces:
                server.send(piece)
                record.sent += meter.add(piece)
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False

    def continued(self, record, body, client, server):
        """The pieces, once the server has said that it wants them, if it was asked."""
        if "expect" in record.headers:
            interim = server.head()
            if not interim.startswith(b"HTTP/1.1 100"):
                server.buffer = interim + server.buffer
                return
            client.send(interim)
        yield from body

    def answer(self, record, head, body, client):
        record.status = int(head.split(b" ", 2)[1])
        fault, meter = record.fault, BodyMeter()
        if fault is None or fault.of != "answer":
            fault = Fault()
        for piece in fault.change(head, body):
            client.send(piece)
            record.received += meter.add(piece)


def keeps(head):
    """Does this side let the connection live, and is the end of its message marked?"""
    headers = headers_of(head)
    framed = not head.startswith(b"HTTP/") or "content-length" in headers or (
        "transfer-encoding" in headers) or head.split(b" ", 2)[1] in (b"204", b"304")
    return framed and headers.get("connection", "").lower() != "close"
