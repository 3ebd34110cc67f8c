"""Stands in for the existing dashboard in tests: what workers see of it, to the byte, as written in
tests/fixtures/exchanges/existing.txt, with its weaknesses. Jobs go to SQS; pages, hook and forms it has
none: the tests ask by methods. Everything is kept in memory, over stop() and start() too."""
import base64
import dataclasses
import hashlib
import itertools
import json
import re
import socketserver
import threading
import time

import exchanges
from programs import DEADLINE

EXCHANGES = exchanges.read()
QUEUES = ("build", "ci", "performance", "correctness")
LARGEST_CODE = 2**31 - 1
NO_WORD = re.compile(r"\d+|0[bx][\da-f]+|true|false|null|yes|no|on|off|~|", re.I)
ARCHIVES = {"tar.bz2": b"BZh", "tar.gz": b"\x1f\x8b"}


class Wrong(Exception):
    """What a request is answered with: the name of an exchange with that answer."""


@dataclasses.dataclass
class Request:
    """As it came. answer: the bytes that it got."""
    head: bytes
    body: bytes
    answer: bytes = b""

    @property
    def method(self):
        return self.head.split()[0].decode()

    @property
    def path(self):
        return self.head.split()[1].decode()

    @property
    def headers(self):
        """{lower-case name: value}"""
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    @property
    def status(self):
        return int(self.answer.split()[1])

    def object(self):
        """The body's JSON object."""
        try:
            value = json.loads(self.body)
        except ValueError:
            raise Wrong("register with no JSON") from None
        if not isinstance(value, dict):
            raise Wrong("register with no JSON")
        return value


@dataclasses.dataclass
class Job:
    """A row of jobs; times as of time.time(). reports: bodies of the finishes that were accepted, as
    they came. worker: the name of the last one that said it works on it."""
    id: int
    type: str
    sha: str
    model_id: int = None
    test_type: str = None
    algorithm: str = None
    jar_file_key: str = None
    model_file_key: str = None
    secret_key: str = None
    requested_at: float = None
    started_at: float = None
    finished_at: float = None
    return_code: int = None
    result_s3_key: str = None
    correct: int = None
    real_time_seconds: int = None
    cpu_time_seconds: int = None
    worker: str = None
    reports: list = dataclasses.field(default_factory=list)

    def message(self):
        """To the byte."""
        pairs = [("version", 2), ("job_id", self.id), ("job_type", f":{self.type}"),
                 ("commit", quoted(self.sha))]
        if self.type == "run":
            pairs += [("model_id", self.model_id), ("jar_file_key", self.jar_file_key),
                      ("model_file_key", self.model_file_key), ("algorithm", self.algorithm)]
        return "---\n" + "".join(f":{name}: {value}".removesuffix("None").rstrip() + "\n"
                                 for name, value in pairs)


@dataclasses.dataclass
class Model:
    id: int
    path: str
    ci_enabled: bool
    s3_key: str = None


def quoted(text):
    """A YAML scalar as the dashboard's library writes a commit id or a key."""
    return f"'{text}'" if NO_WORD.fullmatch(text) else text


def whole(value):
    """What the database makes of a number for one of its integers."""
    return None if value is None else int(float(value))


