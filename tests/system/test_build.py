"""Builds: a commit becomes a jar in the store, or its failure says why not."""
import hashlib
import secrets

import pytest

import conftest
import make_repository
import models
from make_repository import commit_change, git

ONE_CALL = {"build.commands": ["ant deps configure dist"]}  # one Java machine instead of three


@pytest.fixture(scope="module")
def site():
    """A dashboard and a build worker, for tests that leave them as they are."""
    site = conftest.make_site(workers=["build"], build=ONE_CALL)
    yield site
    conftest.end_site(site, check=True)


@pytest.fixture
def quick_site(new_site):
    """A site whose builds are that command, its artifact that file."""
    def make(command, artifact="out.jar", **more):
        return new_site(workers=["build"], build={"build.commands": [command],
                                                  "build.artifact": artifact, **more})
    return make


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def built(site, job, content=None):
    """It was built, and its report says what is in the store; the jar."""
    key = f"builds/{job['sha']}.jar"
    assert (job["return_code"], job["failure"], job["result_s3_key"]) == (0, None, key)
    jar = site.object(key)
    assert job["jar_sha256"] == sha256(jar)
    assert (site.store / f"{key}.sha256").read_text().split() == [sha256(jar), f"{job['sha']}.jar"]
    assert content is None or jar == content
    return jar


def failed(site, job, failure, step, return_code=255):
    """It failed so, and nothing was stored; its message."""
    assert (job["failure"], job["step"], job["return_code"]) == (failure, step, return_code)
    assert job["result_s3_key"] is None
    assert not (site.store / f"builds/{job['sha']}.jar").exists()
    return job["error_message"]


def steps(job):
    return list(job["timings"])


# ---- each commit is built once ----

def test_a_commit_is_built_once(site):
    job = site.build(site.commit)
    jar = built(site, job)
    assert jar.startswith(b"PK")
    assert steps(job) == ["lookup", "clone", "checkout", "submodules", "build", "upload"]
    assert not site.build_worker.job_directory(job["id"]).exists()
    site.push(site.commit)
    assert len(site.jobs(sha=site.commit)) == 1
    again = site.wait_for_job(id=site.request_build(site.commit))
    assert built(site, again, jar) and steps(again) == ["lookup"]


@pytest.mark.parametrize("metadata", [None, ""], ids=["with metadata", "without"])
def test_a_jar_in_the_store_is_adopted(site, metadata):
    commit = secrets.token_hex(20)
    site.put(f"builds/{commit}.jar", b"a jar", metadata)
    job = site.build(commit)
    assert built(site, job, b"a jar") and steps(job) == ["lookup"]


def test_a_damaged_jar_is_built_again(quick_site):
    site = quick_site("cp build.xml out.jar")
    site.put(f"builds/{site.commit}.jar", b"damaged", sha256(b"whole"))
    built(site, site.build(site.commit), (site.repository / "build.xml").read_bytes())


# ---- what cannot be built ----

def test_a_commit_that_does_not_build(site):
    commit = commit_change(site.repository, make_repository.BROKEN_SOURCE, "Break it")
    job = site.build(commit)
    message = failed(site, job, "command", "build", 1)
    assert message == "ant deps configure dist: exit status 1"
    assert "$ ant deps configure dist\nBuildfile: " in job["error_details"]
    assert "this is not Java" in job["error_details"]
    assert "BUILD FAILED" in job["error_details"]
    kept = site.build_worker.job_directory(job["id"])
    assert (kept / "build.log").read_text() == job["error_details"]
    assert "this is not Java" in (kept / "tree/src/moolloy/Main.java").read_text()


def test_a_build_without_a_jar(site):
    commit = commit_change(site.repository, make_repository.BUILD_WITHOUT_JAR, "Make no jar")
    message = failed(site, site.build(commit), "no-artifact", "upload")
    assert "dist/alloy-dev.jar" in message


def test_a_commit_that_does_not_exist(site):
    commit = "f" * 40
    assert commit in failed(site, site.build(commit), "no-commit", "clone")


def test_a_commit_of_another_branch(quick_site):
    site = quick_site("cp on-branch out.jar")
    git(site.repository, "checkout", "--quiet", "-b", "another")
    commit = commit_change(site.repository, {"on-branch": "branch"}, "Change on a branch")
    git(site.repository, "checkout", "--quiet", "main")
    built(site, site.build(commit), b"branch")


