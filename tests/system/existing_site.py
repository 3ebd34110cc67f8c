"""A site as bigger teams have it: the existing dashboard, jobs by SQS. Tests ask it for work, and what
became of it, as any Site; what the existing dashboard does not keep is not there."""
import dataclasses
import json
import pathlib
import secrets

from existing_dashboard import ExistingDashboard
from site_of_programs import Site

QUEUES_OF = {"build": ["build"], "run": ["performance", "correctness", "ci"]}


class ExistingSite(Site):
    def __init__(self, sqs, **options):
        """sqs: a SqsServer."""
        self.sqs = sqs
        super().__init__(**options)

    def start_dashboard(self, password):
        self.key_files = {f"aws.{name}-file": str(self.write_secret(f"sqs-{name}", value))
                          for name, value in (("access-key", self.sqs.access_key),
                                              ("secret-key", self.sqs.secret_key))}
        if password:
            self.password_file = self.write_secret("password", password)
        return ExistingDashboard(self.objects, self.sqs, password)

    def queue_settings(self, kind):
        settings = {"queue.type": "sqs", "queue.endpoint": self.sqs.endpoint,
                    "queue.region": self.sqs.region,
                    "queues": [self.dashboard.queues[name] for name in QUEUES_OF[kind]]}
        # One pair of keys is for both: the store's, where it has one.
        return {**self.key_files, **settings, **self.objects.settings}

    def stop(self, check=True):
        try:
            super().stop(check)
        finally:
            if self.dashboard:
                self.dashboard.stop()

    # ---- asking for work ----

    def push(self, *commits):
        self.dashboard.push(*commits)

    def add_model(self, name, archive, ci=True):
        archive = pathlib.Path(archive)
        kind = "".join(archive.suffixes[-2:]).lstrip(".")
        return self.dashboard.add_model(name, archive.read_bytes(), ci, kind)

    def plant_model(self, name, content):
        return self.dashboard.add_model(name, content, False)

    def add_built_commit(self, jar, told=True):
        """told: the jar has its hash beside it, as our workers put it there."""
        commit = secrets.token_hex(20)
        key = f"builds/{commit}.jar"
        self.put(key, jar.read_bytes(), None if told else "")
        self.dashboard.built_by_hand(commit, key)
        self.commit = self.commit or commit
        return commit

    def request_build(self, commit):
        return self.dashboard.request_build(commit)

    def request_run(self, model, commit=None, kind="performance", algorithm=""):
        return self.dashboard.request_run(model, commit or self.commit, kind, algorithm)

    # ---- what became of it ----

    def jobs(self, type=None, **wanted):
        if type:
            wanted["type"] = type
        return [dataclasses.asdict(job) for job in self.dashboard.jobs(**wanted)]

    def job(self, job):
        [found] = self.jobs(id=job)
        return found

    def reported(self, job):
        return json.loads(job["reports"][-1])

    def model(self, model):
        return dataclasses.asdict(self.dashboard.models[model])
