"""A small torture; `make torture` has the long ones (torture.py)."""
import os

from crowd import Crowd

SEED = int(os.environ.get("TORTURE_SEED", 1))
DEADLINE = 90  # seconds


def test_twenty_workers_and_five_hundred_jobs(new_site, tmp_path):
    """With random kills of workers, runners and the dashboard."""
    crowd = Crowd(new_site(workers=[]), 20, tmp_path)
    crowd.request(500)
    crowd.start()
    kills = crowd.kill_some(SEED, 150)
    assert kills >= 50
    crowd.check(DEADLINE)
