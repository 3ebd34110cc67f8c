"""What comes from outside hurts nobody: archives, repositories, messages, and what builds and jars do."""
import os
import re

import pytest

import conftest
import hostile
import models
from make_repository import FIRST_COMMIT_TIME, commit_change, git

PASSWORD = "correct-horse-battery-staple"
TOKEN = "a-token-for-the-repository"
KEY = "wJalrXUtnFEMI-K7MDENG-bPxRfiCY"  # for the store and the queue
SECRETS = [PASSWORD, TOKEN, KEY]


def snapshot(directory):
    """All that is there, with everything about it that a write would change."""
    return {path: (path.lstat().st_mode, path.lstat().st_mtime_ns, path.lstat().st_nlink,
                   path.read_bytes() if path.is_file() else None)
            for path in sorted(directory.rglob("*"))}


@pytest.fixture
def victim():
    """A file outside that must stay as it is, as must all that is beside it."""
    def make(site):
        file = site.path / "outside" / "victim"
        file.parent.mkdir(exist_ok=True)
        file.write_text("untouched\n")
        return file
    return make


# ---- hostile archives ----

@pytest.fixture(scope="module")
def runs(jar):
    site = conftest.make_site(workers=["run"], run={"model.max-bytes": "64MiB"})
    site.add_built_commit(jar)
    yield site
    conftest.end_site(site, check=True)


@pytest.mark.parametrize("name", hostile.HOSTILE)
def test_hostile_archive(runs, victim, name):
    file = victim(runs)
    before = snapshot(file.parent)
    job = runs.run(runs.plant_model(name, hostile.HOSTILE[name](file)))
    missing = name in ("no_model", "model_in_folder", "model_is_folder")
    assert job["failure"] == ("no-model-file" if missing else "bad-archive"), job["error_message"]
    assert (job["step"], job["result_s3_key"], job["attempt"]) == ("extract", None, 1)
    assert job["model_key"] in job["error_message"]
    assert snapshot(file.parent) == before
    assert sorted(path.name for path in runs.path.iterdir()) == [
        "dashboard", "dashboard.log", "dashboard.yaml", "outside", "run-worker", "store"]
    left = list((runs.run_worker.job_directory(job["id"]) / "model").rglob("*"))
    assert all(path.is_dir() or path.is_file() and not path.is_symlink() for path in left)
    assert sum(path.lstat().st_size for path in left) <= 64 << 20
    assert len(left) <= 10000 + 1  # and a folder that no entry is for


# ---- hostile repositories ----

@pytest.mark.parametrize("url", [
    "ext::sh -c touch% {}", "--upload-pack=touch {}", "ssh://-oProxyCommand=touch%20{}/x",
    "http://127.0.0.1:1/x"])
def test_hostile_submodule_address(new_site, victim, url):
    site = new_site(workers=["build"], build={"git.protocols": ["file", "ssh"],
                                              "build.commands": ["true"]})
    file = victim(site)
    file.unlink()
    (site.repository / ".gitmodules").write_text(
        f'[submodule "a"]\n\tpath = a\n\turl = "{url.format(file)}"\n')
    git(site.repository, "update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},a")
    git(site.repository, "add", ".gitmodules")
    git(site.repository, "commit", "--quiet", "-m", "Add a submodule", time=FIRST_COMMIT_TIME + 900)
    job = site.build(git(site.repository, "rev-parse", "HEAD"))
    assert job["step"] == "submodules" and job["failure"] in ("submodule", "bad-repository")
    assert not file.exists()


@pytest.mark.parametrize("path", ["a", "a/b"])
def test_a_tree_that_leads_outside(new_site, victim, path):
    """A link to a folder outside, and a submodule in its place or by way of it."""
    site = new_site(workers=["build"], build={"build.commands": ["true"]})
    file = victim(site)
    before = snapshot(file.parent)
    (site.repository / "a").symlink_to(file.parent)
    commit_change(site.repository, {}, "Add a link")
    (site.repository / ".gitmodules").write_text(
        f'[submodule "{path}"]\n\tpath = {path}\n\turl = ../moolloy-solver\n')
    git(site.repository, "add", ".gitmodules")
    git(site.repository, "commit", "--quiet", "-m", "Lead outside", time=FIRST_COMMIT_TIME + 900)
    site.build(git(site.repository, "rev-parse", "HEAD"))
    assert snapshot(file.parent) == before


# ---- messages ----

def test_fields_that_are_none(new_site, jar, victim, archive):
    """Keys that lead elsewhere, an algorithm that is no word: each is reported, none is used."""
    site = new_site(workers=[])
    site.add_built_commit(jar)
    file = victim(site)
    model = site.add_model("model", archive(), ci=False)
    bad = {}
    for column, value in [("jar_key", "../outside/victim"), ("jar_key", str(file)), ("jar_key", "a b"),
                          ("model_key", "models/../../outside/victim"), ("model_key", "x;touch y"),
                          ("algorithm", "GIA --evil"), ("jar_sha256", "abc")]:
        job = site.request_run(model, algorithm="GIA")
        site.dashboard.sql(f"UPDATE jobs SET {column} = ? WHERE id = ?", value, job)
        bad[job] = value
    worker = site.add_worker("run").start()
    for job in bad:
        done = site.wait_for_job(id=job)
        assert done["failure"] in ("bad-message", "rejected") and done["attempt"] == 1, bad[job]
        assert (done["return_code"], done["result_s3_key"]) == (255, None)
    assert worker.wait_until_idle()["counters"]["succeeded"] == 0


# ---- what runs in the box ----

