"""Cloning over every protocol, from servers that are git's and OpenSSH's own: the real worker, by run-job."""
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import make_repository
import pytest

from git_clone import Clone, failure, git
from git_servers import Sshd, http_server, make_certificate, silent_server
from programs import BUILD


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    with Sshd(tmp_path_factory.mktemp("sshd")) as running:
        yield running


# ---- http and https ----

def test_http_with_its_submodule(clone):
    with http_server(clone.repositories) as server:
        outcome = clone.run(f"{server.url}/moolloy", ["http"])
    assert outcome["success"], clone.log
    assert {"clone", "checkout", "submodules", "build", "upload"} <= outcome["timings"].keys()
    assert any(path.startswith("/moolloy-solver/") for path, _ in server.seen)


def test_progress_that_nobody_reads_is_not_sent(clone):
    with http_server(clone.repositories) as server:
        assert clone.run(f"{server.url}/moolloy", ["http"])["success"], clone.log
    assert b"no-progress\n" in server.request.split(b"want")[1]


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
        commit = git(clone.repositories / "moolloy", "rev-parse", "HEAD")
        assert clone.run(f"{own.url}/moolloy", ["http"], commit, git__token_file=token)["success"], clone.log
    assert all(authorization for _, authorization in own.seen)
    assert other.seen and not any(authorization for _, authorization in other.seen)


def test_the_token_goes_to_a_submodule_on_its_host(clone, tmp_path):
    """Though the repository's address names a user, and the submodule's does not."""
    token = token_file(tmp_path, "t0ken")
    with http_server(clone.repositories, credentials="ci:t0ken") as server:
        make_repository.commit_change(clone.repositories / "moolloy", {".gitmodules": (
            f'[submodule "solver"]\n\tpath = solver\n\turl = {server.url}/moolloy-solver\n')}, "absolute")
        url = server.url.replace("//", "//somebody@") + "/moolloy"
        outcome = clone.run(url, ["http"], git(clone.repositories / "moolloy", "rev-parse", "HEAD"),
                            git__username="ci", git__token_file=token)
    assert outcome["success"], clone.log
    assert any(path.startswith("/moolloy-solver/") for path, _ in server.seen)


def test_the_token_goes_where_rewriting_leads(clone, tmp_path):
    token = token_file(tmp_path, "t0ken")
    with http_server(clone.repositories, credentials="ci:t0ken") as server:
        outcome = clone.run("git@host.test:moolloy", ["http"], git__username="ci", git__token_file=token,
                            git__rewrite=[f"git@host.test: {server.url}/"])
    assert outcome["success"], clone.log


@pytest.mark.parametrize("password", ["p@ss", "p%40ss"])
def test_no_password_is_shown(clone, password):
    with http_server(clone.repositories, credentials="me:p@ss") as server:
        outcome = clone.run(server.url.replace("//", f"//me:{password}@") + "/nothing", ["http"])
    code, step = failure(outcome)
    assert step == "clone" and code == ("rejected" if "@" in password else "no-repository")
    assert server.url[len("http://"):] in outcome["failure"]["message"]
    assert "ss@" not in clone.log + json.dumps(outcome)


@pytest.mark.parametrize("path, code", [("/nothing", "no-repository"), ("/", "no-repository")])
def test_no_repository_there(clone, path, code):
    with http_server(clone.repositories) as server:
        assert failure(clone.run(server.url + path, ["http"])) == (code, "clone")


def test_a_commit_on_no_branch_is_asked_for_by_its_hash(clone):
    repository = clone.repositories / "moolloy"
    hidden = make_repository.commit_change(repository, {"hidden": "1"}, "hidden")
    git(repository, "reset", "-q", "--hard", clone.commit)
    with http_server(clone.repositories) as server:
        url = f"{server.url}/moolloy"
        assert failure(clone.run(url, ["http"], hidden)) == ("no-commit", "clone")
        git(repository, "config", "uploadpack.allowAnySHA1InWant", "true")
        assert clone.run(url, ["http"], hidden)["success"], clone.log


