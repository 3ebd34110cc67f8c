"""Starters of the two workers for system tests: each is the real daemon, with a configuration, a
state directory and a log of its own."""
import json
import os
import pathlib
import signal
import socket
import subprocess

from programs import BUILD, DEADLINE, wait_for

# Under LeakSanitizer: what is not ours.
LEAKS = f"suppressions={pathlib.Path(__file__).resolve().parents[1] / 'fixtures/leaks.txt'}:print_suppressions=0"
MARK = "MOOLLOY_TEST"  # in the environment of every worker and runner: whose they are


class Worker:
    """directory: where all of it lies; a short path, for the control socket's sake. url: of the
    dashboard. settings: what differs from the defaults, {"run.timeout": "2s"}."""

    program = None
    own = {}

    def __init__(self, directory, url, settings=(), name=None):
        self.name = name or self.program
        self.directory = pathlib.Path(directory) / self.name
        self.state = self.directory / "state"
        self.config = self.directory / f"{self.program}.yaml"
        self.log_file = self.directory / "log"
        self.process = None
        self.more_environment = {}
        self.settings = {
            "name": self.name,
            "log-level": "debug",
            "dashboard.url": url,
            "state-directory": str(self.state),
            "runtime-directory": str(self.directory),
            "cache-directory": str(self.directory / "cache"),
            "store.path": str(pathlib.Path(directory) / "store"),
            "retry-delay": "0s",
            "disk.free-bytes": "1MiB",
            "disk.free-inodes": "10",
            **self.own, **dict(settings),
        }
        self.directory.mkdir()
        self.configure()

    def configure(self, **changes):
        """Writes the configuration, changed: a_b__c=1 sets a-b.c. A line a setting: JSON is YAML."""
        for name, value in changes.items():
            self.settings[name.replace("__", ".").replace("_", "-")] = value
        lines = [f"{json.dumps(name)}: {json.dumps(value)}\n"
                 for name, value in self.settings.items()]
        self.config.write_text("".join(lines))

    @property
    def command(self):
        return [str(BUILD / f"moolloy-{self.program}"), "--config", str(self.config)]

    @property
    def environment(self):
        return {**os.environ, MARK: str(self.directory.parent), "TMPDIR": str(self.directory),
                "LSAN_OPTIONS": LEAKS, **self.more_environment}

    # ---- life ----

    def start(self):
        """Starts it and waits until the dashboard knows it."""
        self.launch()
        self.wait_until(lambda status: status.get("registered"), "registered")
        return self

    def launch(self):
        self.directory.joinpath(f"{self.program}.json").unlink(missing_ok=True)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)

    def run(self, *arguments, stdin=None):
        """Another process of it, to its end, with the same configuration."""
        return subprocess.run([*self.command, *arguments], input=stdin, env=self.environment,
                              capture_output=True, text=True, timeout=DEADLINE)

    @property
    def pid(self):
        return self.process.pid

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Waits for its end: the exit status."""
        return self.process.wait(DEADLINE)

    def stop(self):
        """SIGTERM, and now if a job runs; it must end well."""
        if not self.alive:
            return
        self.signal(signal.SIGTERM)
        wait_for(lambda: not self.alive or self.status()["state"] == "draining", "draining")
        self.signal(signal.SIGTERM)
        assert self.end() == 0, self.log()

    def kill(self):
        self.process.kill()
        self.end()

    # ---- looking at it ----

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_has(self, text):
        return wait_for(lambda: text in self.log(), f"'{text}' in the log of {self.name}")

    def status(self):
        """The status file; {} before there is one."""
        path = self.directory / f"{self.program}.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def wait_until(self, condition, what, deadline=DEADLINE):
        """Waits until the status is so; dies early if the worker does."""
        def look():
            assert self.alive, f"{self.name} ended with {self.process.returncode}:\n{self.log()}"
            status = self.status()
            return status if condition(status) else None
        return wait_for(look, f"{self.name}: {what}", deadline)

    def wait_for_step(self, step, attempt=None):
        """Waits until its job is in that step; the job."""
        def there(status):
            job = status.get("job", {})
            return job.get("step") == step and attempt in (None, job["attempt"])
        return self.wait_until(there, f"step {step}")["job"]

    def wait_until_idle(self, deadline=DEADLINE):
        return self.wait_until(lambda status: status["state"] == "idle" and not status["outbox"],
                               "idle, and all told", deadline)

    def control(self, verb):
        """Asks the control socket; the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(str(self.directory / f"{self.program}.sock"))
            connection.sendall(json.dumps({"verb": verb}).encode() + b"\n")
            return json.loads(connection.makefile().read())

    def runner(self):
        """The pid of the process that does the job."""
        [pid] = wait_for(lambda: children(self.pid), f"a runner of {self.name}")
        return pid

    def job_directory(self, job, attempt=1):
        return self.state / "jobs" / f"{job}-{attempt}"


class BuildWorker(Worker):
    program = "build-worker"
    own = {"git.protocols": ["file"]}


class RunWorker(Worker):
    program = "run-worker"
    # A machine for short programs: half the time to start.
    own = {"run.jvm-options": ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]}


# ---- processes ----

def children(pid):
    try:
        threads = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads
                for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def look(read, nothing=b""):
    """What can be read of a process; nothing if it is gone, or hides it from us."""
    try:
        return read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return nothing


def living(pids):
    """Those that have not ended, zombies being dead."""
    def state(pid):
        return look(pathlib.Path(f"/proc/{pid}/stat").read_text, "").rpartition(")")[2][1:2]
    return [pid for pid in pids if state(pid) not in ("", "Z", "X")]


def processes(is_one):
    """The pids of the living processes, ours apart, of whom is_one(Path of /proc/PID) is true."""
    entries = pathlib.Path("/proc").glob("[0-9]*")
    return living(int(entry.name) for entry in entries
                  if int(entry.name) != os.getpid() and is_one(entry))


def processes_of(directory):
    """Who was started for that directory: it stands in their environment or their arguments, or
    they are in it."""
    name = os.fsencode(str(directory))
    return processes(lambda entry: any(name in text for text in (
        look(entry.joinpath("cmdline").read_bytes), look(entry.joinpath("environ").read_bytes),
        look(lambda: os.fsencode(os.readlink(entry / "cwd"))))))


def runners_of(directory):
    """Its workers' runners, without what they started: a box may outlive a killed one for a while, and
    is ended by the worker's next life."""
    return [pid for pid in processes_of(directory)
            if b"\0run-job\0" in look(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes)]


def sleepers(seconds):
    """The processes `sleep SECONDS`."""
    wanted = b"sleep\0" + str(seconds).encode() + b"\0"
    return processes(lambda entry: look(entry.joinpath("cmdline").read_bytes) == wanted)