def test_a_repository_that_does_not_exist(quick_site):
    site = quick_site("true", **{"repository.url": "/nowhere/moolloy"})
    assert "/nowhere/moolloy" in failed(site, site.build(site.commit), "no-repository", "clone")


# ---- submodules ----

def new_repository(site, name, files):
    """Beside the others; its commit."""
    repository = site.repositories / name
    repository.mkdir()
    git(repository, "init", "--quiet", "--template=", "--initial-branch=main")
    for path, content in files.items():
        make_repository.write(repository / path, content)
    return make_repository.commit_all(repository, "Import", make_repository.FIRST_COMMIT_TIME)


def test_submodules_of_submodules(quick_site):
    site = quick_site("cp outer/inner/file out.jar")
    new_repository(site, "inner", {"file": "deep inside"})
    new_repository(site, "outer", {"readme": "outer"})
    make_repository.add_submodule(site.repositories / "outer", "../inner", "inner")
    commit = make_repository.add_submodule(site.repository, site.repositories / "outer", "outer")
    built(site, site.build(commit), b"deep inside")


def test_a_submodule_that_does_not_exist(site):
    new_repository(site, "gone", {"file": "x"})
    commit = make_repository.add_submodule(site.repository, "../gone", "gone")
    (site.repositories / "gone").rename(site.repositories / "went")
    message = failed(site, site.build(commit), "submodule", "submodules")
    assert "gone" in message
    git(site.repository, "reset", "--quiet", "--hard", "HEAD^")


def test_a_submodule_whose_commit_does_not_exist(site):
    git(site.repository, "update-index", "--cacheinfo", f"160000,{'e' * 40},solver")
    git(site.repository, "commit", "--quiet", "--message", "Pin to nothing",
        time=make_repository.FIRST_COMMIT_TIME + 6000)
    commit = git(site.repository, "rev-parse", "HEAD")
    message = failed(site, site.build(commit), "submodule", "submodules")
    assert "solver" in message and "e" * 40 in message
    git(site.repository, "reset", "--quiet", "--hard", "HEAD^")


# ---- limits ----

def test_timeout(new_site):
    """Of a build that goes on chattering, and has put a process into a session of its own."""
    site = new_site(workers=["build"], build={**ONE_CALL, "build.timeout": "3s",
                                              "build.log-limit": "100KiB"})
    seconds = models.unique_seconds()
    commit = commit_change(site.repository, make_repository.endless_build(seconds), "Never end")
    site.push(commit)
    conftest.programs.wait_for(lambda: conftest.workers.sleepers(seconds), "the process it leaves")
    job = site.wait_for_build(commit)
    assert "build.timeout" in failed(site, job, "timeout", "build")
    assert not conftest.workers.sleepers(seconds)
    log = site.build_worker.job_directory(job["id"]) / "build.log"
    assert 100 << 10 < log.stat().st_size < 101 << 10
    assert 60 << 10 < len(job["error_details"]) <= 64 << 10
    assert "output limit" in job["error_details"].splitlines()[-1]


def test_no_output_timeout(new_site):
    site = new_site(workers=["build"], build={**ONE_CALL, "build.no-output-timeout": "1s"})
    commit = commit_change(site.repository, make_repository.SILENT_BUILD, "Fall silent")
    job = site.build(commit)
    assert "build.no-output-timeout" in failed(site, job, "no-output", "build")


# ---- what commands may leave behind ----

def test_there_is_no_shell(quick_site):
    site = quick_site("cp $HOME;id *")
    job = site.build(site.commit)
    failed(site, job, "command", "build", 1)
    assert "'$HOME;id'" in job["error_details"]


@pytest.mark.parametrize("command", ["ln -s /etc/passwd out.jar", "mkfifo out.jar", "mkdir out.jar",
                                     "touch out.jar", "ln -s / dist", "ln -s build.xml out.jar"])
def test_an_artifact_that_is_none(quick_site, command):
    site = quick_site(command, "dist/etc/passwd" if "dist" in command else "out.jar")
    message = failed(site, site.build(site.commit), "no-artifact", "upload")
    assert "build.artifact" in message


def test_an_artifact_by_way_of_a_committed_link(quick_site):
    site = quick_site("true", "link/passwd")
    (site.repository / "link").symlink_to("/etc")
    commit = commit_change(site.repository, {}, "Add a link")
    failed(site, site.build(commit), "no-artifact", "upload")
