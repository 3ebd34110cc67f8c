#!/usr/bin/env python3
"""Figures of clones: a repository of 150 MB with 5,000 files and a submodule of 100 MB, over smart HTTP on loopback,
against git doing the same in the same run. By itself: prints them."""

import base64
import collections
import http.server
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BACKEND = "/usr/lib/git-core/git-http-backend"
FILES, FOLDERS, FILE_BYTES = 5000, 500, 6000
HISTORY = 160 * 2**20  # bytes packed, at least
SUBMODULE_FILES, SUBMODULE_BYTES = 200, 110 * 2**20
CHANGED = 20  # files in each new commit
TRIES = 7
COLD_NAMES = ("first", "ours")
COLD_TRIES = len(COLD_NAMES)
ROOM = 4 << 30

# What a program cost: seconds of wall and of CPU, MiB at its peak.
Cost = collections.namedtuple("Cost", "wall cpu peak output")


# ---- the repositories ----

def content(seed, length):
    """Text that packs to three quarters of its length."""
    return base64.encodebytes(seed.randbytes(length * 3 // 4))


def path_of(number):
    return f"folder{number % FOLDERS}/source{number}.txt"


def blob(path, data):
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)


def commit_of(number, changes):
    head = f"commit refs/heads/main\ncommitter B <b@example.org> {1764000000 + number} +0000\n"
    return head.encode() + b"data 6\nchange\n" + b"".join(changes)


def import_commits(repository, commits):
    """Makes the repository of a stream of fast-import."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repository], check=True)
    importer = subprocess.Popen(["git", "-C", repository, "fast-import", "--quiet", "--depth=0"],
                                stdin=subprocess.PIPE)
    for commit in commits:
        importer.stdin.write(commit)
    importer.stdin.close()
    assert importer.wait() == 0


def history(seed, submodule):
    """All files, then commits that change some, until there is enough of it."""
    link = f"M 160000 {submodule} library\n".encode()
    modules = b'[submodule "library"]\n\tpath = library\n\turl = ../library\n'
    yield commit_of(0, [blob(path_of(n), content(seed, FILE_BYTES)) for n in range(FILES)]
                    + [blob(".gitmodules", modules), link])
    written, number = FILES * FILE_BYTES * 3 // 4, 1
    while written < HISTORY:
        changed = seed.sample(range(FILES), 100)
        yield commit_of(number, [blob(path_of(n), content(seed, FILE_BYTES)) for n in changed])
        written += 100 * FILE_BYTES * 3 // 4
        number += 1


def library(seed):
    size = SUBMODULE_BYTES // SUBMODULE_FILES * 4 // 3 // 4
    for number in range(4):
        yield commit_of(number, [blob(f"data{n}", content(seed, size)) for n in range(SUBMODULE_FILES)])


def git(repository, *arguments, **more):
    return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True, **more).stdout


# ---- the server ----

class Handler(http.server.BaseHTTPRequestHandler):
    """git-http-backend(1), streamed; the server counts requests and the bytes of bodies."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.serve(b"")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.serve(b"".join(self.chunks()))
        else:
            self.serve(self.rfile.read(int(self.headers["Content-Length"])))

    def chunks(self):
        while length := int(self.rfile.readline(), 16):
            yield self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()

    def serve(self, body):
        self.server.requests += 1
        path, _, query = self.path.partition("?")
        environment = {"GIT_PROJECT_ROOT": str(self.server.root), "GIT_HTTP_EXPORT_ALL": "1",
                       "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": query,
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                       "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "PATH": os.environ["PATH"]}
        with subprocess.Popen([BACKEND], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as backend:
            backend.stdin.write(body)
            backend.stdin.close()
            self.send_response(200)
            while line := backend.stdout.readline().strip():
                name, value = line.decode().split(": ", 1)
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while block := backend.stdout.read1(1 << 18):
                self.server.sent += len(block)
                self.wfile.write(block)


class Server(http.server.ThreadingHTTPServer):
    requests = sent = 0

    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), Handler)
        self.root = root
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


# ---- the figures ----

def run(command, stdin=None, **environment):
    start = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True,
                               env={"PATH": os.environ["PATH"], "HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
                                    "GIT_TERMINAL_PROMPT": "0", **environment})
    process.stdin.write(stdin or "")
    process.stdin.close()
    errors = []
    reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
    reader.start()
    output = process.stdout.read()
    reader.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    process.stderr.close()
    if process.returncode:
        sys.exit(f"bench: {command}: {errors[0]}{output}")
    return Cost(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


def memory():
    """Where a file costs no disk, if there is room: what is measured is not the disk."""
    place = "/dev/shm"
    return place if os.path.isdir(place) and shutil.disk_usage(place).free > ROOM else None


def best(costs):
    """The least of each."""
    return Cost(*(min(values) for values in zip(*costs)))


class Bench:
    def __init__(self, figure, build):
        self.figure, self.build = figure, build
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="moolloy-bench-", dir=memory()))
        self.seed = random.Random(4)
        self.number = 0
        self.root = self.directory / "served"
        # By another process: what a child has at its peak counts from the size of who started it.
        subprocess.run([sys.executable, __file__, "make", self.root], check=True)
        self.server = Server(self.root)
        self.url = f"{self.server.url}/main"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.directory)

    # ---- commits, and ways to get them ----

    def new_commit(self):
        """One more, of CHANGED files: its hash, and the bytes of its thin pack."""
        old = git(self.root / "main", "rev-parse", "main").decode().strip()
        self.number += 1
        changed = self.seed.sample(range(FILES), CHANGED)
        stream = commit_of(10**6 + self.number, [b"from refs/heads/main^0\n"] + [
            blob(path_of(n), content(self.seed, FILE_BYTES)) for n in changed])
        git(self.root / "main", "fast-import", "--quiet", "--depth=0", input=stream)
        new = git(self.root / "main", "rev-parse", "main").decode().strip()
        pack = git(self.root / "main", "pack-objects", "--revs", "--thin", "--stdout", "-q",
                   input=f"{new}\n^{old}\n".encode())
        return new, len(pack)

    def place(self):
        self.number += 1
        return self.directory / f"place{self.number}"

    def ours(self, commit, name="ours"):
        """run-job, whose build is one cp. What it cost, and the seconds of its steps."""
        config = self.directory / f"{name}.yaml"
        config.write_text(json.dumps({
            "repository.url": self.url, "git.protocols": ["http"], "build.commands": ["cp .gitmodules made.jar"],
            "build.artifact": "made.jar", "store.path": str(self.place()),
            "state-directory": str(self.directory / name / "state"),
            "cache-directory": str(self.directory / name / "cache"), "disk.free-bytes": "1MiB"}))
        job = json.dumps({"id": "1", "attempt": 1, "type": "build", "commit": commit})
        cost = run([self.build / "moolloy-build-worker", "--config", config, "run-job"], job,
                   TMPDIR=str(self.directory))  # where it leaves the job's directory
        return cost, json.loads(cost.output)["timings"]

    def fresh_clone(self):
        place = self.place()
        cost = run(["git", "clone", "-q", "--recurse-submodules", self.url, place])
        shutil.rmtree(place)
        return cost

    def reference_clone(self, mirrors):
        place = self.place()
        cost = run(["git", "clone", "-q", "--reference", mirrors / "main", self.url, place])
        more = run(["git", "-C", place, "submodule", "-q", "update", "--init", "--reference", mirrors / "library"])
        shutil.rmtree(place)
        return cost.wall + more.wall

    def worktree(self, mirror, commit):
        place = self.place()
        cost = run(["git", "-C", mirror, "worktree", "add", "--detach", place, commit])
        run(["git", "-C", mirror, "worktree", "remove", "--force", place])
        return cost.wall

    # ---- measuring ----

    def measure(self):
        head = git(self.root / "main", "rev-parse", "main").decode().strip()
        git_cold = best(self.fresh_clone() for _ in range(COLD_TRIES))
        # Each with a cache and a state of its own; the last of them is used from then on.
        cold = best(self.ours(head, name)[0] for name in COLD_NAMES)
        self.figure("git_cold_wall_vs_git", cold.wall / git_cold.wall, "x",
                    f"first job against git clone --recurse-submodules ({git_cold.wall:.1f} s), best of {COLD_TRIES} each; "
                    "at most 1.5")
        self.figure("git_cold_cpu_vs_git", cold.cpu / git_cold.cpu, "x", "the same, CPU; at most 1.1")
        self.figure("git_cold_peak_mib", cold.peak, "MiB", f"the same; git {git_cold.peak:.0f}")
        self.measure_delta(git_cold.wall)
        self.measure_known()

    def measure_delta(self, fresh_wall):
        """Each try is one new commit, which all get in turn."""
        mirrors = self.directory / "mirrors"
        for name in ("main", "library"):
            run(["git", "clone", "-q", "--mirror", f"{self.server.url}/{name}", mirrors / name])
        ours, trees, reference, worktree, wire, fetched = [], [], [], [], [], []
        for _ in range(TRIES):
            commit, pack = self.new_commit()
            reference.append(self.reference_clone(mirrors))
            before = self.server.sent
            run(["git", "-C", mirrors / "main", "fetch", "-q"])
            fetched.append(self.server.sent - before)
            worktree.append(self.worktree(mirrors / "main", commit))
            advertised = len(git(self.root / "main", "upload-pack", "--advertise-refs", "--stateless-rpc", "."))
            before = self.server.sent
            _, steps = self.ours(commit)
            ours.append(steps["clone"] + steps["checkout"] + steps["submodules"])
            trees.append(steps["checkout"])
            wire.append((self.server.sent - before) / (pack + advertised))
            fetched[-1] = (self.server.sent - before) / fetched[-1]
        median = statistics.median
        self.figure("git_delta_vs_fresh_clone", median(ours) / fresh_wall, "x",
                    f"one new commit ({median(ours):.2f} s) against a fresh clone; at most {1 / 15:.3f}")
        self.figure("git_delta_vs_reference", median(ours) / median(reference), "x",
                    f"the same against git clone --reference ({median(reference):.2f} s); below 1")
        self.figure("git_tree_vs_worktree", median(trees) / median(worktree), "x",
                    f"step checkout ({median(trees):.2f} s) against git worktree add; at most 0.6")
        # What the protocol adds, some 650 bytes here: the list's heading (34), in each of two requests an answer to each
        # of four offered commits (224) and an end (63, 49), and 5 bytes before every 8 KiB of the pack. One offer alone
        # would save 336 of them, but cost a pack of 20 commits where history was replaced; a request without any answer
        # gets no thin pack, and of the pack without those 5 bytes no server tells that it still works on it.
        self.figure("git_delta_wire_over_pack_bytes", median(wire), "x",
                    "bytes received against thin pack and list of references; at most 1")
        self.figure("git_delta_wire_vs_git_fetch", median(fetched), "x", "the same against git fetch into a mirror")

    def measure_known(self):
        commit = git(self.root / "main", "rev-parse", "main~2").decode().strip()
        before = self.server.requests
        cost, _ = self.ours(commit)
        self.figure("git_known_commit_connections", self.server.requests - before, "", "a commit that is mirrored; 0")
        self.figure("git_tree_peak_mib", cost.peak, "MiB", "the same job; at most 64")


def measure(figure, build):
    bench = Bench(figure, build)
    try:
        bench.measure()
    finally:
        bench.close()


def make(root):
    seed = random.Random(3)
    import_commits(root / "library", library(seed))
    pinned = git(root / "library", "rev-parse", "main").decode().strip()
    import_commits(root / "main", history(seed, pinned))


def main():
    if sys.argv[1:2] == ["make"]:
        make(pathlib.Path(sys.argv[2]))
        return
    top = pathlib.Path(__file__).resolve().parents[2]
    measure(lambda name, value, unit, against: print(f"{name} {value:.4g} {unit}  {against}", flush=True),
            pathlib.Path(os.environ.get("MOOLLOY_BUILD", top / "build")))


if __name__ == "__main__":
    main()