SPY = "; ".join([
    "echo ENV", "env", "echo FDS", "ls /proc/self/fd | sort -n", "echo PROCESSES", "ls -d /proc/[0-9]*",
    "echo ARGUMENTS", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' ' '", "echo; echo FILES",
    "cat {password} {token} {key} {credentials}/* {config} {status}", "ls -a {state} {store} {path} /root /home /var /run",
    "echo WRITES", "echo x > {victim}", "echo x > /usr/x", "echo x > /etc/x", "echo x > {path}/x",
    "rm -rf {store}", "echo; echo NETWORK", "timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' && "
    "echo reached", "echo END"])
NAMES = {"PATH", "HOME", "TMPDIR", "LANG", "PWD", "OLDPWD", "SHLVL", "_", "JAVA_HOME", "PASSED"}


@pytest.fixture
def credentials(tmp_path, monkeypatch):
    """Keys wherever the worker looks for them; the directory of systemd's."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                 "AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    file = tmp_path / "aws-credentials"
    file.touch(0o600)
    file.write_text(f"[default]\naws_access_key_id = AKIA1\naws_secret_access_key = {KEY}\n")
    return tmp_path


@pytest.fixture
def spied(new_site, victim, jar, monkeypatch, credentials):
    """Makes a site with secrets, whose builds and runs look around: what they saw, and the site."""
    monkeypatch.setenv("MOOLLOY_SECRET_IN_THE_ENVIRONMENT", PASSWORD)
    monkeypatch.setenv("PASSED", "by wish")

    def make(kind, network):
        site = new_site(workers=[], password=PASSWORD)
        site.victim = victim(site)
        token = site.write_secret("token", TOKEN)
        key = site.write_secret("key", KEY)
        site.start_workers([kind], start=False)
        worker = site.workers[0]
        spy = SPY.format(
            password=site.password_file, token=token, key=key, credentials=credentials,
            config=worker.config, state=worker.state,
            status=worker.directory / f"{worker.program}.json", store=site.store, path=site.path,
            victim=site.victim, port=site.dashboard.port)
        worker.configure(**{f"{kind}__network": network, f"{kind}__environment": ["PASSED", "A=B"]},
                         aws__access_key_file=str(key), aws__secret_key_file=str(key))
        if kind == "build":
            worker.configure(git__token_file=str(token), build__commands=["bash spy.sh"])
            commit = commit_change(site.repository, {"spy.sh": spy + "; exit 3\n"}, "Look around")
            worker.start()
            job = site.build(commit)
            assert (job["failure"], job["return_code"]) == ("command", 3)
            return site, job, job["error_details"]
        worker.configure(run__java="/usr/bin/bash", run__jvm_options=["-c", spy])
        worker.start()
        site.add_built_commit(jar)
        model = site.add_model("model", models.make_model(site.path / "m.tar.bz2", models.EMPTY, {}))
        job = site.run(model)
        results = site.results(job)
        return site, job, (results["run/stdout.out"] + results["run/stderr.out"]).decode()
    return make


def section(text, name):
    return re.search(rf"^{name}\n(.*?)^[A-Z]+$", text, re.M | re.S)[1].split("\n")[:-1]


@pytest.mark.parametrize("kind, network", [("build", "yes"), ("build", "no"), ("run", "no")])
def test_the_box(spied, kind, network):
    site, job, seen = spied(kind, network)
    environment = dict(line.split("=", 1) for line in section(seen, "ENV"))
    assert environment.pop("A") == "B" and environment["PASSED"] == "by wish"
    assert set(environment) <= NAMES
    assert section(seen, "FDS") == ["0", "1", "2", "3"]  # 3 is the directory that ls reads
    assert len(section(seen, "PROCESSES")) < 6
    assert "moolloy-dashboard" not in seen and "--sealed-config" not in seen
    assert "dashboard.yaml" not in "".join(section(seen, "FILES"))
    assert ("reached" in section(seen, "NETWORK")) == (network == "yes")
    assert site.victim.read_text() == "untouched\n"
    assert site.store.exists() and not (site.path / "x").exists()
    for secret in (*SECRETS, site.dashboard.job(job["id"])["secret"]):
        assert secret not in seen


@pytest.mark.parametrize("kind", ["build", "run"])
def test_secrets_go_nowhere(spied, kind):
    """Not into logs, reports, job directories, results, status files or the database."""
    site, job, seen = spied(kind, "no")
    site.workers[0].wait_until_idle()
    message = site.dashboard.job(job["id"])["secret"].encode()
    files = [path for path in site.path.rglob("*")
             if path.is_file() and path.name not in ("password", "token", "key")]
    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in SECRETS if secret.encode() in content], path
        # The message's secret is the dashboard's own, and the worker's until it has reported.
        assert message not in content or path.name.startswith("dashboard.db"), path
    for content in site.results(job).values() if kind == "run" else []:
        assert content is None or not [secret for secret in SECRETS if secret.encode() in content]
    shown = site.workers[0].run("show-config").stdout
    assert not [secret for secret in SECRETS if secret in shown]


def test_the_memory_of_a_program_is_its_own(new_site, busy):
    """Not even its own user may look into it, or into the runner (root may)."""
    site = new_site(workers=["run"])
    busy(site)
    for pid in (site.run_worker.pid, site.run_worker.runner(), site.dashboard.process.pid):
        if os.getuid() == 0:
            assert os.stat(f"/proc/{pid}/environ").st_uid == 0
        else:
            with pytest.raises(PermissionError):
                open(f"/proc/{pid}/environ", "rb").read()