def test_a_server_that_is_ill_is_asked_again(clone):
    """Three times in all."""
    with http_server(clone.repositories) as server:
        server.ill = 3
        assert failure(clone.run(f"{server.url}/moolloy", ["http"])) == ("server", "clone")
        assert server.ill == 0
        server.ill = 2
        assert clone.run(f"{server.url}/moolloy", ["http"])["success"], clone.log
        assert clone.log.count("it is tried again") == 2


@pytest.mark.parametrize("protocol", ["http", "ssh", "file"])
def test_the_next_clone_costs_what_is_new(clone, sshd, protocol):
    repository = clone.repositories / "moolloy"
    ssh = {"git__ssh_key": sshd.keys["ed25519"], "git__known_hosts": sshd.known_hosts}
    with http_server(clone.repositories) as server:
        url = {"http": f"{server.url}/moolloy", "ssh": sshd.url(repository), "file": str(repository)}[protocol]
        assert clone.run(url, [protocol], **ssh)["success"], clone.log
        commit = make_repository.commit_change(repository, {"new": "x"}, "new")
        assert clone.run(url, [protocol], commit, **ssh)["success"], clone.log
    assert "/moolloy: 3 objects" in clone.log and clone.log.count("has it already") == 1


def offers(server):
    return server.request.count(b"have ")


def test_few_commits_are_offered_and_few_answers_come(clone):
    repository = clone.repositories / "moolloy"
    for number in range(40):
        old = clone.change({"file": str(number)})
    with http_server(clone.repositories) as server:
        url = f"{server.url}/moolloy"
        assert clone.run(url, ["http"], old)["success"], clone.log
        sent = server.sent
        assert clone.run(url, ["http"], clone.change({"file": "new"}))["success"], clone.log
    assert "/moolloy: 3 objects" in clone.log and offers(server) == 4
    # A list of two references, twice four answers, and the pack; twenty answers were more.
    assert server.sent - sent < 2000


@pytest.mark.parametrize("replaced", [1, 3, 30])
def test_history_that_was_replaced(clone, replaced):
    """What is older than the commits the server has forgotten is not fetched again."""
    repository = clone.repositories / "moolloy"
    for number in range(40):
        old = clone.change({f"file{number}": str(number)})
    with http_server(clone.repositories) as server:
        url = f"{server.url}/moolloy"
        assert clone.run(url, ["http"], old)["success"], clone.log
        git(repository, "reset", "-q", "--hard", f"HEAD~{replaced}")
        new = clone.change({"new": "x"})
        git(repository, "reflog", "expire", "--expire=now", "--all")
        git(repository, "gc", "-q", "--prune=now")
        assert clone.run(url, ["http"], new)["success"], clone.log
    objects = int(re.search(r"/moolloy: (\d+) objects", clone.log)[1])
    assert 3 <= objects <= 3 + 3 * 20, objects


def test_branches_side_by_side(clone):
    """The new commit of one of many is fetched alone."""
    repository = clone.repositories / "moolloy"
    for branch in range(30):
        git(repository, "checkout", "-q", "-b", f"branch{branch}", clone.commit)
        clone.change({f"file{branch}": "1"})
        old = clone.change({f"file{branch}": "2"})
    with http_server(clone.repositories) as server:
        url = f"{server.url}/moolloy"
        assert clone.run(url, ["http"], old)["success"], clone.log
        git(repository, "checkout", "-q", "branch3")
        assert clone.run(url, ["http"], clone.change({"file3": "3"}))["success"], clone.log
    assert "/moolloy: 3 objects" in clone.log


def test_a_server_with_nothing_in_common(clone):
    repository = clone.repositories / "moolloy"
    for number in range(40):
        clone.change({"file": str(number)})
    with http_server(clone.repositories) as server:
        url = f"{server.url}/moolloy"
        assert clone.run(url, ["http"], git(repository, "rev-parse", "HEAD"))["success"], clone.log
        tree = git(repository, "rev-parse", "HEAD^{tree}")
        other = git(repository, "-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", tree, "-m", "other")
        git(repository, "reset", "-q", "--hard", other)
        git(repository, "reflog", "expire", "--expire=now", "--all")
        git(repository, "gc", "-q", "--prune=now")
        assert clone.run(url, ["http"], other)["success"], clone.log


