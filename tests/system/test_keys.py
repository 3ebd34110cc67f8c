"""Keys for S3 and SQS, from wherever they come; and servers that do not like our clock."""
import http.server
import json
import re
import signal
import threading
import uuid

import pytest

from aws_signature import Keys
from fault_proxy import WrongDate, json_error, s3_error
from git_servers import http_server
from programs import wait_for

AHEAD = 3630  # seconds that our clock is ahead of a server's
VARIABLES = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
             "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
             "AWS_CONTAINER_CREDENTIALS_FULL_URI", "CREDENTIALS_DIRECTORY", "HOME"]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    """None are there but those that a test gives."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def environment_keys(monkeypatch):
    def use(keys):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret)
    return use


def keys_of(server):
    return Keys(server.access_key, server.secret_key)


def queue_settings(endpoint, queue):
    return {"queue.type": "sqs", "queue.endpoint": endpoint, "queues": [queue]}


def store_settings(server, endpoint=None):
    return {"store.type": "s3", "store.endpoint": endpoint or server.endpoint,
            "store.bucket": server.bucket, "store.region": server.region,
            "store.prefix": f"keys-{uuid.uuid4()}"}


# ---- which source counts ----

def source(worker, secrets=()):
    """What show-config says of it."""
    shown = worker.run("show-config")
    assert shown.returncode == 0, shown.stderr
    assert not [secret for secret in secrets if secret in shown.stdout + shown.stderr]
    assert len(re.findall(r"^# access keys: ", shown.stdout, re.M)) == 1
    return re.search(r"^# access keys: (.*)\n\Z", shown.stdout, re.M)[1]


def test_show_config_says_where_keys_come_from(new_site, monkeypatch):
    site = new_site(workers=[])
    worker = site.add_worker("run", **queue_settings("http://127.0.0.1:1", "ci"))
    secret = "it/is+a/secret"
    assert source(worker) == "none"
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    assert source(worker) == "instance http://169.254.169.254"
    file = site.write_secret("aws-credentials", f"[default]\naws_access_key_id = A\n"
                                                f"aws_secret_access_key = {secret}")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(site.path))
    assert source(worker, [secret]) == f"{file}, profile default"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    assert source(worker, [secret]) == "none: environment: a secret access key without its id"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    assert source(worker, [secret]) == "environment"
    key = site.write_secret("key", secret)
    worker.configure(aws__access_key_file=str(key), aws__secret_key_file=str(key))
    assert source(worker, [secret]) == "settings"


def test_show_config_says_nothing_of_keys_that_nobody_needs(new_site):
    worker = new_site(workers=[]).add_worker("run")
    assert "# access keys: " not in worker.run("show-config").stdout


@pytest.mark.parametrize("names", [["access-key"], ["secret-key"], ["session-token"],
                                   ["access-key", "session-token"]])
def test_half_a_key_is_no_configuration(new_site, names):
    site = new_site(workers=[])
    key = site.write_secret("key", "half")
    worker = site.add_worker("run", **{f"aws.{name}-file": str(key) for name in names})
    done = worker.run("check-config")
    assert done.returncode == 78
    assert "aws.access-key-file and aws.secret-key-file go together" in done.stderr


# ---- keys that change ----

class Metadata(http.server.ThreadingHTTPServer):
    """An EC2 instance's metadata service, version 2, with a role. keys: what it gives at present."""

    daemon_threads = True
    token, role = "AQAEAExample==", "moolloy-worker"

    def __init__(self, keys):
        super().__init__(("127.0.0.1", 0), MetadataHandler)
        self.keys = keys
        self.given = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.thread = threading.Thread(target=self.serve_forever, args=[0.01], daemon=True)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.server_close()

    def answer(self, path):
        here = "/latest/meta-data/iam/security-credentials/"
        if path == here:
            return self.role
        if path != here + self.role:
            return None
        self.given.append(self.keys.access)
        return json.dumps({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": self.keys.access,
                           "SecretAccessKey": self.keys.secret, "Token": self.keys.token,
                           "Expiration": "2099-01-01T00:00:00Z"})


