"""Mirrors and templates: what a clone costs, what a damaged one costs, what the tree of a job is."""

import random
import re
import signal

import make_repository
import pytest

from git_clone import Clone, build, git, serving
from git_servers import http_server
from programs import wait_for

@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


@pytest.fixture
def served(clone):
    with serving(clone):
        yield clone


def asked(clone):
    """The paths that were asked for since the last time."""
    paths = [path for path, _ in clone.server.seen]
    clone.server.seen.clear()
    return paths


# ---- what it costs ----

def test_only_what_is_new_is_fetched(served):
    build(served)
    assert asked(served)
    second = served.change({"new": "x"})
    log = build(served, second)
    assert "/moolloy: 3 objects" in log  # commit, tree and file
    assert [path for path in asked(served) if "solver" in path] == []


def test_a_commit_that_is_there_needs_no_connection(served):
    build(served)
    asked(served)
    log = build(served)
    assert asked(served) == []
    assert log.count("the mirror has it already") == 2
    assert len(list(served.cache.glob("git/*/1/objects/pack/*.pack"))) == 2


def test_branches_that_are_gone_or_in_the_way(served):
    git(served.repository, "branch", "a")
    build(served)
    git(served.repository, "branch", "-D", "a")
    git(served.repository, "branch", "a/b")
    build(served, served.change({"new": "x"}))
    references = (served.mirror(served.url) / "packed-refs").read_text()
    assert "refs/heads/a/b\n" in references and "refs/heads/a\n" not in references


def test_many_jobs_at_once_fetch_once(served):
    """20 workers, each with a state directory of its own, that share the cache."""
    build(served)
    commit = served.change({"new": "x"})
    asked(served)
    jobs = [served.start(served.url, ["http"], commit, state_directory=served.directory / f"state-{n}")
            for n in range(20)]
    for job in jobs:
        output, log = job.communicate(timeout=60)
        assert job.returncode == 0, log
    fetched = [path for path in asked(served) if path.endswith("git-upload-pack")]
    assert len([path for path in fetched if "info/refs" not in path]) == 1


# ---- the tree ----

LOOK = """#!/bin/sh -e
test "$(git rev-parse HEAD)" = {commit}
test -z "$(git symbolic-ref -q HEAD)"
git status --porcelain | grep -v '^?? seen$' && exit 1
git describe --tags --always >seen
git log --format=%s >>seen
git branch -r >>seen
rm .git/index
git add -A . ':!seen'
echo $(git write-tree) >>seen
for mirror in $(cat .git/objects/info/alternates); do
    test -d "$mirror"
    touch "$mirror/x" "$mirror/../packed-refs" 2>/dev/null && exit 1
    rm -rf "$mirror" 2>/dev/null && exit 1
done
ls -A {state} >>seen 2>/dev/null || true
"""


def test_the_tree_is_a_real_repository(served, tmp_path):
    """Whose mirror its commands cannot write, and whose template they cannot see."""
    look = tmp_path / "look"
    look.mkdir()
    git(served.repository, "tag", "v1")
    served.change({"run me": "x", "folder/deep/file": "1", "folder/other": "2"}, "second")
    (served.repository / "run me").chmod(0o755)
    (served.repository / "link").symlink_to("folder/other")
    served.change({}, "third")
    commit = served.change({"look.sh": LOOK.format(commit="$1", state=tmp_path / "state")}, "look")
    for _ in range(2):  # the second time from the template
        build(served, commit, build__commands=[f"sh look.sh {commit}"], build__artifact="seen")
        [jar] = (tmp_path / f"store-{next(served.numbers) - 1}").glob("**/*.jar")
        seen = jar.read_text().splitlines()
        assert seen[0].startswith("v1-3-g") and seen[1:4] == ["look", "third", "second"]
        assert "  origin/main" in seen
        assert seen[-1] == git(served.repository, "rev-parse", f"{commit}^{{tree}}")


# The files as they are, hashed without the index that came with them.
CHECK = """rm .git/index; git add -A . ':!made.jar'
git rev-parse HEAD^{tree} >made.jar; test $(git write-tree) = $(cat made.jar)
"""


@pytest.mark.parametrize("first, second", [
    ({"a": "1", "b": "1"}, {"a": "2", "c": "1"}),
    ({"a": "file"}, {"a/b": "below a directory"}),
    ({"a/b/c": "1", "a/c": "1"}, {"a/b": "1", "b": ""}),
])
def test_the_next_tree(served, first, second):
    """From the template of another commit: exactly the files of this one, back and forth."""
    one = served.change({**first, "check.sh": CHECK})
    git(served.repository, "rm", "-q", *first)
    two = served.change(second)
    for commit in (one, two, one, two):
        build(served, commit, build__commands=["sh check.sh"])


# ---- what is told ----

def test_progress_names_the_repository(new_site):
    """Objects and bytes of each, in the worker's status and at the dashboard."""
    site = new_site(workers=[])
    with http_server(site.repository.parent) as server:
        site.start_workers(["build"], start=False)
        worker = site.workers[0]
        worker.configure(repository__url=f"{server.url}/moolloy", git__protocols=["http"],
                         build__commands=["true"], heartbeat_period="1s")
        worker.start()
        server.hold_at(0.9)
        commit = make_repository.commit_change(site.repository, {
            f"file{n}": random.Random(n).randbytes(2000) for n in range(200)}, "many")
        site.push(commit)
        job = worker.wait_until(lambda status: status.get("job", {}).get("progress"), "progress")["job"]
        assert job["step"] == "clone" and job["progress"]["done"] > 100
        assert re.fullmatch(r"objects, [0-9.]+ KiB of moolloy", job["progress"]["unit"])
        [told] = wait_for(lambda: [row for row in site.dashboard.sql("SELECT * FROM workers")
                                   if row["progress_unit"]], "progress at the dashboard")
        assert "of moolloy" in told["progress_unit"]
        worker.signal(signal.SIGUSR2)
        assert site.wait_for_build(commit)["failure"] == "cancelled"