def test_a_head_on_no_branch(clone):
    repository = clone.repositories / "moolloy"
    git(repository, "checkout", "-q", "--detach")
    commit = make_repository.commit_change(repository, {"hidden": "1"}, "hidden")
    with http_server(clone.repositories) as server:
        assert clone.run(f"{server.url}/moolloy", ["http"], commit)["success"], clone.log


def test_a_repository_of_tags_only(clone):
    """Its HEAD leads nowhere."""
    repository = clone.repositories / "moolloy"
    git(repository, "-c", "user.name=x", "-c", "user.email=x@x", "tag", "-a", "v1", "-m", "v1")
    git(repository, "checkout", "-q", "--detach")
    git(repository, "branch", "-D", "main")
    git(repository, "symbolic-ref", "HEAD", "refs/heads/nothing")
    with http_server(clone.repositories) as server:
        assert clone.run(f"{server.url}/moolloy", ["http"])["success"], clone.log


@pytest.mark.parametrize("protocol", ["http", "file"])
def test_an_empty_repository(clone, protocol):
    """Holds no commit; it may the next time."""
    repository = clone.repositories / "empty"
    git(clone.repositories, "init", "-q", "-b", "main", repository)
    with http_server(clone.repositories) as server:
        url = repository if protocol == "file" else f"{server.url}/empty"
        assert failure(clone.run(url, [protocol])) == ("no-commit", "clone")
        make_repository.write(repository / "made.jar", "x")
        commit = make_repository.commit_all(repository, "first", make_repository.FIRST_COMMIT_TIME)
        assert clone.run(url, [protocol], commit, build__commands=["true"])["success"], clone.log
    assert "is damaged" not in clone.log


def test_a_silent_http_server_is_given_up(clone):
    with silent_server() as port:
        assert failure(clone.run(f"http://127.0.0.1:{port}/x", ["http"])) == ("stalled", "clone")


# ---- ssh ----

@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_with_its_submodule(clone, sshd, kind):
    outcome = clone.run(sshd.url(clone.repositories / "moolloy"), ["ssh"], git__ssh_key=sshd.keys[kind],
                        git__known_hosts=sshd.known_hosts)
    assert outcome["success"], clone.log


@pytest.mark.parametrize("form", ["ssh://{user}@[::1]:{port}{path}", "ssh://{user}@127.0.0.1:{port}/~{home}",
                                  "ssh://{user}@127.0.0.1:{port}{encoded}"])
def test_ssh_addresses(clone, sshd, form, tmp_path):
    """An IPv6 address, a home directory of the other side, and a path that is encoded."""
    path = clone.repositories / "moolloy"
    encoded = "".join(c if c == "/" else f"%{ord(c):02x}" for c in str(path))
    home = f"{sshd.user}/" + os.path.relpath(path, os.path.expanduser("~"))
    keys = tmp_path / "keys of 100% \"mine\""
    keys.mkdir()
    key, known_hosts = shutil.copy(sshd.keys["ed25519"], keys), shutil.copy(sshd.known_hosts, keys)
    url = form.format(user=sshd.user, port=sshd.port, path=path, home=home, encoded=encoded)
    outcome = clone.run(url, ["ssh"], git__ssh_key=key, git__known_hosts=known_hosts)
    assert outcome["success"] or outcome["failure"]["step"] == "submodules" and "~" in url, clone.log


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


def test_what_ssh_says_is_bounded(clone, sshd):
    """A server that says more than ssh's words are worth: the end of them is told."""
    outcome = clone.run(sshd.url(clone.repositories / "moolloy"), ["ssh"], git__ssh_key=sshd.chatty_key,
                        git__known_hosts=sshd.known_hosts)
    assert failure(outcome) == ("network", "clone")
    assert "the last word" in outcome["failure"]["message"]
    assert len(outcome["failure"]["details"]) <= 65536


def test_a_list_without_end_is_left(clone, sshd):
    outcome = clone.run(sshd.url(clone.repositories / "moolloy"), ["ssh"], git__ssh_key=sshd.endless_key,
                        git__known_hosts=sshd.known_hosts)
    assert failure(outcome) == ("repository", "clone")
    assert "the list of branches does not end" in outcome["failure"]["message"]


