"""What stands between workers and their dashboard: passes requests on, or answers them itself, as
dashboards do that are ill, and whatever else is reached at their address."""
import collections
import http.client
import http.server
import threading

Seen = collections.namedtuple("Seen", "path mode status")

APOLOGY = b"<html><h1>We are back soon</h1></html>"
# What it says by itself: (status, announced length less the real one, body).
ANSWERS = {
    "500": (500, 0, APOLOGY),
    "html": (200, 0, APOLOGY),
    "401": (401, 0, b"Not authorized\n"),
    "half": (200, 100, b"O"),
    "nothing": None,
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        front = self.server.front
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mode = front.mode(self.path)
        if mode == "silence":
            front.over.wait()
            self.close_connection = True
            return
        status = self.pass_on(body) if mode == "pass" else self.say(ANSWERS[mode])
        front.seen.append(Seen(self.path, mode, status))

    def say(self, answer):
        self.close_connection = True
        if not answer:
            return None
        status, missing, body = answer
        self.send_response(status)
        self.send_header("Content-Type", "text/html;charset=utf-8")
        self.send_header("Content-Length", str(len(body) + missing))
        self.end_headers()
        self.wfile.write(body)
        return status

    def pass_on(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.front.port, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name != "Host"}
            connection.request("POST", self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except OSError:
            self.close_connection = True
            return None
        finally:
            connection.close()
        self.send_response(answer.status)
        for name in ("Content-Type", "Location"):
            if answer.headers[name]:
                self.send_header(name, answer.headers[name])
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return answer.status

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a worker that hung up


class Front:
    """mode(path): "pass", "silence", or one of ANSWERS. seen: the requests that were answered, in their
    order."""

    def __init__(self, dashboard):
        self.port = dashboard.port
        self.mode = lambda path: "pass"
        self.seen = []
        self.over = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.front = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
