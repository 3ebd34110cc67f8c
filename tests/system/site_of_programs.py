"""A whole site in one temporary directory: dashboard, store, sample repository, both workers. The store
may lie in a bucket instead; see existing_site.py for one with the existing dashboard and SQS."""
import hashlib
import io
import itertools
import json
import pathlib
import secrets
import shutil
import subprocess
import tarfile
import tempfile

import make_repository
from programs import Dashboard, wait_for
from stores import DirectoryStore, S3Store
from workers import BuildWorker, RunWorker, processes_of

JOB_DEADLINE = 60  # seconds that a job of the tests may take on a busy machine
WORKERS = {"build": BuildWorker, "run": RunWorker}
DECOMPRESSORS = {".zst": "zstd", ".bz2": "bzip2", ".gz": "gzip", ".xz": "xz"}


class Site:
    """build, run: settings of the two workers; workers: which of them to start. password: what the
    dashboard asks for. s3: a S3Server, where the store lies then. Each test that changes something for
    good has a site of its own."""

    def __init__(self, build=(), run=(), workers=("build", "run"), password=None, s3=None):
        # A short path: those of sockets may have 107 bytes.
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="moolloy-"))
        self.store = self.path / "store"  # of a directory store
        self.objects = self.open_store(s3)
        self.repositories = self.path / "repositories"
        self.repository = self.repositories / "moolloy"
        self.settings = {"build": dict(build), "run": dict(run)}
        self.commit = None  # the one that runs are asked for if nothing else is said
        self.password_file = None
        self.workers = []
        self.numbers = itertools.count(1)
        self.dashboard = None
        try:
            self.dashboard = self.start_dashboard(password)
            self.start_workers(workers)
        except BaseException:
            self.stop(check=False)
            raise

    def open_store(self, s3):
        if s3 is None:
            return DirectoryStore(self.store)
        keys = [self.write_secret("access-key", s3.access_key),
                self.write_secret("secret-key", s3.secret_key)]
        return S3Store(s3, f"sites/{self.path.name}", keys)

    def start_dashboard(self, password):
        config = self.path / "dashboard.yaml"
        lines = [f"{name}: {json.dumps(value)}\n" for name, value in self.objects.settings.items()]
        if password:
            self.password_file = self.write_secret("password", password)
            hook = self.write_secret("hook", "hook")
            lines += [f"username: tester\npassword-file: {self.password_file}\n"
                      f"hook-secret-file: {hook}\n"]
        config.write_text("".join(lines))
        return Dashboard(self.path / "dashboard", ["--config", config],
                         "tester" if password else None, password)

    def write_secret(self, name, secret):
        path = self.path / name
        path.touch(0o600)
        path.write_text(secret + "\n")
        return path

    def start_workers(self, names, start=True):
        if "build" in names:
            self.commit = make_repository.make_repositories(self.repositories)
            self.build_worker = self.add_worker("build")
        if "run" in names:
            self.run_worker = self.add_worker("run")
        for worker in self.workers if start else []:
            worker.start()

    def add_worker(self, kind, name=None, **settings):
        """A worker that is not started yet."""
        more = {**self.objects.settings, **self.queue_settings(kind)}
        if kind == "build":
            more["repository.url"] = str(self.repository)
        if self.password_file:
            more.update({"dashboard.username": "tester",
                         "dashboard.password-file": str(self.password_file)})
        worker = WORKERS[kind](self.path, self.dashboard.url,
                               {**more, **self.settings[kind], **settings}, name)
        self.workers.append(worker)
        return worker

    def queue_settings(self, kind):
        return {}

    def stop(self, check=True):
        """Ends everything. check: all must end well, and no process may be left."""
        try:
            if check:
                for worker in self.workers:
                    worker.stop()
                assert self.dashboard.stop() == 0, self.dashboard.log_text()
                wait_for(lambda: not processes_of(self.path), "no process left")
                for log in self.logs().values():
                    assert "Sanitizer" not in log, log
                assert not self.objects.incomplete_uploads()
        finally:
            for program in [*self.workers, self.dashboard]:
                if program and program.process and program.process.poll() is None:
                    program.kill()
            shutil.rmtree(self.path)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop(check=kind is None)

    def logs(self):
        """{name of a program: its log}"""
        return {"dashboard": self.dashboard.log_text(),
                **{worker.name: worker.log() for worker in self.workers}}

    # ---- asking for work ----

    def push(self, *commits):
        """GitHub's hook: these commits came."""
        answer = self.dashboard.push(*commits)
        assert answer.status == 200, answer

    def post_form(self, to, **fields):
        """What a person's browser sends; the page that it is led to."""
        parts = []
        for name, value in fields.items():
            filename = f'; filename="{value.name}"' if isinstance(value, pathlib.Path) else ""
            content = value.read_bytes() if filename else str(value).encode()
            parts.append(f'--edge\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'
                         .encode() + content + b"\r\n")
        answer = self.dashboard.post(to, b"".join(parts) + b"--edge--\r\n",
                                     {"Content-Type": "multipart/form-data; boundary=edge"})
        assert answer.status == 303, answer
        return answer.headers["Location"]

    def add_model(self, name, archive, ci=True):
        """A model with that archive, a file; its id."""
        page = self.post_form("/models", path=name, file=pathlib.Path(archive), ci=int(ci))
        return int(page.rpartition("/")[2])

    def plant_model(self, name, content):
        """As add_model(), past the dashboard's own look at what is uploaded."""
        model = self.dashboard.add_model(name, None, False)
        key = f"models/{hashlib.sha256(content).hexdigest()}.tar.bz2"
        self.put(key, content)
        self.dashboard.sql("UPDATE models SET key = ? WHERE id = ?", key, model)
        return model

    def put(self, key, content, sha256=None):
        """An object into the store, as a worker puts it there. sha256: another than the true one,
        or "" for none."""
        self.objects.put(key, content, sha256)

    def add_built_commit(self, jar, told=True):
        """A commit that was built into that jar, without a build worker. told: the build's report
        has the hash, as ours has and the existing worker's has not."""
        commit = secrets.token_hex(20)
        key, content = f"builds/{commit}.jar", jar.read_bytes()
        self.put(key, content)
        self.push(commit)
        message = self.dashboard.receive("build")
        job = self.jobs(sha=commit)[0]["id"]
        report = {"secret_key": message["message_id"], "return_code": 0, "result_s3_key": key}
        if told:
            report["jar_sha256"] = hashlib.sha256(content).hexdigest()
        assert self.dashboard.post(f"/jobs/{job}/finish", report).status == 200
        self.commit = self.commit or commit
        return commit

    def request_build(self, commit):
        """As a person asks for it; the job's id."""
        self.post_form(f"/commits/{commit}/build")
        return self.jobs(type="build")[0]["id"]

    def request_run(self, model, commit=None, kind="performance", algorithm=""):
        """As a person asks for it; the job's id."""
        self.post_form(f"/models/{model}/run", commit=commit or self.commit, test_type=kind,
                       algorithm=algorithm)
        return self.jobs(type="run", model_id=model)[0]["id"]

    # ---- what became of it ----

    def ask(self, path):
        answer = self.dashboard.get(f"/api/{path}")
        assert answer.status == 200, answer
        return answer.json

    def jobs(self, type=None, **wanted):
        """The jobs with these values, newest first."""
        jobs = [job for kind in ([type] if type else ["run", "build"])
                for job in self.ask(f"{kind}s?limit=1000")]
        jobs = [job for job in jobs if all(job[name] == value for name, value in wanted.items())]
        return sorted(jobs, key=lambda job: -job["id"])

    def job(self, job):
        return self.ask(f"jobs/{job}")

    def model(self, model):
        return self.ask(f"models/{model}")

    def wait_for_job(self, id=None, deadline=JOB_DEADLINE, **wanted):
        """Waits until that job, or the newest with these values, is finished."""
        def finished():
            jobs = [self.job(id)] if id else self.jobs(**wanted)
            return self.job(jobs[0]["id"]) if jobs and jobs[0]["finished_at"] else None
        return wait_for(finished, f"job {id or wanted} finished", deadline)

    def wait_for_build(self, commit):
        return self.wait_for_job(sha=commit, type="build")

    def build(self, commit):
        """Pushes the commit; its finished build."""
        self.push(commit)
        return self.wait_for_build(commit)

    def run(self, model, **request):
        """Asks for a run of the model; the job when it is finished."""
        return self.wait_for_job(id=self.request_run(model, **request))

    def reported(self, job):
        """What the worker said of it at its end: what goes beyond the existing dashboard's fields too."""
        return job

    def object(self, key):
        content = self.objects.get(key)
        assert content is not None, f"there is no {key}"
        return content

    def results(self, job):
        """The files of the result tarball: {path: bytes, None for a folder}."""
        return self.unpack(job["result_s3_key"])

    def unpack(self, key):
        content = subprocess.run([DECOMPRESSORS[pathlib.Path(key).suffix], "-dc"], check=True,
                                 input=self.object(key), capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return {member.name.removeprefix("./").rstrip("/"):
                    tar.extractfile(member).read() if member.isfile() else None for member in tar}

    def comparison(self, job):
        return json.loads(self.results(job)["comparison.json"])
