"""Clocks on the wall that are set while programs run: no lease ends early, nothing is hidden for
longer, no job is lost."""
import models
import programs
import pytest
from programs import BUILD, wait_for

SHA = "287a688f338d5d8c7b27b8915629893721a1fcac"
HOUR, DAY = 3600, 86400


class Wall:
    """Sets the clock of a program that is started in its environment."""

    def __init__(self, directory):
        self.file = directory / "offset"
        self.environment = {"LD_PRELOAD": str(BUILD / "wall_clock.so"),
                            "MOOLLOY_WALL_OFFSET": str(self.file),
                            "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def set(self, seconds):
        fresh = self.file.with_name("fresh")
        fresh.write_text(str(seconds))
        fresh.rename(self.file)


@pytest.fixture
def board(tmp_path):
    """A dashboard whose clock can be set."""
    with programs.Dashboard(tmp_path / "dashboard") as running:
        running.stop()
        running.wall = Wall(tmp_path)
        running.more_environment = running.wall.environment
        running.start()
        yield running
        assert running.stop() == 0


def test_no_lease_ends_as_the_clock_is_set_forward(board):
    board.push(SHA)
    message = board.receive("build")
    board.wall.set(2 * HOUR)
    assert board.receive("build") is None
    assert board.post("/queue/extend", {"receipt": message["receipt"]}).status == 200
    board.wall.set(4 * HOUR)
    assert board.receive("build") is None
    assert "the clock was set forward by" in board.log_text()


def test_nothing_hides_as_the_clock_is_set_back(board):
    board.wall.set(2 * HOUR)
    board.push(SHA)
    board.wall.set(0)
    message = board.receive("build")
    assert message["attempt"] == 1
    board.wall.set(-2 * HOUR)
    board.post("/queue/release", {"receipt": message["receipt"], "handback": True})
    assert board.receive("build")["attempt"] == 2


def test_a_wait_goes_on_as_the_clock_is_set_back(board):
    """A message that becomes visible in a second does so, whatever the clock says by then."""
    board.push(SHA)
    message = board.receive("build")
    board.post("/queue/release", {"receipt": message["receipt"], "delay_seconds": 1})
    board.wall.set(-DAY)
    assert board.receive("build", wait=20)["attempt"] == 2


def test_a_worker_whose_clock_is_set_during_a_job(new_site, tmp_path):
    site = new_site(workers=[], run={"queue.lease": "3s", "heartbeat-period": "1s",
                                     "run.java": "/bin/sh", "run.jvm-options": ["-c", "sleep 1"]})
    jar = tmp_path / "a.jar"
    jar.write_bytes(b"a jar")
    site.add_built_commit(jar)
    model = site.add_model("m", models.make_model(tmp_path / "m.tar.bz2", models.EMPTY, {}), ci=False)
    wall = Wall(tmp_path)
    worker = site.add_worker("run")
    worker.more_environment = wall.environment
    worker.start()
    for seconds in (2 * DAY, -2 * DAY):
        job = site.request_run(model)
        worker.wait_for_step("execute")
        wall.set(seconds)
        done = site.wait_for_job(id=job)
        assert (done["attempt"], done["correct"]) == (1, 1)
        worker.wait_until(lambda status: "clock" in status.get("why", ""), "a word about its clock")
        wall.set(0)
        worker.wait_until(lambda status: not status.get("why"), "ready again")
    assert wait_for(lambda: worker.status()["counters"]["succeeded"] == 2, "its counters")