@pytest.mark.parametrize("protocol", ["ssh", "http"])
def test_a_silent_server_can_be_left(clone, protocol):
    with silent_server() as port:
        job = clone.start(f"{protocol}://127.0.0.1:{port}/x", [protocol], git__stall_timeout="1h", log_level="debug")
        assert any("clone: begins" in line for line in job.stderr)
        job.send_signal(signal.SIGTERM)
        output, log = job.communicate(timeout=8)  # ssh itself would give up after ten seconds
    assert '"cancelled"' in output, log


# Binds the port of name servers, and becomes the program; nobody reads from it.
SILENT_NAMES = """
import os, socket, sys
port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
port.bind(("127.0.0.1", 53))
port.set_inheritable(True)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_silent_name_server_can_be_left(clone, tmp_path):
    resolver = tmp_path / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:2\n")
    clone.prefix = ["bwrap", "--dev-bind", "/", "/", "--unshare-net", "--unshare-user", "--uid", "0",
                    "--cap-add", "CAP_NET_BIND_SERVICE", "--ro-bind", resolver, os.path.realpath("/etc/resolv.conf"),
                    sys.executable, "-c", SILENT_NAMES]
    job = clone.start("http://nowhere.test/x", ["http"], log_level="debug")
    assert any("clone: begins" in line for line in job.stderr)
    with open(f"/proc/{job.pid}/task/{job.pid}/children") as children:
        os.kill(int(children.read()), signal.SIGTERM)
    output, log = job.communicate(timeout=8)  # the library asks for a minute
    assert '"cancelled"' in output, log


# ---- files ----

@pytest.mark.parametrize("there", [True, False])
def test_a_path_without_a_repository(clone, there, tmp_path):
    path = tmp_path / "something"
    if there:
        path.mkdir()
    assert failure(clone.run(path, ["file"])) == ("no-repository", "clone")


def test_a_full_disk_is_not_the_repositorys_fault(clone, tmp_path):
    repository = clone.repositories / "moolloy"
    commit = make_repository.commit_change(repository, {f"big{n}": os.urandom(100000) * 4 for n in range(6)}, "big")
    clone.temporary = tmp_path / "small"
    clone.temporary.mkdir()
    clone.prefix = ["unshare", *([] if os.getuid() == 0 else ["-r"]), "-m", "sh", "-c",
                    f'mount -t tmpfs -o size=2m tmpfs {clone.temporary} && exec "$@"', "sh"]
    clone.attempt(repository, ["file"], commit, disk__free_bytes="0")
    assert "job 1.1 checkout: failed" in clone.log and "[disk-full]" in clone.log


# ---- trees that must not be checked out ----

def plant(repository, *entries):
    """A commit whose tree holds the entries, as mktree's lines; its hash."""
    blob = git(repository, "hash-object", "-w", "--stdin", input="evil\n")
    link = git(repository, "hash-object", "-w", "--stdin", input="/tmp")
    below = git(repository, "mktree", input=f"100644 blob {blob}\tevil\n")
    raw = b""
    for mode, name in entries:
        object_id = {"100644": blob, "120000": link, "40000": below, "160000": "1" * 40}[mode]
        raw += f"{mode} {name}\0".encode() + bytes.fromhex(object_id)
    made = subprocess.run(["git", "-C", repository, "hash-object", "-t", "tree", "--literally", "-w", "--stdin"],
                          input=raw, check=True, capture_output=True).stdout.decode().strip()
    commit = git(repository, "-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", made, "-m", "evil")
    git(repository, "update-ref", "refs/heads/evil", commit)
    return commit


@pytest.mark.parametrize("entries", [
    [("120000", "a"), ("40000", "a")],                # a link, and by its name a directory
    [("100644", "a"), ("100644", "b"), ("100644", "a")],
    [("40000", ".git")], [("40000", ".GIT")], [("40000", "GIT~1")], [("40000", ".git\u200c")],
    [("40000", "..")], [("40000", "a/b")],
    [("160000", ".git")], [("160000", "git~1")], [("160000", ".git\u200c")], [("160000", "..")],
    [("120000", ".gitmodules")], [("120000", ".GitModules")], [("120000", "gitmod~1")]])
