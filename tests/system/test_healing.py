"""Mirrors and templates that are damaged, killed in the making, in use, or used no more: jobs succeed, and say so."""
import fcntl
import hashlib
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import make_repository
import pytest

from git_clone import Clone, build, failure, git, serving
from programs import wait_for

MOUNT = ["unshare", *([] if os.getuid() == 0 else ["-r"]), "-m", "sh", "-c"]
DAMAGED = "is damaged: it is set aside and cloned anew"
DAY = 24 * 3600


@pytest.fixture
def served(tmp_path):
    with serving(Clone(tmp_path)) as clone:
        yield clone


def forget_templates(clone):
    """So that all files are read from the mirror."""
    shutil.rmtree(clone.directory / "state" / "template", ignore_errors=True)


# ---- damage ----

def packs(mirror, kind="pack"):
    """The largest first."""
    return sorted(mirror.glob(f"objects/pack/*.{kind}"), key=lambda path: -path.stat().st_size)


def overwrite(path, content):
    path.chmod(0o644)
    path.write_bytes(content)


def truncate_pack(mirror):
    overwrite(packs(mirror)[0], packs(mirror)[0].read_bytes()[:-100])


def empty_pack(mirror):
    overwrite(packs(mirror)[0], b"")


def lose_pack(mirror):
    packs(mirror)[0].unlink()


def lose_index(mirror):
    packs(mirror, "idx")[0].unlink()


def garble_index(mirror):
    overwrite(packs(mirror, "idx")[0], bytes(packs(mirror, "idx")[0].stat().st_size))


def lose_pack_and_index(mirror):
    lose_index(mirror)
    lose_pack(mirror)


def flip_bits(mirror):
    """In every object, for the pack's middle is theirs."""
    content = bytearray(packs(mirror)[0].read_bytes())
    for position in range(12, len(content) - 20, 16):
        content[position] ^= 0x55
    overwrite(packs(mirror)[0], content)


