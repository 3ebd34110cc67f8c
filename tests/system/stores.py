"""The two kinds of store that a site can have, as tests look at them and change them. Objects have bytes
and, where a worker put them, their SHA-256."""
import hashlib


class DirectoryStore:
    def __init__(self, path):
        self.path = path
        self.settings = {"store.path": str(path)}

    def put(self, key, content, sha256=None):
        """As a worker puts it there. sha256: another than the true one, or "" for none."""
        path = self.path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        metadata = self.metadata(key)
        metadata.unlink(missing_ok=True)
        sha256 = hash_of(content, sha256)
        if sha256:
            metadata.write_text(f"{sha256}  {path.name}\n")

    def get(self, key):
        """The bytes; None: there is no such key."""
        path = self.path / key
        return path.read_bytes() if path.exists() else None

    def sha256(self, key):
        """The one that stands beside it; None: none does."""
        metadata = self.metadata(key)
        return metadata.read_text().split()[0] if metadata.exists() else None

    def list(self, prefix=""):
        keys = (str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file())
        return sorted(key for key in keys
                      if key.startswith(prefix) and not key.endswith(".sha256"))

    def incomplete_uploads(self):
        return []

    def delete(self, key):
        (self.path / key).unlink(missing_ok=True)
        self.metadata(key).unlink(missing_ok=True)

    def metadata(self, key):
        path = self.path / key
        return path.with_name(path.name + ".sha256")


class S3Store:
    """Keys below a prefix of a bucket, "PREFIX/builds/..."."""

    def __init__(self, server, prefix, secret_files):
        """secret_files: of the access key and of the secret key."""
        self.server, self.prefix = server, prefix + "/"
        self.settings = {
            "store.type": "s3", "store.endpoint": server.endpoint, "store.region": server.region,
            "store.bucket": server.bucket, "store.prefix": prefix, "store.path-style": "yes",
            "aws.access-key-file": str(secret_files[0]), "aws.secret-key-file": str(secret_files[1])}

    def put(self, key, content, sha256=None):
        sha256 = hash_of(content, sha256)
        self.server.put(self.prefix + key, content, {"sha256": sha256} if sha256 else {})

    def get(self, key):
        return self.server.get(self.prefix + key)

    def sha256(self, key):
        headers = self.server.head(self.prefix + key)
        return headers and headers["x-amz-meta-sha256"]

    def list(self, prefix=""):
        return [key.removeprefix(self.prefix) for key in self.server.list(self.prefix + prefix)]

    def incomplete_uploads(self):
        return self.server.incomplete_uploads(self.prefix)

    def delete(self, key):
        self.server.delete(self.prefix + key)


def hash_of(content, sha256):
    return hashlib.sha256(content).hexdigest() if sha256 is None else sha256
