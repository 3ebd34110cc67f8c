"""Cloning over every protocol, from servers that are git's and OpenSSH's own: the real worker, by run-job."""
import json
import subprocess

import make_repository
import pytest

from git_servers import Sshd, http_server, make_certificate, silent_server
from programs import BUILD
from workers import LEAKS


class Clone:
    """A build whose command is a cp: what counts is how the repository got there."""

    def __init__(self, directory):
        self.directory = directory
        self.repositories = directory / "repositories"
        self.commit = make_repository.make_repositories(self.repositories)
        self.settings = {"store.path": directory / "store", "state-directory": directory / "state",
                         "build.commands": ["cp solver/src/moolloy/solver/Objective.java made.jar"], "build.artifact": "made.jar",
                         "git.stall-timeout": "2s"}

    def run(self, url, protocols, commit=None, **settings):
        """The outcome, as run-job prints it."""
        named = {name.replace("__", ".").replace("_", "-"): value for name, value in settings.items()}
        config = {**self.settings, "repository.url": url, "git.protocols": protocols, **named}
        file = self.directory / "config.yaml"
        file.write_text(json.dumps({name: value if isinstance(value, list) else str(value)
                                    for name, value in config.items()}))
        job = {"id": "1", "attempt": 1, "type": "build", "commit": commit or self.commit}
        done = subprocess.run([BUILD / "moolloy-build-worker", "--config", file, "run-job"], text=True,
                              input=json.dumps(job), capture_output=True, timeout=60,
                              env={"PATH": "/usr/bin:/bin", "TMPDIR": str(self.directory),
                                   "LSAN_OPTIONS": LEAKS})
        assert done.stdout, done.stderr
        self.log = done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


def failure(outcome):
    assert not outcome["success"]
    return outcome["failure"]["code"], outcome["failure"]["step"]


# ---- http and https ----

def test_http_with_its_submodule(clone):
    with http_server(clone.repositories) as server:
        outcome = clone.run(f"{server.url}/moolloy", ["http"])
    assert outcome["success"], clone.log
    assert {"clone", "checkout", "submodules", "build", "upload"} <= outcome["timings"].keys()
    assert any(path.startswith("/moolloy-solver/") for path, _ in server.seen)


def test_https_wants_the_authority(clone, tmp_path):
    certificate = make_certificate(tmp_path)
    with http_server(clone.repositories, certificate=certificate) as server:
        assert failure(clone.run(f"{server.url}/moolloy", ["https"])) == ("tls", "clone")
        assert clone.run(f"{server.url}/moolloy", ["https"], git__ca_file=certificate[0])["success"]


def token_file(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def test_http_token(clone, tmp_path):
    token = token_file(tmp_path, "t0ken")
    with http_server(clone.repositories, credentials="ci:t0ken") as server:
        url = f"{server.url}/moolloy"
        assert failure(clone.run(url, ["http"])) == ("unauthorized", "clone")
        assert clone.run(url, ["http"], git__username="ci", git__token_file=token)["success"]
    assert "t0ken" not in clone.log


def test_the_token_stays_with_its_host(clone, tmp_path):
    token = token_file(tmp_path, "t0ken")
    with http_server(clone.repositories) as own, http_server(clone.repositories) as other:
        make_repository.add_submodule(clone.repositories / "moolloy", f"{other.url}/moolloy-solver", "far")
        commit = subprocess.run(["git", "-C", clone.repositories / "moolloy", "rev-parse", "HEAD"],
                                capture_output=True, text=True, check=True).stdout.strip()
        assert clone.run(f"{own.url}/moolloy", ["http"], commit, git__token_file=token)["success"], clone.log
    assert all(authorization for _, authorization in own.seen)
    assert other.seen and not any(authorization for _, authorization in other.seen)


@pytest.mark.parametrize("path, code", [("/nothing", "no-repository"), ("/", "no-repository")])
def test_no_repository_there(clone, path, code):
    with http_server(clone.repositories) as server:
        assert failure(clone.run(server.url + path, ["http"])) == (code, "clone")


def test_a_commit_on_no_branch_is_asked_for_by_its_hash(clone):
    repository = clone.repositories / "moolloy"
    def git(*arguments):
        return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True,
                              text=True).stdout.strip()
    hidden = make_repository.commit_change(repository, {"hidden": "1"}, "hidden")
    git("reset", "-q", "--hard", clone.commit)
    with http_server(clone.repositories) as server:
        url = f"{server.url}/moolloy"
        assert failure(clone.run(url, ["http"], hidden)) == ("no-commit", "checkout")
        git("config", "uploadpack.allowAnySHA1InWant", "true")
        assert clone.run(url, ["http"], hidden)["success"], clone.log


