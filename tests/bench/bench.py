#!/usr/bin/env python3
"""make bench: a line a figure, `name value unit  what it is measured against`, and build/bench.json.

Everything is the real thing on loopback; only what is being measured against is replaced: the build commands by one
`cp`, moolloy's java by a program that exits at once.
"""

import datetime
import json
import os
import pathlib
import signal
import statistics
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "system"), str(TOP / "tests" / "fixtures")]

import bench_git  # noqa: E402
import bench_s3  # noqa: E402
import make_repository  # noqa: E402
import models  # noqa: E402
from site_of_programs import Site  # noqa: E402

TRIES = 20
HANDBACKS = 9
IDLE_SECONDS = 60
TICK = 1 / os.sysconf("SC_CLK_TCK")

figures = {}


def figure(name, value, unit, against):
    figures[name] = round(value, 4)
    print(f"{name} {value:.4g} {unit}  {against}", flush=True)


def wait(condition, seconds=20, every=0.001):
    """The first true value of condition(); dies loudly after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(every)
    sys.exit(f"bench: gave up waiting after {seconds} s")


def cpu_seconds(pid):
    """User and system time of a process and of all its children that ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(ticks) for ticks in fields[11:15]) * TICK


def schedstat(pid):
    """Nanoseconds on a processor: of a process that is not asked, so that asking costs it nothing."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def moment(text):
    """Seconds since 1970 of a time of /api, which has milliseconds."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def measure_pickup(site):
    """From the hook's answer to the build worker's first step. Returns a commit that is built."""
    times = []
    for number in range(TRIES):
        commit = make_repository.commit_change(site.repository, {"try": str(number)}, f"try {number}")
        site.push(commit)
        accepted = time.monotonic()
        wait(lambda: site.build_worker.status().get("job", {}).get("commit") == commit
             and site.build_worker.status()["job"].get("step"))
        times.append((time.monotonic() - accepted) * 1000)
        site.wait_for_build(commit)
    times.sort()
    figure("pickup_ms_median", statistics.median(times), "ms",
           f"hook accepted to first step, {TRIES} tries; at most 50")
    figure("pickup_ms_p95", times[int(TRIES * 0.95) - 1], "ms", f"the same, {TRIES} tries; at most 100")
    return commit


def measure_run_job(site, commit):
    """A run job whose java exits at once: what the worker itself costs."""
    model = site.add_model("bench", models.make_model(site.path / "bench.tar.bz2", models.EMPTY, {}), ci=False)
    walls = []
    before = cpu_seconds(site.run_worker.pid)
    for _ in range(TRIES):
        id = site.request_run(model, commit)
        wait(lambda: site.job(id)["finished_at"], every=0.01)
        job = site.job(id)
        walls.append(moment(job["finished_at"]) - moment(job["requested_at"]))
    wait(lambda: site.run_worker.status()["state"] == "idle")
    spent = cpu_seconds(site.run_worker.pid) - before
    figure("run_job_own_cpu_s", spent / TRIES, "s",
           f"manager, runner and box of a trivial run job, mean of {TRIES}; at most 0.05")
    figure("run_job_own_wall_s", statistics.median(walls), "s",
           f"requested to accepted report, median of {TRIES}; at most 0.1")


def measure_idle(site):
    """Memory after all those jobs, CPU while nothing happens."""
    workers = (site.build_worker, site.run_worker)
    memory = [worker.control("memory") for worker in workers]
    figure("idle_pss_mib", max(m["pss"] for m in memory) / 2**20, "MiB",
           f"the larger of the two workers after {TRIES} jobs each; at most 9")
    figure("idle_private_mib", max(m["private"] for m in memory) / 2**20, "MiB", "the same; at most 4")
    before = [schedstat(worker.pid) for worker in workers]
    time.sleep(IDLE_SECONDS)
    after = [schedstat(worker.pid) for worker in workers]
    spent = max(b - a for a, b in zip(before, after)) / 1e9
    figure("idle_cpu_percent", 100 * spent / IDLE_SECONDS, "%",
           f"of one core over {IDLE_SECONDS} s, from schedstat, the larger of the two; at most 0.02")


def has_job(worker, step=None):
    job = worker.status().get("job", {})
    return job and (not step or job.get("step") == step)


def measure_handback():
    """A job in the middle of its execute step goes from the worker that is told to stop to the other, and back."""
    endless = {"run.java": "/bin/sh", "run.jvm-options": ["-c", "exec sleep 3600"], "drain-timeout": "0s"}
    with Site(workers=["run"], run=endless) as site:
        jar = site.path / "a.jar"
        jar.write_bytes(b"a jar")
        site.add_built_commit(jar)
        archive = models.make_model(site.path / "endless.tar.bz2", models.EMPTY, {})
        working, idle = site.run_worker, site.add_worker("run", "other")
        job = site.request_run(site.add_model("endless", archive, ci=False))
        times, ends = [], []
        for _ in range(HANDBACKS):
            wait(lambda: has_job(working, "execute"))
            idle.start()
            began = time.monotonic()
            working.signal(signal.SIGTERM)
            wait(lambda: has_job(idle))
            times.append((time.monotonic() - began) * 1000)
            working.end()
            ends.append((time.monotonic() - began) * 1000)
            working, idle = idle, working
        working.signal(signal.SIGUSR2)
        site.wait_for_job(id=job)
        working.wait_until_idle()
    figure("handback_ms", statistics.median(times), "ms",
           f"SIGTERM in execute until another idle worker has the job, median of {HANDBACKS}; at most 1000")
    figure("handback_exit_ms", max(ends), "ms",
           f"SIGTERM in execute with drain-timeout 0 until it ended, slowest of {HANDBACKS}; at most 5000")


def main():
    build = {"build.commands": ["cp build.xml bench.jar"], "build.artifact": "bench.jar"}
    with Site(build=build, run={"run.java": "/bin/true"}) as site:
        commit = measure_pickup(site)
        measure_run_job(site, commit)
        measure_idle(site)
    measure_handback()
    place = pathlib.Path(os.environ.get("MOOLLOY_BUILD", TOP / "build"))
    bench_git.measure(figure, place)
    bench_s3.measure(figure, place)
    path = place / "bench.json"
    path.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
