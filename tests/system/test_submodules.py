"""Submodules: where their addresses lead, what is missing, and what goes round in circles."""
import shutil

import make_repository
import pytest

from git_clone import Clone, failure, git, serving


@pytest.fixture
def served(tmp_path):
    with serving(Clone(tmp_path)) as clone:
        yield clone


def make(served, name):
    """One more repository: its directory."""
    path = served.repositories / name
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    make_repository.write(path / "file", name)
    make_repository.commit_all(path, "first", make_repository.FIRST_COMMIT_TIME)
    return path


def pin(served, modules, repository=None):
    """A commit with exactly these submodules: {path: (url, commit)}; its hash."""
    repository = repository or served.repository
    text = "".join(f'[submodule "{path}"]\n\tpath = "{path}"\n\turl = "{url}"\n' for path, (url, _) in modules.items())
    (repository / ".gitmodules").write_text(text)
    for line in git(repository, "ls-files", "-s").splitlines():
        if line.startswith("160000"):
            git(repository, "update-index", "--force-remove", line.split("\t")[1])
    git(repository, "add", ".gitmodules")
    for path, (_, commit) in modules.items():
        git(repository, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    git(repository, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "pin")
    return git(repository, "rev-parse", "HEAD")


def head(repository):
    return git(repository, "rev-parse", "HEAD")


def run(served, commit, artifact, **settings):
    return served.run(served.url, ["http"], commit, build__commands=[f"cp {artifact} made.jar"], **settings)


def test_names_and_addresses(served):
    """With slashes, spaces and dots; relative, and absolute."""
    other = make(served, "deep/er/other")
    far = f"{served.server.url}/deep/er/other"
    commit = pin(served, {"a/b/c d": ("../deep/er/other", head(other)), "e": ("./../deep/er/other", head(other)),
                          "f.g": (far, head(other))})
    for place in ("a/b/c\\x20d", "e", "f.g"):
        outcome = served.run(served.url, ["http"], commit, build__artifact="f.g/file",
                             build__commands=[f"python3 -c open('{place}/file')"])
        assert outcome["success"], served.log


def test_nested(served):
    inner = make(served, "inner")
    outer = make(served, "outer")
    pin(served, {"in": ("../inner", head(inner))}, outer)
    outcome = run(served, pin(served, {"out": ("../outer", head(outer))}), "out/in/file")
    assert outcome["success"], served.log


def test_a_changed_address(served):
    one, two = make(served, "one"), make(served, "two")
    for repository in (one, two, one):
        outcome = run(served, pin(served, {"sub": (f"../{repository.name}", head(repository))}), "sub/file")
        assert outcome["success"], served.log


def test_one_in_the_place_of_a_file(served):
    """And of a folder, and the other way round: the template follows."""
    other = make(served, "other")
    with_module = pin(served, {"a": ("../other", head(other))})
    git(served.repository, "update-index", "--force-remove", "a")
    shutil.rmtree(served.repository / "solver")
    make_repository.write(served.repository / ".gitmodules", "")
    make_repository.write(served.repository / "a", "file")
    with_file = make_repository.commit_all(served.repository, "file", 1764009000)
    (served.repository / "a").unlink()
    make_repository.write(served.repository / "a" / "file", "below")
    with_folder = make_repository.commit_all(served.repository, "folder", 1764009100)
    for commit, artifact in [(with_module, "a/file"), (with_file, "a"), (with_module, "a/file"),
                             (with_folder, "a/file"), (with_module, "a/file"), (with_file, "a")]:
        assert run(served, commit, artifact)["success"], served.log
        assert "discarded" not in served.log


def test_a_commit_on_no_branch(served):
    other = make(served, "other")
    hidden = make_repository.commit_change(other, {"hidden": "x"}, "hidden")
    git(other, "reset", "-q", "--hard", "HEAD^")
    commit = pin(served, {"sub": ("../other", hidden)})
    outcome = run(served, commit, "sub/hidden")
    assert failure(outcome) == ("submodule", "submodules")
    for name in ("sub", f"{served.server.url}/other", hidden):
        assert name in outcome["failure"]["message"]
    git(other, "config", "uploadpack.allowAnySHA1InWant", "true")
    assert run(served, commit, "sub/hidden")["success"], served.log


def test_a_missing_repository(served):
    outcome = run(served, pin(served, {"x/sub": ("../nothing", "1" * 40)}), "x")
    assert failure(outcome) == ("submodule", "submodules")
    for name in ("x/sub", f"{served.server.url}/nothing", "1" * 40):
        assert name in outcome["failure"]["message"]


def test_an_address_that_leads_nowhere(served):
    outcome = run(served, pin(served, {"sub": ("../../../x", "1" * 40)}), "x")
    assert failure(outcome) == ("submodule", "submodules")
    assert "../../../x" in outcome["failure"]["message"]


def test_rewritten_addresses(served):
    other = make(served, "other")
    commit = pin(served, {"sub": ("git@github.test:other", head(other)), "rel": ("../other", head(other))})
    rules = [f"git@github.test: {served.server.url}/", f"ssh://git@main.test/ {served.server.url}/"]
    outcome = served.run("ssh://git@main.test/moolloy", ["http"], commit, build__commands=["cp sub/file made.jar"],
                         git__rewrite=rules)
    assert outcome["success"], served.log
    assert failure(run(served, commit, "x")) == ("bad-repository", "submodules")  # ssh is not allowed


@pytest.mark.parametrize("url", ["../moolloy", "./"])
def test_one_that_contains_itself(served, url):
    outcome = run(served, pin(served, {"sub": (url, head(served.repository))}), "x")
    assert failure(outcome) in [("bad-repository", "submodules"), ("submodule", "submodules")]


def test_two_that_contain_each_other(served):
    """By addresses that always differ: the depth ends it."""
    one, two = make(served, "one"), make(served, "two")
    commits = [head(two)]
    for number in range(10):
        here, there = (one, two) if number % 2 else (two, one)
        commits.append(pin(served, {"sub": ("../" + "./" * number + there.name, commits[-1])}, here)
                       if number else pin(served, {}, here))
    outcome = run(served, pin(served, {"sub": ("../one", commits[-1])}), "x")
    assert failure(outcome) == ("bad-repository", "submodules")
    assert "deep" in outcome["failure"]["message"] or "itself" in outcome["failure"]["message"]


def test_too_many(served):
    other = make(served, "other")
    outcome = run(served, pin(served, {f"sub{n}": ("../other", head(other)) for n in range(300)}), "x")
    assert failure(outcome) == ("bad-repository", "submodules")
    assert "more than 256" in outcome["failure"]["message"]


@pytest.mark.parametrize("more", ['[submodule "solver"]\n\tupdate = !touch {}\n',
                                  '[submodule "other"]\n\tpath = solver\n\turl = ../moolloy-solver\n', "[[["])
def test_gitmodules_that_git_would_refuse(served, more):
    modules = (served.repository / ".gitmodules").read_text() + more.format(served.directory / "touched")
    code, _ = failure(served.run(served.url, ["http"], served.change({".gitmodules": modules})))
    assert code == "bad-repository"
    assert not (served.directory / "touched").exists()


def test_no_address(served):
    commit = pin(served, {})
    git(served.repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(served.repository, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "no address")
    commit = head(served.repository)
    outcome = run(served, commit, "x")
    assert failure(outcome) == ("submodule", "submodules")
    assert "sub" in outcome["failure"]["message"]
