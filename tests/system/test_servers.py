"""The servers of the tests are as strict as those that they stand for."""
import concurrent.futures
import datetime
import http.client
import json
import subprocess
import uuid

import pytest

import aws_signature
from programs import wait_for
from sqs_server import SqsServer

PART = 5 << 20  # bytes: the smallest part that need not be the last


@pytest.fixture
def prefix():
    """For the keys of one test."""
    return f"{uuid.uuid4()}/"


def code_of(s3, answer):
    return s3.tree(answer).findtext("Code")


def signed_now(wrong):
    """What is wrong with a request, the time of its signature counted from now on."""
    off = datetime.timedelta(minutes=wrong.get("minutes_off", 0))
    others = {name: value for name, value in wrong.items() if name != "minutes_off"}
    return {**others, "when": aws_signature.now() + off}


def test_s3_keeps_objects(s3_server, prefix):
    key = prefix + "a jar+ä.jar"
    assert s3_server.get(key) is None and s3_server.head(key) is None
    s3_server.put(key, b"content", {"sha256": "abc"})
    assert s3_server.get(key) == b"content"
    assert s3_server.head(key)["x-amz-meta-sha256"] == "abc"
    assert s3_server.list(prefix) == [key]
    s3_server.delete(key)
    assert s3_server.get(key) is None and s3_server.list(prefix) == []


def test_s3_takes_what_curl_signs(s3_server, prefix, tmp_path):
    (tmp_path / "file").write_bytes(b"by curl")
    user = ":".join(map(aws_signature.quote, (s3_server.access_key, s3_server.secret_key)))
    url = s3_server.endpoint.replace("//", f"//{user}@")
    curl = subprocess.run(
        ["curl", "--silent", "--fail", "--show-error", "--upload-file", tmp_path / "file",
         "--aws-sigv4", f"aws:amz:{s3_server.region}:s3",
         "-H", f"x-amz-content-sha256: {aws_signature.sha256(b'by curl')}",
         f"{url}/{s3_server.bucket}/{prefix}curl"], capture_output=True, text=True)
    assert curl.returncode == 0, curl.stderr
    assert s3_server.get(prefix + "curl") == b"by curl"


@pytest.mark.parametrize("wrong, status, code", [
    ({"keys": aws_signature.Keys("tests:writer", "a guess")}, 403, "SignatureDoesNotMatch"),
    ({"keys": aws_signature.Keys("tests:nobody", "a guess")}, 403, "SignatureDoesNotMatch"),
    ({"region": "eu-central-1"}, 400, "AuthorizationHeaderMalformed"),
    ({"minutes_off": -16}, 403, "RequestTimeTooSkewed"),
    ({"headers": {"x-amz-content-sha256": aws_signature.sha256(b"other")}}, 400, "BadDigest"),
    ({"bucket": "no-such-bucket"}, 404, "NoSuchBucket"),
])
def test_s3_refuses(s3_server, prefix, wrong, status, code):
    answer = s3_server.request("PUT", prefix + "wrong", b"content", **signed_now(wrong))
    assert (answer.status, code_of(s3_server, answer)) == (status, code)
    assert s3_server.list(prefix) == []


def test_s3_denies_access(s3_server, prefix):
    answer = s3_server.request("PUT", prefix + "denied", b"content", keys=s3_server.stranger)
    assert (answer.status, code_of(s3_server, answer)) == (403, "AccessDenied")


def test_s3_multipart_upload(s3_server, prefix):
    key = prefix + "parts"
    upload = s3_server.begin_upload(key, {"sha256": "abc"})
    assert [entry.id for entry in s3_server.incomplete_uploads(prefix)] == [upload]
    etags = [s3_server.upload_part(key, upload, 1, b"a" * PART),
             s3_server.upload_part(key, upload, 2, b"b")]
    assert s3_server.complete_upload(key, upload, etags).status == 200
    assert s3_server.incomplete_uploads(prefix) == []
    assert s3_server.get(key) == b"a" * PART + b"b"
    assert s3_server.head(key)["x-amz-meta-sha256"] == "abc"
    part = s3_server.request("GET", key, headers={"Range": f"bytes={PART - 1}-"})
    assert (part.status, part.body) == (206, b"ab")