def lose_an_object(mirror):
    """A file's content: all else is there."""
    lost = git(mirror, "rev-parse", "refs/heads/main:build.xml")
    keep = [line.split()[0] for line in git(mirror, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
            if lost not in line]
    for path in packs(mirror) + packs(mirror, "idx"):
        path.rename(mirror / path.name)
    for path in list(mirror.glob("pack-*.pack")):
        subprocess.run(["git", "-C", mirror, "unpack-objects", "-q"], stdin=path.open(), check=True)
    git(mirror, "pack-objects", "-q", "objects/pack/pack", input="\n".join(keep))
    for path in mirror.glob("objects/??"):
        shutil.rmtree(path)


def lose_references(mirror):
    (mirror / "packed-refs").unlink()


def empty_it(mirror):
    for path in mirror.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def be_a_file(mirror):
    shutil.rmtree(mirror)
    mirror.write_text("")


def belong_to_somebody_else(mirror):
    os.chown(mirror, 65534, 65534)


DAMAGE = [truncate_pack, empty_pack, lose_pack, lose_index, garble_index, lose_pack_and_index, flip_bits, lose_an_object,
          lose_references, empty_it, be_a_file]
if os.getuid() == 0:
    DAMAGE.append(belong_to_somebody_else)


@pytest.mark.parametrize("new", [False, True], ids=["known", "new"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_mirror(served, damage, new):
    """Whether the job needs something new, or only what was there."""
    build(served)
    damage(served.mirror(served.url))
    forget_templates(served)
    log = build(served, served.change({"new": "x"}) if new else None)
    # A fetch writes all references: that they were lost is not even seen.
    assert log.count(DAMAGED) == (0 if damage is lose_references and new else 1), log
    forget_templates(served)
    assert DAMAGED not in build(served)
    assert len([path for path in served.mirror(served.url).parent.iterdir() if path.name.isdigit()]) <= 2


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become others")
def test_workers_of_different_users(served):
    """That share a cache both may write: neither uses what the other made, nor is in the other's way."""
    for directory in [*served.directory.parents, served.cache, served.cache / "git"]:
        if directory.is_relative_to(tempfile.gettempdir()) and directory != pathlib.Path(tempfile.gettempdir()):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o777 if directory.is_relative_to(served.cache) else 0o755)
    served.directory.chmod(0o777)
    for user in [65533, 65534] * 2:
        served.prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        served.settings["state-directory"] = served.directory / f"state-{user}"
        build(served)
    assert len(os.listdir(served.cache / "git")) == 4  # two repositories, and two of the other's


def test_what_is_healed_is_counted(new_site):
    site = new_site(workers=["build"], build={"build.commands": ["true"]})
    worker = site.build_worker
    site.build(site.commit)
    assert worker.status()["healed"] == 0
    for mirror in (worker.directory / "cache").glob("git/*/1"):
        empty_it(mirror)
    site.build(make_repository.commit_change(site.repository, {"new": "x"}, "new"))
    assert worker.wait_until_idle()["healed"] == 2, worker.log()


def test_a_repository_that_is_damaged_itself(served):
    """Cloning it anew does not help: once is enough."""
    commit = served.change({"new": "x"})
    blob = git(served.repository, "rev-parse", f"{commit}:new")
    (served.repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    outcome = served.run(served.url, ["http"], commit)
    assert not outcome["success"] and outcome["failure"]["step"] in ("clone", "checkout"), served.log
    assert served.log.count(DAMAGED) <= 1


# ---- the template ----

def garble_template(clone, name, content):
    """One that git takes for clean: the index carries the garbled file's stat data."""
    [template] = [path for path in (clone.directory / "state" / "template").iterdir() if (path / name).exists()]
    (template / name).write_bytes(content)
    about = (template / name).stat()
    index = bytearray((template / ".git" / "index").read_bytes()[:-20])
    end = index.index(name.encode() + b"\0")
    struct.pack_into(">10I", index, end - 62, int(about.st_ctime), about.st_ctime_ns % 10**9, int(about.st_mtime),
                     about.st_mtime_ns % 10**9, about.st_dev & 0xffffffff, about.st_ino & 0xffffffff, about.st_mode,
                     about.st_uid, about.st_gid, about.st_size)
    (template / ".git" / "index").write_bytes(index + hashlib.sha1(index).digest())
    return template


def test_a_template_that_is_not_what_it_should_be(served):
    """All its files are hashed once a day."""
    build(served)
    template = garble_template(served, "build.xml", b"garbled\n")
    old = time.time() - 2 * DAY
    os.utime(template / ".git" / "moolloy-verified", (old, old))
    log = build(served, build__commands=["cp build.xml made.jar"])
    assert "is discarded and made anew: build.xml does not hash to what it should" in log
    assert (template / "build.xml").read_bytes() == (served.repository / "build.xml").read_bytes()
    assert "discarded" not in build(served)


@pytest.mark.parametrize("leave", ["moolloy-under-way", "index.lock"])
def test_a_template_whose_job_was_killed(served, leave):
    build(served)
    [template] = [path for path in (served.directory / "state" / "template").iterdir() if (path / "build.xml").exists()]
    (template / "build.xml").write_text("half")
    (template / "more").write_text("half")
    (template / ".git" / leave).touch()
    commit = served.change({"other": "x"})
    build(served, commit, build__commands=["cp build.xml made.jar"])
    assert (template / "build.xml").read_bytes() == (served.repository / "build.xml").read_bytes()
    assert not (template / "more").exists()


def test_a_history_that_was_rewritten(served):
    """The template's commit is in the old mirror only: a template anew, not a mirror anew."""
    build(served)
    shutil.rmtree(served.cache)
    git(served.repository, "commit", "-q", "--amend", "--date=now", "-m", "another history",
        env={**os.environ, "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@x"})
    log = build(served, git(served.repository, "rev-parse", "HEAD"))
    assert DAMAGED not in log


# ---- killed, at the wrong moment ----

def test_kill_in_the_middle_of_a_fetch(served):
    """At 20 points of a pack, the first ten of a new mirror; then the job succeeds, and no litter stays."""
    seed = random.Random(5)
    commit = served.commit
    for point in range(20):
        if point == 10:
            build(served, commit)
        commit = served.change({"big": seed.randbytes(200000)}, f"change {point}")
        served.server.hold_at((point % 10 + 0.5) / 10)
        job = served.start(served.url, ["http"], commit)
        assert served.server.reached.wait(20)
        entry = served.cache / "git" / hashlib.sha256(served.url.encode()).hexdigest()
        wait_for(lambda: list(entry.glob("*/objects/pack/pack_git2_*")), "a pack in the making")
        job.kill()
        job.communicate()
        served.server.go_on()
    assert DAMAGED not in build(served, commit)
    assert not list(entry.glob("*/objects/pack/pack_git2_*")) and not (entry / "new").exists()
    assert git(served.mirror(served.url), "fsck", "--full") == ""


# ---- waiting, and being stopped ----

@pytest.fixture
def locked(served):
    """Somebody else fetches, and does not come to an end."""
    build(served)
    with (served.mirror(served.url).parent / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield served


def test_a_known_commit_waits_for_nobody(locked):
    build(locked)


def test_a_job_that_waits_can_be_cancelled(locked):
    job = locked.start(locked.url, ["http"], locked.change({"new": "x"}))
    assert any("waiting" in line for line in job.stderr)
    job.send_signal(signal.SIGTERM)
    output, log = job.communicate(timeout=20)
    assert '"cancelled"' in output, log


@pytest.mark.parametrize("new", [False, True], ids=["known", "new"])
def test_a_job_that_fetches_can_be_cancelled(served, new):
    """Though the server holds the pack back, and would for ever."""
    if not new:
        build(served)
    served.server.hold_at(0.5)
    job = served.start(served.url, ["http"], served.change({"new": random.Random(3).randbytes(99999)}),
                       git__stall_timeout="1h")
    assert served.server.reached.wait(20)
    job.send_signal(signal.SIGTERM)
    output, log = job.communicate(timeout=20)
    assert '"cancelled"' in output, log
    served.server.go_on()
    assert DAMAGED not in build(served, git(served.repository, "rev-parse", "HEAD"))


@pytest.mark.parametrize("where", ["lock", "fetch"])
def test_a_job_has_its_time(served, where):
    build(served)
    commit = served.change({"big": random.Random(1).randbytes(300000)})
    with (served.mirror(served.url).parent / "lock").open() as lock:
        if where == "lock":
            fcntl.flock(lock, fcntl.LOCK_EX)
        else:
            served.server.hold_at(0.5)
        outcome = served.run(served.url, ["http"], commit, git__timeout="1s", git__stall_timeout="1h")
    assert failure(outcome) == ("timeout", "clone")
    assert "git.timeout" in outcome["failure"]["message"]


# ---- a full disk ----

@pytest.mark.parametrize("stop", ["0", "16MiB"])
def test_a_full_disk_of_the_cache(served, tmp_path, stop):
    """The fetch fails for it, and for nothing else, or is stopped before it is full; with room it goes on."""
    served.cache.mkdir()
    commit = served.change({"big": random.Random(2).randbytes(9 << 20)})
    full = tmp_path / "full"
    full.mkdir()
    served.prefix = [*MOUNT, f'mount -t tmpfs -o size=10m tmpfs {full} && exec "$@"', "sh"]
    outcome = served.run(served.url, ["http"], commit, cache_directory=full, disk__stop_bytes=stop)
    assert failure(outcome) == ("disk-full", "clone"), outcome["failure"]
    assert ("disk.stop-bytes" in outcome["failure"]["message"]) == (stop != "0")
    served.prefix = [*MOUNT, f'mount -t tmpfs -o size=40m tmpfs {full} && exec "$@"', "sh"]
    outcome = served.run(served.url, ["http"], commit, cache_directory=full, disk__stop_bytes=stop)
    assert outcome["success"], served.log


# ---- many packs ----

def split_packs(mirror):
    """One for each object."""
    names = [line.split()[0] for line in git(mirror, "cat-file", "--batch-all-objects", "--batch-check").splitlines()]
    old = packs(mirror) + packs(mirror, "idx")
    for name in names:
        git(mirror, "pack-objects", "-q", "objects/pack/pack", input=name)
    for path in old:
        path.unlink()
    return len(names)


def test_many_packs_become_few(served):
    """While one job still uses the old ones, which go when it is done."""
    for number in range(15):
        served.change({"file": str(number)})
    build(served, git(served.repository, "rev-parse", "HEAD"))
    old = served.mirror(served.url)
    number = split_packs(old)
    using = os.open(old, os.O_RDONLY)
    fcntl.flock(using, fcntl.LOCK_SH)
    assert number > 50 and len(packs(old)) == number
    log = build(served, served.change({"file": "new"}))
    assert f"the mirror's {number + 1} packs were made few" in log
    new = served.mirror(served.url)
    assert new != old and len(packs(new)) < 12 and len(packs(old)) == number + 1
    assert git(new, "fsck", "--full") == "" and git(new, "log", "--format=%h", "main") == git(
        served.repository, "log", "--format=%h", "main")
    os.close(using)
    forget_templates(served)
    assert DAMAGED not in build(served, served.change({"file": "newer"}))
    assert served.mirror(served.url) == new and not old.exists()


# ---- age ----

def age(path):
    old = time.time() - 40 * DAY
    os.utime(path, (old, old), follow_symlinks=False)


def test_what_is_used_no_more_goes_away(served):
    build(served)
    other = served.mirror(f"{served.server.url}/moolloy-solver")
    gone = served.cache / "git" / ("a" * 64)
    shutil.copytree(other.parent, gone)
    age(gone / "lock")
    template = served.directory / "state" / "template" / ("a" * 64)
    shutil.copytree(served.directory / "state" / "template" / other.parent.name, template)
    age(template / ".git" / "objects" / "info" / "alternates")
    log = build(served)
    assert f"removed the mirror of {served.server.url}/moolloy-solver (mirror-max-age, " in log
    assert not gone.exists() and not template.exists()
    assert other.exists() and other.parent.name in os.listdir(template.parent)


@pytest.mark.parametrize("limit", ["age", "bytes"])
def test_what_is_in_use_stays(served, limit):
    build(served)
    mirror = served.mirror(served.url)
    served.settings |= {"mirror-max-bytes": "1KiB"} if limit == "bytes" else {}
    if limit == "age":
        age(mirror.parent / "lock")
    other = f"{served.server.url}/moolloy-solver", ["http"], git(served.repositories / "moolloy-solver", "rev-parse", "HEAD")
    using = os.open(mirror, os.O_RDONLY)
    fcntl.flock(using, fcntl.LOCK_SH)
    served.attempt(*other)
    assert mirror.exists() and "removed" not in served.log
    os.close(using)
    served.attempt(*other)
    assert not mirror.parent.exists() and "removed the mirror" in served.log
    assert served.mirror(other[0]).exists()
