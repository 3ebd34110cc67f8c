"""Builds whose commands are a cp: what counts is how the repository got there. The real worker, by run-job."""
import contextlib
import functools
import hashlib
import itertools
import json
import shutil
import subprocess
import tempfile

import make_repository

from git_servers import http_server
from programs import BUILD
from workers import LEAKS


@functools.cache
def made():
    """The repositories, made once: the directory, which goes away with this process, and the commit."""
    directory = tempfile.TemporaryDirectory()
    return directory, make_repository.make_repositories(directory.name + "/made")


def copy_repositories(to):
    directory, commit = made()
    shutil.copytree(directory.name + "/made", to, symlinks=True)
    return commit


class Clone:
    """A build whose command is a cp: what counts is how the repository got there."""

    def __init__(self, directory):
        self.directory = directory
        self.temporary = directory
        self.prefix = []
        self.numbers = itertools.count()
        self.repositories = directory / "repositories"
        self.commit = copy_repositories(self.repositories)
        self.cache = directory / "cache"
        self.settings = {"state-directory": directory / "state", "cache-directory": self.cache,
                         "build.commands": ["cp solver/src/moolloy/solver/Objective.java made.jar"],
                         "build.artifact": "made.jar",
                         "git.stall-timeout": "2s"}

    @property
    def repository(self):
        return self.repositories / "moolloy"

    def mirror(self, url):
        """Where the mirror of that address lies: a directory by number."""
        entry = self.cache / "git" / hashlib.sha256(str(url).encode()).hexdigest()
        return max((path for path in entry.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))

    def change(self, files, message="change"):
        """A commit; its hash."""
        return make_repository.commit_change(self.repository, files, message)

    def run(self, *arguments, **settings):
        """The outcome, as run-job prints it."""
        done = self.attempt(*arguments, **settings)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def attempt(self, *arguments, **settings):
        process = self.start(*arguments, **settings)
        output, self.log = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, output, self.log)

    def start(self, url, protocols, commit=None, **settings):
        """run-job, under way. Each time with a store of its own: nothing is built yet."""
        number = next(self.numbers)
        named = {name.replace("__", ".").replace("_", "-"): value for name, value in settings.items()}
        config = {**self.settings, "store.path": self.directory / f"store-{number}", "repository.url": url,
                  "git.protocols": protocols, **named}
        file = self.directory / f"config-{number}.yaml"
        file.write_text(json.dumps({name: value if isinstance(value, list) else str(value)
                                    for name, value in config.items()}))
        job = {"id": "1", "attempt": 1, "type": "build", "commit": commit or self.commit}
        process = subprocess.Popen([*self.prefix, BUILD / "moolloy-build-worker", "--config", file, "run-job"],
                                   text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE,
                                   env={"PATH": "/usr/bin:/bin", "TMPDIR": str(self.temporary),
                                        "LSAN_OPTIONS": LEAKS})
        process.stdin.write(json.dumps(job))
        process.stdin.close()
        process.stdin = None
        return process


def git(repository, *arguments, **more):
    return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True, text=True,
                          **more).stdout.strip()


def failure(outcome):
    assert not outcome["success"]
    return outcome["failure"]["code"], outcome["failure"]["step"]


@contextlib.contextmanager
def serving(clone):
    """The Clone, its repositories served over HTTP: .server, .url."""
    with http_server(clone.repositories) as server:
        clone.server, clone.url = server, f"{server.url}/moolloy"
        yield clone


def build(clone, commit=None, **settings):
    outcome = clone.run(clone.url, ["http"], commit, **settings)
    assert outcome["success"], clone.log
    return clone.log