def test_s3_small_parts_and_wrong_parts(s3_server, prefix):
    key = prefix + "small"
    upload = s3_server.begin_upload(key)
    etags = [s3_server.upload_part(key, upload, number, b"small") for number in (1, 2)]
    assert code_of(s3_server, s3_server.complete_upload(key, upload, etags)) == "EntityTooSmall"
    wrong = s3_server.complete_upload(key, upload, ['"0123456789abcdef0123456789abcdef"'])
    assert code_of(s3_server, wrong) == "InvalidPart"
    assert s3_server.request("DELETE", key, query={"uploadId": upload}).status == 204
    assert s3_server.request("DELETE", key, query={"uploadId": upload}).status == 404
    assert s3_server.incomplete_uploads(prefix) == [] and s3_server.get(key) is None


def test_s3_one_of_racing_writers_wins(s3_server, prefix):
    key = prefix + "race"

    def write(number):
        return number, s3_server.request("PUT", key, b"%d" % number, {"If-None-Match": "*"}).status

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = dict(pool.map(write, range(8)))
    assert sorted(statuses.values()) == [200] + [412] * 7
    [winner] = [number for number, status in statuses.items() if status == 200]
    assert s3_server.get(key) == b"%d" % winner


def test_s3_conditions(s3_server, prefix):
    key = prefix + "condition"
    s3_server.put(key, b"old")
    match = {"If-Match": s3_server.head(key)["ETag"]}
    assert s3_server.request("PUT", key, b"new", match).status == 200
    assert s3_server.request("PUT", key, b"newer", match).status == 412
    assert s3_server.request("PUT", key + "-not", b"newer", match).status == 404
    upload = s3_server.begin_upload(key)
    etags = [s3_server.upload_part(key, upload, 1, b"part")]
    answer = s3_server.complete_upload(key, upload, etags, {"If-None-Match": "*"})
    assert answer.status == 412 and s3_server.get(key) == b"new"


def test_s3_buckets_without_conditions(s3_server, prefix):
    never = {"If-None-Match": "*"}
    for expected, bucket in (([200, 200], s3_server.ignoring_bucket),
                             ([501, 501], s3_server.refusing_bucket)):
        answers = [s3_server.request("PUT", prefix + "key", b"content", never, bucket=bucket)
                   for _ in range(2)]
        assert [answer.status for answer in answers] == expected


BODY = "---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: 'ä'\n"


@pytest.fixture
def queue(sqs_server):
    return sqs_server.create_queue("queue")


def test_sqs_gives_what_it_was_given(sqs_server, queue):
    sent = sqs_server.send(queue, BODY)
    message = sqs_server.receive(queue)
    assert (message.id, message.body, message.attempt) == (sent, BODY, 1)
    assert sqs_server.receive(queue) is None and sqs_server.in_flight(queue) == 1
    sqs_server.delete(queue, message.receipt)
    assert sqs_server.waiting(queue) == sqs_server.in_flight(queue) == 0


def test_sqs_counts_receives(sqs_server, queue):
    sent = sqs_server.send(queue, BODY)
    for attempt in (1, 2, 3):
        message = sqs_server.receive(queue)
        assert (message.id, message.attempt) == (sent, attempt)
        sqs_server.extend(queue, message.receipt, 0)
    stale = sqs_server.request("ChangeMessageVisibility", {
        "QueueUrl": queue, "ReceiptHandle": message.receipt, "VisibilityTimeout": 30})
    assert stale.status == 400 and "MessageNotInflight" in stale.json["__type"]


def test_sqs_gives_again_what_was_not_deleted(sqs_server, queue):
    sqs_server.send(queue, BODY)
    assert sqs_server.receive(queue, visibility=1).attempt == 1
    assert sqs_server.receive(queue, wait=10).attempt == 2


def test_sqs_dead_letters(sqs_server):
    dead = sqs_server.create_queue("dead")
    queue = sqs_server.create_queue("queue", visibility=0, dead_letter=dead, max_receives=2)
    sent = sqs_server.send(queue, BODY)
    attempts = [sqs_server.receive(queue, visibility=0).attempt for _ in range(2)]
    assert attempts == [1, 2] and sqs_server.receive(queue) is None
    assert sqs_server.receive(dead).id == sent


def test_sqs_long_poll(sqs_server, queue):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        poll = pool.submit(sqs_server.receive, queue, wait=20)
        sent = sqs_server.send(queue, BODY)
        assert poll.result().id == sent


