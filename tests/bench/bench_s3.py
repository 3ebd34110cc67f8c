"""Figures of the S3 store: one 256 MiB object up and down, and a directory packaged and uploaded, against the same
server in the same run as curl, aws, s3cmd and rclone."""

import collections
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

from s3_server import S3Server

SIZE = 256 * 2**20
TRIES = 3
TOOLS = ("aws", "s3cmd", "rclone")  # the peers; curl is the floor
FILES, FILE_BYTES = 2000, 100_000

# What a program cost: seconds of wall and of CPU, MiB at its peak.
Cost = collections.namedtuple("Cost", "wall cpu peak")

# Files that look like moolloy's solutions and compress like them.
SOLUTIONS = f"""
import random
random.seed(7)
words = [f"{{kind}}${{random.randrange(10**6)}}" for kind in
         ("sig", "atom", "field", "tuple", "type", "label", "ID", "parent") for _ in range(200)]
for number in range({FILES}):
    with open(f"alloy_solutions_{{number}}.xml", "w") as file:
        file.write("<alloy>\\n")
        while file.tell() < {FILE_BYTES}:
            file.write(f'<{{random.choice(words)}} ID="{{random.getrandbits(40)}}" '
                       f'label="{{random.choice(words)}}/{{random.choice(words)}}">'
                       f'{{random.getrandbits(64):x}}</tuple>\\n')
"""


def run(commands, environment, stdin=None):
    """Runs the commands one after the other: what they cost together."""
    start = time.monotonic()
    cpu = peak = 0
    for command in commands:
        process = subprocess.Popen([str(word) for word in command], env=environment, stdin=stdin,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode:
            sys.exit(f"bench: {command}: {output.decode(errors='replace')[-2000:]}")
        cpu += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss / 1024)
    return Cost(time.monotonic() - start, cpu, peak)


