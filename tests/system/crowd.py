"""Many workers on one dashboard, whose programs are killed all the time."""
import contextlib
import os
import random
import signal
import time

import models
from programs import wait_for
from workers import children

# What only a worker and its dashboard knew as one of them was killed comes back after this.
LEASE = {"queue.lease": "3s"}
TRIVIAL = {"run.java": "/bin/true", "run.jvm-options": []}


class Finishes:
    """Counts how often the dashboard takes a job for finished, over its restarts."""

    def __init__(self, dashboard):
        self.dashboard = dashboard
        dashboard.sql("CREATE TABLE finishes (job INTEGER, attempt INTEGER)")
        dashboard.sql("CREATE TRIGGER finish AFTER UPDATE OF finished_at ON jobs BEGIN"
                      " INSERT INTO finishes VALUES (NEW.id, NEW.finished_attempt); END")

    def check(self):
        """Each job once."""
        jobs = [row["id"] for row in self.dashboard.sql("SELECT id FROM jobs ORDER BY id")]
        finished = [row["job"] for row in self.dashboard.sql("SELECT job FROM finishes ORDER BY job")]
        assert finished == jobs


class Crowd:
    """Run workers on a site without any, and one model whose runs do nothing."""

    def __init__(self, site, count, directory, **settings):
        self.site = site
        jar = directory / "a.jar"
        jar.write_bytes(b"a jar")
        site.settings["run"].update({**TRIVIAL, **LEASE, "max-attempts": 100, **settings})
        self.finishes = Finishes(site.dashboard)
        site.add_built_commit(jar)
        archive = models.make_model(directory / "model.tar.bz2", models.EMPTY, {})
        self.model = site.add_model("trivial", archive, ci=False)
        self.workers = [site.add_worker("run", f"run-{number}") for number in range(count)]

    def start(self):
        for worker in self.workers:
            worker.launch()

    def request(self, count):
        for _ in range(count):
            self.site.post_form(f"/models/{self.model}/run", commit=self.site.commit,
                                test_type="performance", algorithm="")

    def unfinished(self):
        [row] = self.site.dashboard.sql("SELECT count(*) AS n FROM jobs WHERE finished_at IS NULL")
        return row["n"]

    def kill_some(self, seed, kills):
        """Managers, runners, and now and then the dashboard, as long as there is work; how many."""
        rng = random.Random(seed)
        for number in range(kills):
            if not self.unfinished():
                return number
            worker = rng.choice(self.workers)
            what = rng.choices(["manager", "runner", "dashboard"], [6, 3, 1])[0]
            if what == "dashboard":
                self.site.dashboard.kill()
                self.site.dashboard.start()
            elif what == "manager":
                worker.kill()
                worker.launch()
            else:
                for pid in children(worker.pid):
                    with contextlib.suppress(ProcessLookupError):  # it ended by itself
                        os.kill(pid, signal.SIGKILL)
            time.sleep(rng.uniform(0, 0.05))
        return kills

    def check(self, deadline):
        """All is done, once, and told; and nothing is left."""
        wait_for(lambda: not self.unfinished(), "all jobs finished", deadline)
        self.finishes.check()
        [bad] = self.site.dashboard.sql("SELECT count(*) AS n FROM jobs WHERE return_code != 0")
        assert bad["n"] == 0
        for worker in self.workers:
            worker.wait_until_idle()
            for name in ("claims", "outbox", "parked"):
                left = [name for name in os.listdir(worker.state / name) if name[0] != "."]
                assert not left, (worker.name, left)