def test_sqs_gives_nothing_to_a_client_that_is_gone(sqs_server, queue):
    body, headers = sqs_server.signed("ReceiveMessage",
                                      {"QueueUrl": queue, "WaitTimeSeconds": 20})
    poll = http.client.HTTPConnection("127.0.0.1", sqs_server.port)
    poll.request("POST", "/", body, headers)
    wait_for(lambda: sqs_server.polls(queue) == 1, "the poll that waits")
    poll.close()
    wait_for(lambda: sqs_server.polls(queue) == 0, "the end of the poll")
    sqs_server.send(queue, BODY)
    assert sqs_server.waiting(queue) == 1 and sqs_server.receive(queue).attempt == 1


def test_sqs_takes_a_session_token(sqs_server, queue):
    keys = sqs_server.temporary
    purge = {"QueueUrl": queue}
    assert sqs_server.request("PurgeQueue", purge, keys=keys).status == 200
    sqs_server.expired.add(keys.access)
    try:
        answer = sqs_server.request("PurgeQueue", purge, keys=keys)
    finally:
        sqs_server.expired.remove(keys.access)
    assert answer.status == 403
    assert answer.json["__type"] == "com.amazon.coral.service#ExpiredTokenException"


@pytest.mark.parametrize("wrong, status, code", [
    ({"keys": aws_signature.Keys("AKIAOFTHETESTS", "a guess")}, 403, "InvalidSignatureException"),
    ({"keys": aws_signature.Keys("AKIAOFNOBODY", "a guess")}, 403, "UnrecognizedClientException"),
    ({"keys": SqsServer.temporary._replace(token=None)}, 403, "UnrecognizedClientException"),
    ({"keys": SqsServer.temporary._replace(token="old")}, 403, "UnrecognizedClientException"),
    ({"service": "s3"}, 403, "InvalidSignatureException"),
    ({"region": "eu-central-1"}, 403, "InvalidSignatureException"),
    ({"minutes_off": -16}, 403, "InvalidSignatureException"),
    ({"minutes_off": 16}, 403, "InvalidSignatureException"),
])
def test_sqs_refuses(sqs_server, queue, wrong, status, code):
    answer = sqs_server.request("SendMessage", {"QueueUrl": queue, "MessageBody": "wrong"},
                                **signed_now(wrong))
    assert answer.status == status
    assert answer.json["__type"] == f"com.amazon.coral.service#{code}"
    assert sqs_server.waiting(queue) == 0


@pytest.mark.parametrize("change, code", [
    ({"x-amz-target": "AmazonSQS.DeleteQueue"}, "InvalidSignatureException"),
    ({"x-amz-more": "not signed"}, "InvalidSignatureException"),
    ({"authorization": None}, "MissingAuthenticationTokenException"),
    ({"authorization": "Basic eDp5"}, "IncompleteSignatureException"),
    ({"x-amz-date": "today"}, "IncompleteSignatureException"),
])
def test_sqs_refuses_what_was_changed(sqs_server, queue, change, code):
    body, headers = sqs_server.signed("PurgeQueue", {"QueueUrl": queue})
    headers = {name: value for name, value in {**headers, **change}.items() if value is not None}
    answer = sqs_server.post(body, headers)
    assert answer.json["__type"] == f"com.amazon.coral.service#{code}"


def test_sqs_refuses_another_body(sqs_server, queue):
    body, headers = sqs_server.signed("PurgeQueue", {"QueueUrl": queue})
    answer = sqs_server.post(body.replace(b"{", b"{ ", 1), headers)
    assert answer.status == 403 and "InvalidSignature" in answer.json["__type"]


def test_sqs_takes_what_curl_signs(sqs_server, queue):
    curl = subprocess.run(
        ["curl", "--silent", "--fail-with-body", "--aws-sigv4", f"aws:amz:{sqs_server.region}:sqs",
         "--user", f"{sqs_server.access_key}:{sqs_server.secret_key}",
         "-H", "X-Amz-Target: AmazonSQS.SendMessage",
         "-H", "Content-Type: application/x-amz-json-1.0",
         "--data-binary", json.dumps({"QueueUrl": queue, "MessageBody": BODY}),
         sqs_server.endpoint], capture_output=True, text=True)
    assert curl.returncode == 0, curl.stdout
    assert sqs_server.receive(queue).body == BODY