def test_a_silent_http_server_is_given_up(clone):
    with silent_server() as port:
        assert failure(clone.run(f"http://127.0.0.1:{port}/x", ["http"])) == ("stalled", "clone")


# ---- ssh ----

@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_with_its_submodule(clone, sshd, kind):
    outcome = clone.run(sshd.url(clone.repositories / "moolloy"), ["ssh"], git__ssh_key=sshd.keys[kind],
                        git__known_hosts=sshd.known_hosts)
    assert outcome["success"], clone.log


def test_an_unknown_ssh_host_is_refused(clone, sshd, tmp_path):
    (tmp_path / "nobody").touch()
    outcome = clone.run(sshd.url(clone.repositories / "moolloy"), ["ssh"],
                        git__ssh_key=sshd.keys["ed25519"], git__known_hosts=tmp_path / "nobody")
    assert failure(outcome) == ("unauthorized", "clone")
    assert "Host key verification failed" in outcome["failure"]["message"]


def test_a_wrong_ssh_key_is_refused(clone, sshd):
    wrong = sshd.make_key("ed25519", "wrong") if not (sshd.directory / "wrong").exists() else sshd.directory / "wrong"
    outcome = clone.run(sshd.url(clone.repositories / "moolloy"), ["ssh"], git__ssh_key=wrong,
                        git__known_hosts=sshd.known_hosts)
    assert failure(outcome) == ("unauthorized", "clone")


def test_no_ssh_repository_there(clone, sshd):
    outcome = clone.run(sshd.url("/nothing/here"), ["ssh"], git__ssh_key=sshd.keys["ed25519"],
                        git__known_hosts=sshd.known_hosts)
    assert failure(outcome) == ("no-repository", "clone")


def test_a_silent_ssh_server_is_given_up(clone):
    with silent_server() as port:
        outcome = clone.run(f"ssh://nobody@127.0.0.1:{port}/x", ["ssh"])
    code, step = failure(outcome)
    assert step == "clone" and code in ("stalled", "network")


# ---- what is refused before anything is asked ----

@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "/somewhere", "git://127.0.0.1/x", "/x/p@host:q", "file:///p@host:q"])
def test_a_protocol_that_is_not_allowed(clone, url, tmp_path):
    done = subprocess.run([BUILD / "moolloy-build-worker", "--config", "/dev/stdin", "check-config"],
                          input=f"repository.url: {url}\n", capture_output=True, text=True)
    assert done.returncode == 78 and "git.protocols" in done.stderr


def test_a_submodule_by_a_protocol_that_is_not_allowed(clone):
    repository = clone.repositories / "moolloy"
    make_repository.add_submodule(repository, str(clone.repositories / "moolloy-solver"), "local")
    commit = subprocess.run(["git", "-C", repository, "rev-parse", "HEAD"], capture_output=True, text=True,
                            check=True).stdout.strip()
    with http_server(clone.repositories) as server:
        outcome = clone.run(f"{server.url}/moolloy", ["http"], commit)
    assert failure(outcome) == ("bad-repository", "submodules")
    assert "protocol file is not allowed" in outcome["failure"]["message"]
