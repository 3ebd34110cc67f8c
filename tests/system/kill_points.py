"""Programs that are killed at a chosen one of their system calls: see tests/fixtures/kill_points.c."""
import collections
import json

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

    def plan(self, role, number, whom="self"):
        self.serial += 1
        fresh = self.plan_file.with_name("fresh")
        fresh.write_text(f"{role} {number} {whom} {self.serial}\n")
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