class ExistingDashboard:
    """store: where archives of models go, with put(key, bytes). sqs: a SqsServer. password: with the
    username "tester"; None: it asks for none. queues: {kind: URL}."""

    def __init__(self, store, sqs, password=None):
        self.store, self.sqs = store, sqs
        self.username, self.password = "tester", password
        self.queues = {kind: sqs.create_queue(kind) for kind in QUEUES}
        self.lock = threading.RLock()
        self.ids = itertools.count(1)
        self.all_jobs, self.models, self.workers = {}, {}, {}
        self.requests = []
        self.process = None  # unlike ours it is none
        self.port = 0
        self.start()

    def start(self):
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.dashboard = self
        self.port = self.server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        return 0

    def log_text(self):
        return "".join(f"{request.method} {request.path} {request.body[:500]!r} -> "
                       f"{request.status}\n" for request in list(self.requests))

    # ---- for the tests ----

    def push(self, *commits):
        """What GitHub's hook does: a build for each commit that is new."""
        with self.lock:
            for sha in commits:
                if not self.jobs(type="build", sha=sha):
                    self.request_build(sha)

    def request_build(self, sha):
        """The job's id."""
        return self.enqueue(Job(next(self.ids), "build", sha), "build")

    def add_model(self, path, content, ci=True, kind="tar.bz2"):
        """The model's id. content, kind: of its archive; None: it has none yet."""
        with self.lock:
            model = Model(len(self.models) + 1, path, ci)
            self.models[model.id] = model
            if content is not None:
                self.keep_archive(model, kind, content)
            return model.id

    def request_run(self, model, sha, kind="performance", algorithm="GIA"):
        """The job's id. The jar is that of the commit's newest good build."""
        with self.lock:
            jars = [job.result_s3_key for job in self.jobs(type="build", sha=sha)
                    if job.return_code == 0]
            job = Job(next(self.ids), "run", sha, model, kind, algorithm or "GIA",
                      jars[0] if jars else None, self.models[model].s3_key)
            return self.enqueue(job, kind)

    def jobs(self, **wanted):
        """Those with these values, newest first."""
        with self.lock:
            return [job for job in reversed(self.all_jobs.values())
                    if all(getattr(job, name) == value for name, value in wanted.items())]

    def built_by_hand(self, sha, jar_key):
        """As push() and a build worker's report, without either."""
        with self.lock:
            job = Job(next(self.ids), "build", sha, requested_at=time.time(),
                      finished_at=time.time(), return_code=0, result_s3_key=jar_key)
            self.all_jobs[job.id] = job
            self.request_ci_runs(sha)

    def forget_workers(self):
        """As somebody who clears the table of workers."""
        with self.lock:
            self.workers.clear()

    def requests_to(self, path):
        """Those whose path matches the pattern, oldest first."""
        return [request for request in list(self.requests) if re.fullmatch(path, request.path)]

    # ---- rows ----

    def enqueue(self, job, queue):
        with self.lock:
            self.all_jobs[job.id] = job
            # The message goes first: its id becomes the secret.
            job.secret_key = self.sqs.send(self.queues[queue], job.message())
            job.requested_at = time.time()
            return job.id

    def keep_archive(self, model, kind, content):
        name = hashlib.sha256(f"{model.path}{time.time_ns()}".encode()).hexdigest()
        model.s3_key = f"models/{name}.{kind}"
        self.store.put(model.s3_key, content)

    def row(self, table, text):
        """That row; the existing dashboard makes 500 of most that are not there."""
        found = table.get(int(text)) if str(text).isdigit() else None
        if found is None:
            raise Wrong("start of an unknown job")
        return found

    # ---- requests of workers: each gives the exchange that has the answer, and its values ----

    def answer(self, request):
        """The bytes; what was asked and answered is kept."""
        with self.lock:
            try:
                name, values = self.dispatch(request)
            except Wrong as why:
                name, values = str(why), {}
            request.answer = EXCHANGES[name].answer.bytes(host=request.headers.get("host", ""),
                                                          **values)
            if name == "upload of a model" and b"HTTP/1.0\r\n" in request.head:
                request.answer = request.answer.replace(b"303 See Other", b"302 Found", 1)
            self.requests.append(request)
            return request.answer

    def dispatch(self, request):
        routes = (("workers", "register", self.register), ("workers", "heartbeat", self.heartbeat),
                  ("workers", "unregister", self.unregister), ("jobs", "start", self.start_job),
                  ("jobs", "finish", self.finish), ("models", "upload", self.upload))
        parts = request.path.strip("/").split("/")
        for table, verb, handler in routes:
            if request.method == "POST" and (parts[0], parts[-1]) == (table, verb):
                self.authorize(request)
                return handler(request, *parts[1:-1])
        if request.method == "GET" and parts[0] == "models" and len(parts) == 2:
            return "start", {}  # a page; only its status counts
        raise Wrong("unknown path")

    def authorize(self, request):
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        if self.password and request.headers.get("authorization") != f"Basic {pair}":
            raise Wrong("not authorized")
        if "chunked" in request.headers.get("transfer-encoding", "").lower():
            raise Wrong("register with no JSON")

    def register(self, request):
        name = request.object().get("hostname")
        if not name:
            return "register without a name", {}
        if len(name) > 255:
            raise Wrong("register with no JSON")
        worker = next(self.ids)
        self.workers[worker] = name
        return "register", {"worker": worker}

    def heartbeat(self, request, worker):
        if not worker.isdigit() or int(worker) not in self.workers:
            raise Wrong("heartbeat of nobody")
        job = request.object().get("job_id")
        if job is not None:
            self.row(self.all_jobs, job).worker = self.workers[int(worker)]
        return "heartbeat, idle", {}

    def unregister(self, _, worker):
        self.row(self.workers, worker)
        del self.workers[int(worker)]
        return "unregister", {}

    def start_job(self, _, job):
        self.row(self.all_jobs, job).started_at = time.time()
        return "start", {}

    def finish(self, request, job):
        report, job = request.object(), self.row(self.all_jobs, job)
        if job.type == "run" and job.return_code is not None:
            return "finish, run", {}  # ignored, even with a wrong secret
        if report.get("secret_key") != job.secret_key:
            raise Wrong("finish with a wrong secret")
        code = whole(report.get("return_code"))
        if code is not None and abs(code) > LARGEST_CODE:
            raise Wrong("finish with a wrong secret")
        job.finished_at, job.return_code = time.time(), code
        job.result_s3_key = report.get("result_s3_key")
        job.reports.append(request.body)
        if job.type == "run":
            job.correct = int(type(report.get("correct")) in (int, float) and report["correct"] == 1)
            job.real_time_seconds = whole(report.get("real_time_seconds"))
            job.cpu_time_seconds = whole(report.get("cpu_time_seconds"))
        elif type(report.get("return_code")) in (int, float) and report["return_code"] == 0:
            self.request_ci_runs(job.sha)
        return "finish, built", {}

    def request_ci_runs(self, sha):
        for model in self.models.values():
            if model.ci_enabled and model.s3_key:
                self.request_run(model.id, sha, "ci")

    def upload(self, request, model):
        if not model.isdigit() or int(model) not in self.models:
            raise Wrong("upload to an unknown model")
        kind, content = uploaded_archive(request)
        self.keep_archive(self.models[int(model)], kind, content)
        return "upload of a model", {"model": model}


