"""make demo: the whole workflow on this machine, with the real programs. A push becomes a jar, the jar
a checked result; each step is shown as it goes by, with its time."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fixtures"))
import make_repository
import models
from programs import wait_for
from site_of_programs import JOB_DEADLINE, Site

STEP = re.compile(r"job (\d+)\.\d+ (\S+): (?:done in|failed after) ([\d.]+ \w+)")
BOLD, RED, GREEN, PLAIN = ("\33[1m", "\33[31m", "\33[32m", "\33[m") if sys.stdout.isatty() else [""] * 4


class JobFailed(Exception):
    pass


class Demo:
    def __init__(self):
        self.began = time.monotonic()
        self.site = None

    def say(self, text):
        print(f"{time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def run(self):
        """The story, from the start of the programs to the second run's verdict."""
        print(f"{BOLD}moolloy-workers on one machine: a push becomes a jar, the jar a checked "
              f"result{PLAIN}\n")
        # Moolloy's own options, not those by which tests save time.
        self.site = Site(run={"run.jvm-options": models.JVM_OPTIONS})
        self.show_site()
        model = self.add_model()
        self.push()
        build = self.follow(self.newest("build"), "the jar goes into the store, under its commit")
        self.follow(self.newest("run"), "asked for by the build; its solutions become the model's")
        self.site.run_worker.wait_until_idle()  # and the dashboard has the populated model
        run = self.follow(self.site.request_run(model),
                          "asked for by hand; its solutions are compared with the model's")
        self.show_results(build, run)

    def show_site(self):
        site = self.site
        self.say(f"dashboard at {site.dashboard.url}; all of it lies in {site.path}")
        self.say(f"build worker (pid {site.build_worker.pid}) and run worker "
                 f"(pid {site.run_worker.pid}) are registered")
        self.say("sample repository with a submodule: " + str(site.repository))

    def add_model(self):
        archive = models.make_model(self.site.path / "backpack.tar.bz2")
        self.say("model 'backpack' is added, to be run after each good build; it has no solutions yet")
        return self.site.add_model("backpack", archive)

    def push(self):
        log = make_repository.git(self.site.repository, "log", "-1", "--format=%H%n%cI%n%s")
        commit = dict(zip(("id", "timestamp", "message"), log.split("\n")))
        answer = self.site.dashboard.post(
            "/repo/post_commit/hook", {"ref": "refs/heads/main", "commits": [commit]},
            {"X-GitHub-Event": "push"})
        if answer.status != 200:
            raise JobFailed(f"the dashboard refused the push: {answer}")
        self.say(f"push: GitHub's hook tells the dashboard of commit {commit['id'][:7]}")

    def newest(self, kind):
        return wait_for(lambda: self.site.jobs(type=kind), f"a {kind} job")[0]["id"]

    def follow(self, job, what):
        """Shows the job's steps as its worker logs them; the job when it is finished."""
        kind = self.site.job(job)["type"]
        worker = self.site.build_worker if kind == "build" else self.site.run_worker
        shown = set()
        print(f"\n{BOLD}  {kind} {job}: {what}{PLAIN}")

        def look():
            finished = self.site.job(job)["finished_at"]
            for number, step, took in STEP.findall(worker.log()):
                if number == str(job) and step not in shown:
                    shown.add(step)
                    self.say(f"  {step:12} {took:>8}")
            return finished

        wait_for(look, f"the end of {kind} {job}", JOB_DEADLINE)
        return self.check(self.site.job(job))

    def check(self, job):
        if job["good"]:
            return job
        raise JobFailed(f"{job['type']} {job['id']} failed in step {job['step']}: "
                        f"{job['error_message']}\n{job['error_details'] or ''}")

    def show_results(self, build, run):
        site, key = self.site, build["result_s3_key"]
        jar = site.store / key
        counted = subprocess.run(["sha256sum", jar], check=True, capture_output=True, text=True)
        if counted.stdout.split()[0] != build["jar_sha256"]:
            raise JobFailed(f"sha256sum {jar} says {counted.stdout}, not {build['jar_sha256']}")
        solutions = len(site.comparison(run)["matched"])
        print(f"\n{BOLD}results{PLAIN}\n"
              f"  jar        {key}\n"
              f"  SHA-256    {build['jar_sha256']}\n"
              f"             (sha256sum of the file in the store says the same)\n"
              f"  run        {GREEN}correct{PLAIN}, {solutions} of {solutions} solutions, "
              f"{run['real_time_seconds']:.2f} s wall, {run['cpu_time_seconds']:.2f} s CPU, "
              f"{run['max_rss_bytes'] >> 20} MiB\n"
              f"  tarball    {site.store / run['result_s3_key']}\n"
              f"  dashboard  {site.dashboard.url}/\n")

    def end(self, good):
        """Stops and removes everything, or says how that is done."""
        site = self.site
        if site and good and os.environ.get("DEMO_KEEP", "0") not in ("", "0"):
            pids = [site.dashboard.process.pid, site.build_worker.pid, site.run_worker.pid]
            print("All of it goes on running. To look at it, open the dashboard, or read the logs:\n"
                  f"  tail -f {site.path}/*.log {site.path}/*/log\nTo end it:\n"
                  f"  kill {' '.join(map(str, pids))}; sleep 2; rm -r {site.path}")
        elif site:
            site.stop(check=False)
            print("All of it was stopped and removed. To look around in it: DEMO_KEEP=1 make demo")


def main():
    demo = Demo()
    good = False
    try:
        demo.run()
        good = True
    except (JobFailed, AssertionError, OSError, RuntimeError) as failure:
        print(f"\n{RED}{failure}{PLAIN}\n")
    except KeyboardInterrupt:
        print("\ninterrupted\n")
    finally:
        demo.end(good)
    return 0 if good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
