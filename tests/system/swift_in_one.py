"""swift_in_one.py DIRECTORY REGION ACCESS_KEY=SECRET_KEY...: Swift with its S3 interface in one
process, on loopback. An access key is tenant:user. The first may do everything with its tenant's
buckets, the others nothing.

Proxy, account, container and object server share an event loop and one "device", a directory; the
S3 interface (s3api) checks every signature. Prints `listening on http://127.0.0.1:PORT`.

Swift 2.30 answers 501 to every PUT with a condition. Here If-Match and If-None-Match are honoured
for PUT and for the completion of a multipart upload, one writer of a key at a time, so that of N
racing writers exactly one wins, as on S3. Buckets whose names end in -ignores and -refuses are like
the servers that ignore conditions, or refuse them.
"""
import os
import pathlib
import signal
import sys
import time
import warnings

warnings.simplefilter("ignore")

import eventlet
import eventlet.semaphore
import eventlet.wsgi
from swift.common import utils

eventlet.hubs.use_hub(utils.get_hub())
utils.eventlet_monkey_patch()

SMALLEST_PART = 5 << 20  # as on S3
STORAGE = ("account", "container", "object")

COMMON = """
[DEFAULT]
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
disable_fallocate = true
log_level = WARNING
log_udp_host =
"""
STORAGE_SERVER = COMMON + """
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
lock_path = {directory}/locks
slow = 0
"""
PROXY_SERVER = COMMON + """
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth slo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:s3api]
use = egg:swift#s3api
location = {region}
s3_acl = false
dns_compliant_bucket_names = true
storage_domain = localhost
max_upload_part_num = 10000
min_segment_size = {smallest_part}

[filter:tempauth]
use = egg:swift#tempauth
{users}

[filter:slo]
use = egg:swift#slo
"""
SWIFT = """
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests
"""


class Cache:
    """Stands in for memcached, where tempauth keeps its tokens."""

    def __init__(self):
        self.entries = {}

    def get(self, key, *_, **__):
        return self.entries.get(key)

    def set(self, key, value, *_, **__):
        self.entries[key] = value

    def delete(self, key, *_, **__):
        self.entries.pop(key, None)

    def incr(self, key, delta=1, *_, **__):
        self.entries[key] = max(0, int(self.entries.get(key) or 0) + int(delta))
        return self.entries[key]

    def decr(self, key, delta=1, *_, **__):
        return self.incr(key, -int(delta))


# ---- conditions ----

def take_conditions_out(request_class):
    """So that Swift's refusal does not see them: they are in request.conditions from then on."""
    refuse = request_class._validate_headers

    def validate(self):
        self.conditions = {}
        bucket = self.container_name or ""
        if self.method not in ("PUT", "POST") or bucket.endswith("-refuses"):
            return refuse(self)
        taken = {name: self.headers.pop(name) for name in ("If-Match", "If-None-Match")
                 if name in self.headers}
        if not bucket.endswith("-ignores"):
            self.conditions = taken
        refuse(self)
        # What is signed must be there when the signature is checked.
        self.headers.update(taken)
        return None

    request_class._validate_headers = validate


def honour_conditions(controller, method):
    """Makes a controller's method check request.conditions, and lets one at a time write a key."""
    from swift.common.middleware.s3api.s3response import NoSuchKey, PreconditionFailed
    write = getattr(controller, method)

    def present(self, request):
        try:
            return request.get_response(self.app, "HEAD").headers.get("ETag", "").strip('"')
        except NoSuchKey:
            return None
        finally:
            request.headers.pop("X-Backend-Storage-Policy-Index", None)

    def check(self, request):
        if not request.conditions:
            return
        etag = present(self, request)
        wanted = request.conditions.get("If-Match")
        if wanted and etag is None:
            raise NoSuchKey(request.object_name)
        if wanted and wanted.strip('"') not in ("*", etag):
            raise PreconditionFailed()
        if "If-None-Match" in request.conditions and etag is not None:
            raise PreconditionFailed()

    def conditional(self, request):
        for name in ("If-Match", "If-None-Match"):
            request.headers.pop(name, None)
        with lock_of(request.container_name, request.object_name):
            check(self, request)
            answer = write(self, request)
            if method == "POST":
                # Its work is done while its body is read.
                answer.app_iter = list(answer.app_iter)
            return answer

    conditional.publicly_accessible = True
    setattr(controller, method, conditional)


