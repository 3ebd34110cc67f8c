"""A strict S3 server that is not ours, for the tests: Swift's, see swift_in_one.py. Its methods look
at the store, and damage it, beside the workers."""
import collections
import http.client
import pathlib
import subprocess
import urllib.parse
import xml.etree.ElementTree

import aws_signature
from programs import DEADLINE, Answer

HERE = pathlib.Path(__file__).resolve().parent

Upload = collections.namedtuple("Upload", "key id")


class S3Server:
    """access_key may do everything; stranger's are good keys that may do nothing.

    One bucket that honours conditions, `bucket`, and two that do not: `ignoring_bucket` takes no
    notice of If-Match and If-None-Match, `refusing_bucket` answers 501 to them."""

    region = "us-east-1"
    access_key, secret_key = "tests:writer", "written-in/the+open"
    stranger = aws_signature.Keys("tests:stranger", "known-but-may-nothing")
    bucket, ignoring_bucket, refusing_bucket = "moolloy", "moolloy-ignores", "moolloy-refuses"

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log = open(self.directory / "log", "ab")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "/usr/bin/python3", HERE / "swift_in_one.py",
             self.directory / "swift", self.region, f"{self.access_key}={self.secret_key}",
             "=".join(self.stranger[:2])],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://"), (
            f"no S3 server (`make deps` installs python3-swift): {self.log_text()}")
        self.endpoint = line.split()[-1]
        self.port = urllib.parse.urlsplit(self.endpoint).port
        for bucket in (self.bucket, self.ignoring_bucket, self.refusing_bucket):
            self.make_bucket(bucket)

    def log_text(self):
        return (self.directory / "log").read_text(errors="replace")

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.process.stdout.close()
        self.log.close()

    # ---- requests ----

    def request(self, method, key="", body=b"", headers=(), query=(), bucket=None,
                endpoint=None, keys=None, region=None, when=None):
        """A signed request. query: {name: value}. endpoint: of a proxy. keys, region, when: to sign
        wrongly."""
        target = aws_signature.quote(f"/{bucket or self.bucket}/{key}", safe="/-._~")
        if query:
            target += "?" + urllib.parse.urlencode(sorted(query.items()),
                                                   quote_via=urllib.parse.quote)
        host = urllib.parse.urlsplit(endpoint or self.endpoint).netloc
        signed = aws_signature.sign(
            method, target, {"Host": host, **dict(headers)}, body,
            keys or aws_signature.Keys(self.access_key, self.secret_key),
            aws_signature.Scope(region or self.region, "s3"), when)
        connection = http.client.HTTPConnection(host, timeout=DEADLINE)
        try:
            connection.request(method, target, body or None, signed)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def good(self, *arguments, **more):
        answer = self.request(*arguments, **more)
        assert answer.status in (200, 204), answer
        return answer

    # ---- the store ----

    def make_bucket(self, name):
        self.good("PUT", bucket=name)

    def get(self, key, bucket=None):
        """The bytes; None: there is no such key."""
        answer = self.request("GET", key, bucket=bucket)
        return None if answer.status == 404 else self.checked(answer).body

    def head(self, key, bucket=None):
        """The headers, names as they like (x-amz-meta-sha256 too); None: there is no such key."""
        answer = self.request("HEAD", key, bucket=bucket)
        return None if answer.status == 404 else self.checked(answer).headers

    def put(self, key, content, metadata=(), bucket=None):
        headers = {f"x-amz-meta-{name}": value for name, value in dict(metadata).items()}
        return self.good("PUT", key, content, headers, bucket=bucket)

    def delete(self, key, bucket=None):
        answer = self.request("DELETE", key, bucket=bucket)
        assert answer.status in (204, 404), answer

    def list(self, prefix="", bucket=None):
        """The keys that begin so, sorted."""
        keys, marker = [], ""
        while True:
            listing = self.tree(self.good("GET", bucket=bucket,
                                          query={"prefix": prefix, "marker": marker}))
            keys += [entry.findtext("Key") for entry in listing.iter("Contents")]
            if listing.findtext("IsTruncated") != "true":
                return sorted(keys)
            marker = keys[-1]

    def incomplete_uploads(self, prefix="", bucket=None):
        """The multipart uploads neither completed nor aborted, as Upload."""
        listing = self.tree(self.good("GET", bucket=bucket,
                                      query={"uploads": "", "prefix": prefix}))
        return [Upload(entry.findtext("Key"), entry.findtext("UploadId"))
                for entry in listing.iter("Upload")]

    # ---- multipart uploads ----

    def begin_upload(self, key, metadata=(), bucket=None):
        """An upload's id."""
        headers = {f"x-amz-meta-{name}": value for name, value in dict(metadata).items()}
        answer = self.good("POST", key, headers=headers, query={"uploads": ""}, bucket=bucket)
        return self.tree(answer).findtext("UploadId")

    def upload_part(self, key, upload_id, number, content, bucket=None):
        """The part's ETag."""
        query = {"partNumber": number, "uploadId": upload_id}
        return self.good("PUT", key, content, query=query, bucket=bucket).headers["ETag"]

    def complete_upload(self, key, upload_id, etags, headers=(), bucket=None):
        parts = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
                        for number, etag in enumerate(etags, 1))
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        return self.request("POST", key, body, headers, {"uploadId": upload_id}, bucket)

    @staticmethod
    def checked(answer):
        assert answer.status == 200, answer
        return answer

    @staticmethod
    def tree(answer):
        """The document without its name space."""
        root = xml.etree.ElementTree.fromstring(answer.body)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root
