"""Starters of the real programs for system tests. A Dashboard is one process with a data directory
of its own; it can be killed and started again over the same data."""
import base64
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import time

BUILD = pathlib.Path(os.environ.get("MOOLLOY_BUILD", "build")).absolute()
DEADLINE = 20  # seconds that anything here may take


def wait_for(condition, what, deadline=DEADLINE):
    """The first true value of condition(), which is asked again and again."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline} s")
        time.sleep(0.005)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


class Dashboard:
    """username and password: what requests send; None: nothing. options: more arguments."""

    def __init__(self, data, options=(), username=None, password=None):
        self.data = pathlib.Path(data)
        self.options = list(options)
        self.username, self.password = username, password
        self.process = None
        self.more_environment = {}
        self.start()

    def start(self):
        """Starts it and waits until it listens; after kill() over the same data, on the same port."""
        listen = f"127.0.0.1:{self.port}" if self.process else "127.0.0.1:0"
        self.data.parent.mkdir(parents=True, exist_ok=True)
        self.log = open(self.data.parent / (self.data.name + ".log"), "ab")
        self.process = subprocess.Popen(
            [BUILD / "moolloy-dashboard", "--data", self.data, "--listen", listen, *self.options],
            env={**os.environ, **self.more_environment}, stdout=subprocess.PIPE, stderr=self.log,
            text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://"), (line, self.log_text())
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])

    def log_text(self):
        return (self.data.parent / (self.data.name + ".log")).read_text(errors="replace")

    def stop(self):
        """SIGTERM; the exit status, which is 0 if all went well."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(DEADLINE)
        self.process.stdout.close()
        self.log.close()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdout.close()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # ---- requests ----

    def authorization(self):
        pair = f"{self.username or ''}:{self.password or ''}".encode()
        return "Basic " + base64.b64encode(pair).decode()

    def request(self, method, path, body=None, headers=None):
        """body: bytes or text as it is, anything else as JSON. Redirects are not followed."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body, separators=(",", ":"))
            headers.setdefault("Content-Type", "application/json")
        if self.password is not None:
            headers.setdefault("Authorization", self.authorization())
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE * 2)
        try:
            connection.request(method, path, body=body, headers=headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body=b"", headers=None):
        return self.request("POST", path, body=body, headers=headers)

    def raw(self, data):
        """Sends bytes as they are; the whole answer, until the dashboard closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as connection:
            connection.sendall(data)
            answer = b""
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return answer
                answer += piece

    # ---- what happens often ----

    def sql(self, statement, *values):
        """Looks into (or changes) the database beside the running dashboard; rows as dicts."""
        with contextlib.closing(sqlite3.connect(self.data / "dashboard.db", timeout=DEADLINE)) as db:
            db.row_factory = sqlite3.Row
            with db:
                return [dict(row) for row in db.execute(statement, values)]

    def job(self, job_id):
        return self.sql("SELECT * FROM jobs WHERE id = ?", job_id)[0]

    def add_model(self, path, content=b"BZh9 a model", ci=True):
        """A model with its archive; its id."""
        self.sql("INSERT INTO models (path, ci_enabled, created_at) VALUES (?, ?, 0)", path, int(ci))
        model_id = self.sql("SELECT id FROM models WHERE path = ?", path)[0]["id"]
        if content is not None:
            assert self.upload_model(model_id, content).status == 303
        return model_id

    def push(self, *shas, headers=None):
        """The hook, for these commits."""
        commits = [{"id": sha, "timestamp": "2026-11-24T03:09:37Z", "message": f"commit {sha[:7]}"}
                   for sha in shas]
        return self.post("/repo/post_commit/hook", {"commits": commits}, headers=headers)

    def receive(self, *queues, wait=0, lease=120, **more):
        """A message as a dict, or None."""
        answer = self.post("/queue/receive", {"queues": queues, "worker": "test/1",
                                              "wait_seconds": wait, "lease_seconds": lease, **more})
        assert answer.status in (200, 204), answer
        return answer.json if answer.status == 200 else None

    def upload_model(self, model_id, content, filename="model.tar.bz2"):
        """The archive of a model, as a form."""
        head = (f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
                "Content-Type: application/x-bzip2\r\n\r\n").encode()
        return self.post(f"/models/{model_id}/upload", head + content + b"\r\n--edge--\r\n",
                         {"Content-Type": "multipart/form-data; boundary=edge"})