class Bench:
    def __init__(self, figure, build):
        self.figure, self.build = figure, build
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="moolloy-bench-"))
        self.server = S3Server(self.directory / "server")
        self.file = self.directory / "object"
        self.back = self.directory / "back"
        self.write_object()
        self.config = self.write_config()
        self.environment = self.make_environment()

    def close(self):
        self.server.stop()
        shutil.rmtree(self.directory)

    # ---- the programs ----

    def write_object(self):
        digest = hashlib.sha256()
        with open(self.file, "wb") as file:
            for _ in range(SIZE // 2**20):
                block = os.urandom(2**20)
                digest.update(block)
                file.write(block)
        self.sha256 = digest.hexdigest()

    def write_config(self):
        server, config = self.server, self.directory / "worker.yaml"
        for name, secret in (("id", server.access_key), ("secret", server.secret_key)):
            path = self.directory / name
            path.touch(0o600)
            path.write_text(secret + "\n")
        config.write_text(f"""
store: {{type: s3, bucket: {server.bucket}, endpoint: "{server.endpoint}", region: {server.region}, path-style: yes}}
aws: {{access-key-file: {self.directory}/id, secret-key-file: {self.directory}/secret}}
state-directory: {self.directory}/state
cache-directory: {self.directory}/cache
runtime-directory: {self.directory}/run
run: {{java: /usr/bin/python3, jvm-options: [-c, "exec(open('../model/make.py').read())"]}}
""")
        return config

    def make_environment(self):
        server = self.server
        return {"PATH": os.environ["PATH"],
                "HOME": str(self.directory),
                "AWS_ACCESS_KEY_ID": server.access_key,
                "AWS_SECRET_ACCESS_KEY": server.secret_key,
                "AWS_DEFAULT_REGION": server.region,
                "RCLONE_CONFIG_BENCH_TYPE": "s3",
                "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
                "RCLONE_CONFIG_BENCH_ENV_AUTH": "true",
                "RCLONE_CONFIG_BENCH_REGION": server.region,
                "RCLONE_CONFIG_BENCH_ENDPOINT": server.endpoint}

    def curl(self, *more):
        server = self.server
        # In the address, for the key holds a colon.
        keys = ":".join(urllib.parse.quote(key, safe="") for key in (server.access_key, server.secret_key))
        return ["curl", "-sSf", "--aws-sigv4", f"aws:amz:{server.region}:s3", *more,
                f"{server.endpoint.replace('://', f'://{keys}@')}/{server.bucket}/curl"]

    def s3cmd(self, *more):
        host = self.server.endpoint.partition("//")[2]
        return ["s3cmd", "-q", "--no-ssl", f"--host={host}", f"--host-bucket={host}",
                f"--region={self.server.region}", f"--access_key={self.server.access_key}",
                f"--secret_key={self.server.secret_key}", *more]

    def aws(self, *more):
        return ["aws", "s3", "cp", "--quiet", "--endpoint-url", self.server.endpoint, *more]

    def ours(self, verb, key, file):
        return [self.build / "moolloy-workerctl", "--config", self.config, "store", verb, key, file]

    def uploads(self, file, sha256):
        """{program: the commands that upload the file}; curl hashes it first, for the signature."""
        bucket = self.server.bucket
        return {"curl": [["openssl", "dgst", "-sha256", file],
                         self.curl("-T", file, "-H", f"x-amz-content-sha256: {sha256}",
                                   "-H", f"x-amz-meta-sha256: {sha256}")],
                "aws": [self.aws(file, f"s3://{bucket}/aws")],
                "s3cmd": [self.s3cmd("put", file, f"s3://{bucket}/s3cmd")],
                "rclone": [["rclone", "copyto", "--s3-no-check-bucket", file, f"bench:{bucket}/rclone"]],
                "ours": [self.ours("put", "ours", file)]}

    def downloads(self):
        """All of the same object, curl's: in parts, as the others left theirs, a server reads one otherwise."""
        bucket, back = self.server.bucket, self.back
        return {"curl": [self.curl("-o", back, "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD")],
                "aws": [self.aws(f"s3://{bucket}/curl", back)],
                "s3cmd": [self.s3cmd("get", "--force", f"s3://{bucket}/curl", back)],
                "rclone": [["rclone", "copyto", f"bench:{bucket}/curl", back]],
                "ours": [self.ours("get", "curl", back)]}

    def delete(self, program):
        self.server.delete(program)

    # ---- measuring ----

    def compare(self, commands, before):
        """{program: its median Cost}; the programs take turns, so that what disturbs one disturbs all."""
        costs = {program: [] for program in commands}
        for _ in range(TRIES):
            for program in commands:
                before(program)
                costs[program].append(run(commands[program], self.environment))
        return {program: Cost(*(statistics.median(column) for column in zip(*tries)))
                for program, tries in costs.items()}

    def tell(self, way, costs):
        ours, curl = costs["ours"], costs["curl"]
        best = min(TOOLS, key=lambda tool: costs[tool].wall)
        leanest = min(TOOLS, key=lambda tool: costs[tool].cpu)
        what = f"{SIZE >> 20} MiB {'up' if way == 'put' else 'down'}"
        floor = "curl, hash computed first" if way == "put" else "curl"
        self.figure(f"s3_{way}_vs_curl", ours.wall / curl.wall, "x",
                    f"{what}, hash and verification included, {ours.wall:.2f} s against {curl.wall:.2f} s of {floor}; "
                    "at most 1.15")
        self.figure(f"s3_{way}_vs_best_tool", ours.wall / costs[best].wall, "x",
                    f"{what}, against {costs[best].wall:.2f} s of {best}, the fastest of {', '.join(TOOLS)}; at most 0.7")
        self.figure(f"s3_{way}_cpu_vs_leanest", ours.cpu / costs[leanest].cpu, "x",
                    f"{what}, {ours.cpu:.2f} s of CPU against {costs[leanest].cpu:.2f} s of {leanest}; at most 0.5")
        return ours.peak

    def peak_of_stream(self):
        """Of an upload whose parts wait in memory, as a result's do; a file's are read as they go."""
        with open(self.file, "rb") as stream:
            return run([self.ours("put", "stream", "-")], self.environment, stream).peak

    def measure_object(self):
        def check(program):
            self.back.unlink(missing_ok=True)
        up = self.compare(self.uploads(self.file, self.sha256), self.delete)
        down = self.compare(self.downloads(), check)
        with open(self.back, "rb") as back:  # not read as a whole: a child's peak begins with ours
            if hashlib.file_digest(back, "sha256").hexdigest() != self.sha256:
                sys.exit("bench: the object came back changed")
        peak = max(self.tell("put", up), self.tell("get", down), self.peak_of_stream())
        self.figure("s3_peak_mib", peak, "MiB",
                    "resident at the peak of any, up from a stream too, with the defaults of store.part-size and store.concurrency; "
                    "at most 64")

    # ---- packaging ----

    def run_job(self, number):
        """A run by hand whose program leaves the files; seconds that its step `package` took, and its directory."""
        job = {"id": str(number), "type": "run", "commit": "0" * 40, "model_id": "1", "algorithm": "GIA", "attempt": 1,
               "jar_key": "jar", "model_key": "model.tar", "jar_sha256": hashlib.sha256(b"jar").hexdigest()}
        done = subprocess.run([self.build / "moolloy-run-worker", "--config", self.config, "run-job"],
                              input=json.dumps(job), capture_output=True, text=True, env=self.environment)
        if done.returncode:
            sys.exit(f"bench: run-job: {done.stderr[-2000:]}")
        return json.loads(done.stdout)["timings"]["package"], pathlib.Path(done.stderr.split()[-1])

    def tar(self, directory, tarball):
        start = time.monotonic()
        with open(tarball, "wb") as file:
            tar = subprocess.Popen(["tar", "-C", directory, "-c", "."], stdout=subprocess.PIPE)
            subprocess.run(["zstd", "-q", "-T2"], stdin=tar.stdout, stdout=file, check=True)
            tar.stdout.close()
            tar.wait()
        return time.monotonic() - start

    def prepare_model(self):
        source, tarball = self.directory / "make.py", self.directory / "model.tar"
        source.write_text(SOLUTIONS)
        (self.directory / "model.als").touch()
        subprocess.run(["tar", "-C", self.directory, "-cf", tarball, "make.py", "model.als"], check=True)
        self.server.put("model.tar", tarball.read_bytes())
        self.server.put("jar", b"jar")

    def measure_package(self):
        self.prepare_model()
        ours, theirs = [], {tool: [] for tool in TOOLS}
        tarball = self.directory / "tarball"
        for number in range(TRIES):
            took, directory = self.run_job(number)
            ours.append(took)
            packed = self.tar(directory / "run", tarball)
            for tool in TOOLS:
                self.delete(tool)
                theirs[tool].append(packed + run(self.uploads(tarball, "")[tool], self.environment).wall)
            shutil.rmtree(directory)
        walls = {tool: statistics.median(times) for tool, times in theirs.items()}
        best = min(walls, key=walls.get)
        took = statistics.median(ours)
        self.figure("package_vs_tar_zstd", took / walls[best], "x",
                    f"{FILES * FILE_BYTES // 10**6} MB in {FILES} files packaged and uploaded, {took:.2f} s against "
                    f"{walls[best]:.2f} s of tar | zstd -T2 to a file, then {best}; at most 0.8")


def measure(figure, build):
    bench = Bench(figure, build)
    try:
        bench.measure_object()
        bench.measure_package()
    finally:
        bench.close()