@pytest.mark.parametrize("protocol", ["file", "http"])
def test_a_hostile_tree(clone, entries, protocol):
    repository = clone.repositories / "moolloy"
    commit = plant(repository, *entries)
    with http_server(clone.repositories) as server:
        url = f"{server.url}/moolloy" if protocol == "http" else repository
        outcome = clone.run(url, [protocol], commit)
    assert failure(outcome) == ("bad-repository", "checkout"), outcome["failure"]


def test_names_that_other_systems_take_for_one(clone):
    repository = clone.repositories / "moolloy"
    commit = clone.change({name: name for name in ("A", "a", "\u00e9", "e\u0301", "con", "a\\b", "c:d", "-x", "x ")}, "twins")
    for path in "A", "a", "\u00e9", "e\u0301":
        assert clone.run(repository, ["file"], commit, build__commands=[f"grep -q {path} {path}"],
                         build__artifact=path)["success"], clone.log


# The host's and the repository's wishes for programs and other addresses.
HOST = """
[filter "evil"]
    smudge = touch {file}
    clean = touch {file}
    process = touch {file}
    required = true
[core]
    hooksPath = {hooks}
    fsmonitor = touch {file}
    autocrlf = true
    sshCommand = touch {file}
[url "/nowhere/"]
    insteadOf = {url}
"""


def test_nothing_of_the_host_or_the_repository_runs(clone, tmp_path):
    """As far as the clone goes; what it checks out are the bytes that were committed."""
    file, home = tmp_path / "touched", tmp_path / "home"
    home.mkdir()
    for hook in "post-checkout", "reference-transaction", "post-index-change":
        (home / hook).write_text(f"#!/bin/sh\ntouch {file}\n")
        (home / hook).chmod(0o755)
    commit = clone.change({".gitattributes": "* filter=evil text eol=crlf ident\n", "made": "$Id$\n"})
    with http_server(clone.repositories) as server:
        (home / ".gitconfig").write_text(HOST.format(file=file, hooks=home, url=server.url))
        clone.prefix = ["env", f"HOME={home}", f"XDG_CONFIG_HOME={home}", f"GIT_CONFIG_GLOBAL={home}/.gitconfig"]
        for _ in range(2):  # the second time from the template
            outcome = clone.run(f"{server.url}/moolloy", ["http"], commit, build__commands=["cp made made.jar"])
            assert outcome["success"], clone.log
            assert outcome["jar_sha256"] == hashlib.sha256(b"$Id$\n").hexdigest()
    assert not file.exists()


# ---- what is refused before anything is asked ----

def test_git_is_not_spoken():
    done = subprocess.run([BUILD / "moolloy-build-worker", "--config", "/dev/stdin", "check-config"],
                          input="repository.url: https://127.0.0.1/x\ngit.protocols: [https, git]\n",
                          capture_output=True, text=True)
    assert done.returncode == 78 and "git.protocols: 'git'" in done.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "/somewhere", "git://127.0.0.1/x", "/x/p@host:q", "file:///p@host:q"])
def test_a_protocol_that_is_not_allowed(clone, url, tmp_path):
    done = subprocess.run([BUILD / "moolloy-build-worker", "--config", "/dev/stdin", "check-config"],
                          input=f"repository.url: {url}\n", capture_output=True, text=True)
    assert done.returncode == 78 and "git.protocols" in done.stderr


def test_a_submodule_by_a_protocol_that_is_not_allowed(clone):
    repository = clone.repositories / "moolloy"
    make_repository.add_submodule(repository, str(clone.repositories / "moolloy-solver"), "local")
    commit = git(repository, "rev-parse", "HEAD")
    with http_server(clone.repositories) as server:
        outcome = clone.run(f"{server.url}/moolloy", ["http"], commit)
    assert failure(outcome) == ("bad-repository", "submodules")
    assert "protocol file is not allowed" in outcome["failure"]["message"]
