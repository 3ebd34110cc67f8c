"""An SQS for the tests that is not ours, the emulator fauxqs, behind a gate of ours that checks the
signature of every request as strictly as AWS does: the emulator checks none."""
import collections
import http.client
import http.server
import json
import pathlib
import select
import subprocess
import threading
import urllib.parse
import urllib.request
import uuid

import aws_signature
from programs import DEADLINE, Answer
from s3_server import S3Server

TOP = pathlib.Path(__file__).resolve().parents[2]
# Where `make servers` puts it.
NODE_MODULES = TOP / "build" / "npm" / "node_modules"
LONGEST_POLL = 20  # seconds
HANDED_ON = ("Content-Type", "X-Amz-Target", "Host", "Authorization")

Message = collections.namedtuple("Message", "id receipt body attempt")


class SqsServer:
    """keys: {access key: Keys} that are accepted: its own, those of the S3 server (as with AWS, one pair
    can be good for both), and a temporary pair that needs its session token."""

    region = "us-east-1"
    access_key, secret_key = "AKIAOFTHETESTS", "written-in/the+open"
    temporary = aws_signature.Keys("ASIAOFTHETESTS", "for+an/hour", "a/session+token==")

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        pairs = (aws_signature.Keys(self.access_key, self.secret_key), self.temporary,
                 aws_signature.Keys(S3Server.access_key, S3Server.secret_key))
        self.keys = {keys.access: keys for keys in pairs}
        self.expired = set()  # access keys whose time has run out
        self.log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "node", "--no-warnings",
             TOP / "tests" / "fixtures" / "sqs" / "emulator.mjs", NODE_MODULES],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://"), (
            f"no SQS emulator (`make deps servers` installs it): {self.log_text()}")
        self.emulator = urllib.parse.urlsplit(line.split()[-1]).netloc
        self.gate = Gate(("127.0.0.1", 0), GateHandler)
        self.gate.sqs = self
        self.port = self.gate.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.gate.serve_forever, args=[0.01], daemon=True)
        self.thread.start()

    def log_text(self):
        return (self.directory / "log").read_text(errors="replace")

    def stop(self):
        self.gate.shutdown()
        self.gate.server_close()
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.process.stdout.close()
        self.log.close()

    # ---- requests ----

    def signed(self, action, parameters, endpoint=None, keys=None, region=None, service="sqs",
               when=None):
        """A request's body and headers. endpoint: of a proxy. keys, region, service, when: to sign
        wrongly."""
        body = json.dumps(parameters).encode()
        headers = {"Host": urllib.parse.urlsplit(endpoint or self.endpoint).netloc,
                   "X-Amz-Target": f"AmazonSQS.{action}",
                   "Content-Type": "application/x-amz-json-1.0"}
        return body, aws_signature.sign(
            "POST", "/", headers, body, keys or self.keys[self.access_key],
            aws_signature.Scope(region or self.region, service), when)

    def post(self, body, headers):
        """To where the headers say that it is."""
        connection = http.client.HTTPConnection(headers["host"], timeout=DEADLINE + LONGEST_POLL)
        try:
            connection.request("POST", "/", body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def request(self, action, parameters, **more):
        return self.post(*self.signed(action, parameters, **more))

    def call(self, action, **parameters):
        answer = self.request(action, parameters)
        assert answer.status == 200, answer
        return answer.json

    # ---- queues: by their URLs ----

    def create_queue(self, name, visibility=30, dead_letter=None, max_receives=3):
        """A queue's URL. name: completed to one that nobody has. dead_letter: the URL of the queue for
        messages that were received max_receives times in vain."""
        attributes = {"VisibilityTimeout": str(visibility)}
        if dead_letter:
            attributes["RedrivePolicy"] = json.dumps({
                "deadLetterTargetArn": self.attributes(dead_letter)["QueueArn"],
                "maxReceiveCount": max_receives})
        return self.call("CreateQueue", QueueName=f"{name}-{uuid.uuid4()}",
                         Attributes=attributes)["QueueUrl"]

    def send(self, queue, body, delay=0):
        """The message's id."""
        return self.call("SendMessage", QueueUrl=queue, MessageBody=body,
                         DelaySeconds=delay)["MessageId"]

    def receive(self, queue, wait=0, visibility=30):
        """A Message, or None."""
        found = self.call("ReceiveMessage", QueueUrl=queue, WaitTimeSeconds=wait,
                          VisibilityTimeout=visibility, AttributeNames=["All"]).get("Messages")
        if not found:
            return None
        [message] = found
        return Message(message["MessageId"], message["ReceiptHandle"], message["Body"],
                       int(message["Attributes"]["ApproximateReceiveCount"]))

    def extend(self, queue, receipt, visibility):
        self.call("ChangeMessageVisibility", QueueUrl=queue, ReceiptHandle=receipt,
                  VisibilityTimeout=visibility)

    def delete(self, queue, receipt):
        self.call("DeleteMessage", QueueUrl=queue, ReceiptHandle=receipt)

    def attributes(self, queue):
        return self.call("GetQueueAttributes", QueueUrl=queue,
                         AttributeNames=["All"])["Attributes"]

    def waiting(self, queue):
        """How many messages could be received."""
        return int(self.attributes(queue)["ApproximateNumberOfMessages"])

    def in_flight(self, queue):
        """How many messages are received and not deleted; also those whose time is over, until the
        next one asks."""
        return int(self.attributes(queue)["ApproximateNumberOfMessagesNotVisible"])

    def polls(self, queue):
        """How many clients wait for a message."""
        with urllib.request.urlopen(f"http://{self.emulator}/polls") as answer:
            return json.load(answer)[queue]


class Gate(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, *_):
        """A client that is gone is nothing to talk about."""


class GateHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.check(body)
        except aws_signature.Refused as why:
            self.refuse(why)
        else:
            self.hand_on(body)

    def check(self, body):
        sqs = self.server.sqs
        headers = {name.lower(): value for name, value in self.headers.items()}
        keys = aws_signature.keys_of(headers, sqs.keys)
        aws_signature.check(self.command, self.path, headers, body, keys,
                            aws_signature.Scope(sqs.region, "sqs"))
        if keys.access in sqs.expired:
            raise aws_signature.Refused(403, "ExpiredTokenException",
                                        "The security token included in the request is expired")

    def refuse(self, why):
        body = json.dumps({"__type": f"com.amazon.coral.service#{why.code}",
                           "message": why.message}).encode()
        self.answer(why.status, {"x-amzn-RequestId": str(uuid.uuid4()),
                                 "Content-Type": "application/x-amz-json-1.0"}, body)

    def hand_on(self, body):
        """To the emulator, and its answer back; gives up when the client does."""
        emulator = http.client.HTTPConnection(self.server.sqs.emulator)
        try:
            emulator.putrequest("POST", self.path, skip_host=True, skip_accept_encoding=True)
            for name in HANDED_ON:
                if name in self.headers:
                    emulator.putheader(name, self.headers[name])
            emulator.putheader("Content-Length", str(len(body)))
            emulator.endheaders(body)
            readable, _, _ = select.select([emulator.sock, self.connection], [], [])
            if emulator.sock not in readable:
                self.close_connection = True
                return
            response = emulator.getresponse()
            headers = {name: value for name, value in response.getheaders()
                       if name.lower().startswith(("content-type", "x-amz"))}
            self.answer(response.status, headers, response.read())
        finally:
            emulator.close()

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