def uploaded_archive(request):
    """Kind and content of the form's part `file`."""
    boundary = re.search('boundary="?([^";]+)', request.headers.get("content-type", ""))
    for part in request.body.split(b"--" + boundary[1].encode())[1:] if boundary else ():
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.search(rb'filename="([^"]*)"', head)
        if b'name="file"' in head and name:
            for kind, magic in ARCHIVES.items():
                if name[1].decode().lower().endswith(f".{kind}") and content.startswith(magic):
                    return kind, content.removesuffix(b"\r\n")
    raise Wrong("upload of something else")


# ---- HTTP ----

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # a client that is gone


class Handler(socketserver.StreamRequestHandler):
    timeout = DEADLINE
    disable_nagle_algorithm = True

    def handle(self):
        """Requests one after the other; a body must have a Content-Length, Expect is not answered."""
        while True:
            head = self.read_head()
            if not head:
                return
            request = Request(head, b"")
            request.body = self.rfile.read(int(request.headers.get("content-length", 0)))
            answer = self.server.dashboard.answer(request)
            close = request.headers.get("connection", "").lower() == "close"
            if not close:
                answer = answer.replace(b"\r\nConnection: close\r\n", b"\r\n", 1)
            self.wfile.write(answer)
            if close or "transfer-encoding" in request.headers:
                return

    def read_head(self):
        lines = []
        while line := self.rfile.readline(65536):
            lines.append(line)
            if line == b"\r\n":
                return b"".join(lines)
        return b""
