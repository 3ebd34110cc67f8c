"""Programs that are killed at a chosen one of their system calls: see tests/fixtures/kill_points.c."""
import collections
import fcntl
import json
import os

from programs import BUILD

LIBRARY = BUILD / "kill_points.so"
Point = collections.namedtuple("Point", "role number call what")


class Killer:
    """One plan at a time, in a directory."""

    def __init__(self, directory):
        self.plan_file = directory / "plan"
        self.record_file = directory / "points"
        self.serial = 0

    @property
    def environment(self):
        """Of a program that follows the plan there is when it starts."""
        return {"LD_PRELOAD": str(LIBRARY), "MOOLLOY_KILL_PLAN": str(self.plan_file),
                "ASAN_OPTIONS": "verify_asan_link_order=0"}

    @property
    def recording(self):
        """Of a program that records its points."""
        return {**self.environment, "MOOLLOY_KILL_RECORD": str(self.record_file)}

    def plan(self, role, number, whom="self", pattern=""):
        """pattern: only points count whose "CALL WHAT" is so ("send POST *"); "": all do."""
        self.serial += 1
        fresh = self.plan_file.with_name("fresh")
        fresh.write_text(f"{role} {number} {whom} {self.serial} {pattern}\n")
        fresh.rename(self.plan_file)

    def fell(self):
        """Did the blow fall?"""
        return not self.plan_file.exists()

    def give_up(self):
        """Takes the plan back; False if the blow fell already."""
        try:
            self.plan_file.unlink()
        except FileNotFoundError:
            return False
        return True

    def points(self, role):
        """What was recorded of the last process in that role."""
        lines = [line.split(" ", 3) for line in self.record_file.read_text().splitlines()]
        points = [Point(words[0], int(words[1]), words[2], words[3]) for words in lines
                  if words[0] == role]
        last = max(index for index, point in enumerate(points) if point.number == 1)
        return points[last:]


def steps(points):
    """A runner's points by step: {"": before the first, "clone": [the one that tells it, ...]}."""
    found = {"": []}
    for point in points:
        if point.call == "tell":
            step = json.loads(point.what)["step"]
            found.setdefault(step, [])
        found[list(found)[-1]].append(point)
    return found


# ---- what must be true in the end ----

def check_worker(worker):
    """Nothing waits, nothing is parked, and only attempts that failed have left a directory."""
    worker.wait_until_idle()
    assert not os.listdir(worker.state / "claims")
    assert not os.listdir(worker.state / "outbox")
    assert not os.listdir(worker.state / "parked")
    for directory in (worker.state / "jobs").iterdir():
        outcome = directory / "outcome.json"
        assert not outcome.exists() or not json.loads(outcome.read_text())["success"], directory


def check_locks(site):
    """Whoever wants a lock gets it, once the workers are stopped."""
    for path in site.path.rglob("lock"):
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
