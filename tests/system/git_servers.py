"""Real git servers on loopback: smart HTTP(S) by git's own http-backend, ssh by OpenSSH's sshd."""
import base64
import contextlib
import http.server
import os
import pathlib
import pwd
import shutil
import socket
import ssl
import subprocess
import threading

from programs import wait_for

HTTP_BACKEND = "/usr/lib/git-core/git-http-backend"


class Handler(http.server.BaseHTTPRequestHandler):
    """git-http-backend(1) as CGI. server: root, credentials (or None), seen (paths, in order)."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve(b"")

    def do_POST(self):
        self.serve(self.rfile.read(int(self.headers["Content-Length"])))

    def serve(self, body):
        authorization = self.headers.get("Authorization")
        self.server.seen.append((self.path, authorization))
        self.server.request = body
        if self.server.ill > 0:
            self.server.ill -= 1
            self.answer(503, [], b"not now\n")
            return
        wanted = self.server.credentials
        if wanted and authorization != "Basic " + base64.b64encode(wanted.encode()).decode():
            self.answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"no\n")
            return
        path, _, query = self.path.partition("?")
        environment = {"GIT_PROJECT_ROOT": str(self.server.root), "GIT_HTTP_EXPORT_ALL": "1",
                       "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": query,
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""), "PATH": os.environ["PATH"],
                       "CONTENT_LENGTH": str(len(body)), "GIT_CONFIG_COUNT": "1",
                       "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
        output = subprocess.run([HTTP_BACKEND], input=body, env=environment, capture_output=True).stdout
        head, _, content = output.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = int(dict(headers).get("Status", "200").split()[0])
        self.answer(status, [pair for pair in headers if pair[0] != "Status"], content)

    def answer(self, status, headers, content):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        first, rest = self.server.part(self, content)
        self.wfile.write(first)
        self.server.sent += len(first)
        if rest:
            self.wfile.flush()
            self.server.pause.wait()
            self.close_connection = True

    def handle(self):
        with contextlib.suppress(ConnectionError):
            super().handle()


class Server(http.server.ThreadingHTTPServer):
    """ill: so many requests are answered 503; sent: bytes of bodies so far; pause: not set while answers are held back, see hold_at()."""

    root = credentials = None
    ill = 0
    request = b""  # the last one's body

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen, self.sent, self.share = [], 0, None
        self.pause = threading.Event()
        self.reached = threading.Event()

    def hold_at(self, share):
        """Of each pack only that share is sent; .reached is set then, and the rest never comes."""
        self.share = share
        self.pause.clear()
        self.reached.clear()

    def go_on(self):
        self.share = None
        self.pause.set()

    def part(self, handler, content):
        if self.share is None or handler.command != "POST":
            return content, b""
        length = int(len(content) * self.share)
        self.reached.set()
        return content[:length], content[length:]


@contextlib.contextmanager
def http_server(root, credentials=None, certificate=None):
    """Serves the repositories below root; certificate: (certificate, key) for https."""
    server = Server()
    server.root, server.credentials = root, credentials
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.go_on()
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificate(directory):
    """A certificate for 127.0.0.1 that is its own authority: (certificate, key)."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                    "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
                    certificate], check=True, capture_output=True)
    return certificate, key


@contextlib.contextmanager
def silent_server():
    """Accepts, and says nothing; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class Sshd:
    """An sshd for this user: keys by type, the known hosts file that names it, the url of a path."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.keys = {kind: self.make_key(kind) for kind in ("ed25519", "rsa")}
        self.chatty_key = self.make_key("ed25519", "chatty_key")  # whoever comes with it is talked to death
        self.endless_key = self.make_key("ed25519", "endless_key")  # whoever comes with it gets branches without end
        self.endless = "yes '003a" + "1" * 40 + " refs/heads/x'"
        self.chatty = self.directory / "chatty"
        self.chatty.write_text("#!/bin/sh\nyes 'many words' | head -c 10000000 >&2\n"
                               "echo 'the last word' >&2\nexit 1\n")
        self.chatty.chmod(0o755)
        self.host_key = self.make_key("ed25519", "host")
        self.known_hosts = self.directory / "known_hosts"
        self.user = pwd.getpwuid(os.getuid()).pw_name

    def make_key(self, kind, name=None):
        path = self.directory / (name or kind)
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
        return path

    def __enter__(self):
        authorized = self.directory / "authorized_keys"
        keys = [key.with_suffix(".pub").read_text() for key in self.keys.values()]
        keys.append(f'command="{self.endless}" ' + self.endless_key.with_suffix(".pub").read_text())
        keys.append(f'command="{self.chatty}" ' + self.chatty_key.with_suffix(".pub").read_text())
        authorized.write_text("".join(keys))
        authorized.chmod(0o600)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        config = self.directory / "sshd_config"
        config.write_text(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\n"
                          f"AuthorizedKeysFile {authorized}\nPidFile none\nStrictModes no\n"
                          "UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nListenAddress ::1\n")
        if os.getuid() == 0:
            pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        public = self.host_key.with_suffix(".pub").read_text().split()[:2]
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port},[::1]:{self.port} {' '.join(public)}\n")
        self.process = subprocess.Popen([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", config],
                                        stderr=subprocess.DEVNULL)
        wait_for(self.listens, "sshd listens")
        return self

    def listens(self):
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def url(self, path):
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"