locks = {}


def lock_of(*key):
    return locks.setdefault(key, eventlet.semaphore.Semaphore(1))


def help_conditions():
    from swift.common.middleware.s3api.controllers.multi_upload import UploadController
    from swift.common.middleware.s3api.controllers.obj import ObjectController
    from swift.common.middleware.s3api.s3request import S3Request
    take_conditions_out(S3Request)
    honour_conditions(ObjectController, "PUT")
    honour_conditions(UploadController, "POST")


# ---- starting ----

def write_configuration(directory, region, keys):
    (directory / "devices" / "d1").mkdir(parents=True)
    (directory / "locks").mkdir()
    (directory / "swift.conf").write_text(SWIFT)
    users = "\n".join(f"user_{access.replace(':', '_')} = {secret}{'' if number else ' .admin'}"
                      for number, (access, secret) in enumerate(keys))
    (directory / "proxy.conf").write_text(PROXY_SERVER.format(
        directory=directory, region=region, smallest_part=SMALLEST_PART, users=users))
    for kind in STORAGE:
        text = STORAGE_SERVER.format(directory=directory, kind=kind)
        (directory / f"{kind}.conf").write_text(text)
    # Instead of /etc/swift/swift.conf, which only root and swift may read.
    utils.SWIFT_CONF_FILE = str(directory / "swift.conf")
    utils.HASH_PATH_PREFIX = utils.HASH_PATH_SUFFIX = b""
    utils.validate_configuration()


def write_ring(directory, kind, port):
    """Where the servers of that kind are: one, with one partition for everything."""
    from swift.common.ring import RingBuilder
    builder = RingBuilder(part_power=1, replicas=1, min_part_hours=0)
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "device": "d1", "weight": 1.0, "meta": "",
                     "ip": "127.0.0.1", "port": port,
                     "replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance()
    builder.get_ring().save(str(directory / f"{kind}.ring.gz"))


def serve(directory, kind, listener, cache=None):
    from swift.common import wsgi
    config = str(directory / f"{kind}.conf")
    utils.get_logger(wsgi.appconfig(config), f"{kind}-server", log_to_console=True,
                     log_route="wsgi")
    app = wsgi.loadapp(config, global_conf={"log_name": kind})

    def with_cache(environ, start_response):
        environ["swift.cache"] = cache
        return app(environ, start_response)

    eventlet.spawn(eventlet.wsgi.server, listener, with_cache if cache else app,
                   utils.NullLogger() if hasattr(utils, "NullLogger") else wsgi.NullLogger(),
                   custom_pool=eventlet.GreenPool(1024), protocol=wsgi.SwiftHttpProtocol,
                   socket_timeout=60, capitalize_response_headers=False)


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.environ["TZ"] = "UTC+0"
    time.tzset()
    directory, region = pathlib.Path(sys.argv[1]).absolute(), sys.argv[2]
    keys = [argument.split("=", 1) for argument in sys.argv[3:]]
    listeners = {kind: eventlet.listen(("127.0.0.1", 0), backlog=1024)
                 for kind in (*STORAGE, "proxy")}
    write_configuration(directory, region, keys)
    help_conditions()
    for kind in STORAGE:
        write_ring(directory, kind, listeners[kind].getsockname()[1])
        serve(directory, kind, listeners[kind])
    serve(directory, "proxy", listeners["proxy"], Cache())
    print(f"listening on http://127.0.0.1:{listeners['proxy'].getsockname()[1]}", flush=True)
    while True:
        eventlet.sleep(3600)


if __name__ == "__main__":
    main()