class MetadataHandler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_PUT(self):
        good = self.path == "/latest/api/token" and int(
            self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) > 0
        self.tell(200 if good else 400, self.server.token if good else "")

    def do_GET(self):
        allowed = self.headers["X-aws-ec2-metadata-token"] == self.server.token
        answer = self.server.answer(self.path) if allowed else ""
        self.tell(401 if not allowed else 200 if answer else 404, answer or "")

    def tell(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def fresh_keys(sqs_server, token=None):
    """Keys that the queue's server takes."""
    keys = Keys(f"AKIA{uuid.uuid4().hex[:16].upper()}", uuid.uuid4().hex, token)
    sqs_server.keys[keys.access] = keys
    return keys


@pytest.fixture
def metadata(sqs_server, monkeypatch):
    service = Metadata(fresh_keys(sqs_server, "a/session+token=="))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
    yield service
    service.stop()


def polled(sqs_server, queue):
    wait_for(lambda: sqs_server.polls(queue) > 0, "a poll of the queue")


def take_a_message(sqs_server, queue):
    """Ends the poll under way; whoever polls takes the message off the queue."""
    sqs_server.send(queue, "no job")
    wait_for(lambda: sqs_server.in_flight(queue) == sqs_server.waiting(queue) == 0, "an empty queue")
    polled(sqs_server, queue)


def test_keys_of_an_instance_run_out(new_site, sqs_server, metadata):
    """The worker gets others, and nobody notices."""
    site = new_site(workers=[])
    queue = sqs_server.create_queue("keys")
    worker = site.add_worker("run", **queue_settings(sqs_server.endpoint, queue)).start()
    polled(sqs_server, queue)
    assert f"access keys: instance {metadata.url}" in worker.log()
    first = metadata.keys
    metadata.keys = fresh_keys(sqs_server, "another/token==")
    sqs_server.expired.add(first.access)
    take_a_message(sqs_server, queue)
    assert metadata.given[0] == first.access
    assert set(metadata.given[1:]) == {metadata.keys.access}
    assert "cannot receive" not in worker.log() and worker.status()["state"] == "idle"
    for keys in (first, metadata.keys):
        assert keys.secret not in worker.log() and keys.token not in worker.log()


def test_keys_that_are_replaced(new_site, sqs_server):
    """A reload in the middle of the edit changes nothing; one after it does."""
    site = new_site(workers=[])
    queue = sqs_server.create_queue("keys")
    old, new = fresh_keys(sqs_server), fresh_keys(sqs_server)
    identity, secret = site.write_secret("id", old.access), site.write_secret("secret", old.secret)
    worker = site.add_worker("run", **queue_settings(sqs_server.endpoint, queue), **{
        "aws.access-key-file": str(identity), "aws.secret-key-file": str(secret)}).start()
    polled(sqs_server, queue)
    secret.unlink()
    identity.write_text(new.access)
    worker.signal(signal.SIGHUP)
    worker.log_has("configuration not reloaded, the old one stays")
    assert "aws.secret-key-file: cannot open" in worker.log()
    take_a_message(sqs_server, queue)
    site.write_secret("secret", new.secret)
    worker.signal(signal.SIGHUP)
    worker.log_has("configuration reloaded")
    sqs_server.expired.add(old.access)
    take_a_message(sqs_server, queue)
    assert "cannot receive" not in worker.log()
    assert not [keys for keys in (old, new) if keys.secret in worker.log()]


def test_keys_that_are_replaced_while_a_job_runs(new_site, jar, archive, s3_server, s3_proxy):
    """Its runner, which has read the old ones, reads the new ones when those are refused."""
    site = new_site(store="s3", workers=[])
    site.add_built_commit(jar)
    token = site.write_secret("token", "first")
    worker = site.add_worker("run", **{"aws.session-token-file": str(token), "max-attempts": 1,
                                       "store.endpoint": s3_proxy.endpoint}).start()
    s3_proxy.fault(s3_error(403, "ExpiredToken"), method="PUT", path="/results/", times=None)
    job = site.request_run(site.add_model("model", archive(), ci=False))

    def tokens():
        return [record.headers["x-amz-security-token"]
                for record in s3_proxy.requests("PUT", "/results/")]

    wait_for(lambda: "first" in tokens(), "a refused upload")
    token.write_text("second")
    wait_for(lambda: "second" in tokens(), "an upload with the new keys")
    s3_proxy.clear()
    assert site.wait_for_job(id=job)["correct"] == 1
    assert tokens() == sorted(tokens())
    assert "first" not in worker.log() and "second" not in worker.log()


def test_a_token_for_the_repository_that_is_replaced(new_site):
    """The next attempt has the new one, though nobody said so."""
    site = new_site(workers=[])
    site.start_workers(["build"], start=False)
    token = site.write_secret("token", "wrong")
    with http_server(site.repositories, credentials="ci:t0ken") as server:
        worker = site.build_worker
        worker.configure(repository__url=f"{server.url}/moolloy", git__protocols=["http"],
                         git__username="ci", git__token_file=str(token), retry_delay="0s",
                         max_attempts=100, build__commands=["cp build.xml out.jar"],
                         build__artifact="out.jar")
        worker.start()
        site.push(site.commit)
        worker.log_has("[unauthorized]")
        token.write_text("t0ken")
        assert site.wait_for_build(site.commit)["return_code"] == 0
    assert "t0ken" not in worker.log()


# ---- clocks ----

def test_a_queue_that_refuses_our_clock(new_site, sqs_server, sqs_proxy, environment_keys):
    environment_keys(keys_of(sqs_server))
    site = new_site(workers=[])
    queue = sqs_server.create_queue("clock")
    refusal = json_error(403, "InvalidSignatureException",
                         "Signature expired: 20261124T000000Z is now earlier than 20261124T010000Z",
                         date_offset=-AHEAD)
    sqs_proxy.fault(refusal, action="ReceiveMessage", times=None)
    sqs_proxy.fault(WrongDate(offset=-AHEAD), method="HEAD", times=None)
    worker = site.add_worker("run", **queue_settings(sqs_proxy.endpoint, queue)).start()
    why = f"this host's clock is 1h00m ahead of {sqs_proxy.endpoint}'s: set it"
    worker.wait_until(lambda status: status.get("why") == why, "a wrong clock")
    worker.log_has(f"no job is claimed: {why} [clock]")
    looks = len(sqs_proxy.requests("HEAD"))
    worker.signal(signal.SIGHUP)  # looks at once
    wait_for(lambda: len(sqs_proxy.requests("HEAD")) > looks, "another look at the clock")
    assert len(sqs_proxy.requests(action="ReceiveMessage")) == 1
    sqs_proxy.clear()
    worker.signal(signal.SIGHUP)
    worker.log_has("ready for jobs")
    polled(sqs_server, queue)
    assert "why" not in worker.status()


def test_a_store_that_refuses_our_clock(new_site, jar, archive, s3_server, s3_proxy,
                                        environment_keys):
    """The job goes back to the queue as if it had not been tried, and is done when the clock is right."""
    environment_keys(keys_of(s3_server))
    site = new_site(workers=[])
    settings = store_settings(s3_server, s3_proxy.endpoint)
    worker = site.add_worker("run", **settings, **{"max-attempts": 1})
    site.add_built_commit(jar)
    model = site.add_model("model", archive(), ci=False)
    for path in site.store.rglob("*"):
        if path.is_file() and not path.name.endswith(".sha256"):
            s3_server.put(f"{settings['store.prefix']}/{path.relative_to(site.store)}",
                          path.read_bytes())
    s3_proxy.fault(s3_error(403, "RequestTimeTooSkewed", date_offset=-AHEAD),
                   path=settings["store.prefix"], times=None)
    s3_proxy.fault(WrongDate(offset=-AHEAD), method="HEAD", times=None)
    job = site.request_run(model)
    worker.start()
    where = f"{s3_proxy.endpoint}/{s3_server.bucket}"
    why = f"this host's clock is 1h00m ahead of {where}'s: set it"
    worker.wait_until(lambda status: status.get("why") == why, "a wrong clock")
    assert "RequestTimeTooSkewed" in worker.log() and "handed back to the queue" in worker.log()
    wait_for(lambda: site.job(job)["state"] == "waiting", "the job handed back")
    s3_proxy.clear()
    worker.signal(signal.SIGHUP)  # looks at once
    done = site.wait_for_job(id=job)
    assert (done["correct"], done["attempt"], done["failure"]) == (1, 2, None)


def test_a_server_that_quotes_what_was_signed(new_site, jar, archive, s3_server, s3_proxy,
                                              environment_keys, monkeypatch):
    """As S3 does where the signature is wrong: the session token must not get into reports and logs."""
    token = "a/session/token/that/nobody/sees"
    environment_keys(keys_of(s3_server))
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    site = new_site(workers=[])
    settings = store_settings(s3_server, s3_proxy.endpoint)
    worker = site.add_worker("run", **settings, **{"max-attempts": 1})
    site.add_built_commit(jar)
    refusal = s3_error(403, "SignatureDoesNotMatch", "The signature does not match.\nIt should be of\n"
                       f"GET\nx-amz-security-token:{token}")
    s3_proxy.fault(refusal, path=settings["store.prefix"], times=None)
    worker.start()
    job = site.run(site.add_model("model", archive(), ci=False))
    assert job["failure"] == "unauthorized"
    assert job["error_message"].endswith("403 SignatureDoesNotMatch: The signature does not match.")
    assert s3_proxy.requests("GET")[0].headers["x-amz-security-token"] == token
    worker.wait_until_idle()
    for path in site.path.rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path
