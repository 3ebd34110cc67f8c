"""What README.md tells people to type, open or look for is there."""
import pathlib
import re
import subprocess

import pytest
import yaml

from programs import BUILD

TOP = pathlib.Path(__file__).resolve().parents[2]
README = (TOP / "README.md").read_text()
DAEMONS = ["moolloy-build-worker", "moolloy-run-worker", "moolloy-dashboard"]


def output(*command):
    return subprocess.run(command, cwd=TOP, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def targets():
    """What make can make."""
    rules = subprocess.run(["make", "-pRrq", "help"], cwd=TOP, capture_output=True, text=True).stdout
    return set(re.findall(r"^([\w-]+):(?!=)", rules, re.M))


@pytest.fixture(scope="module")
def settings():
    """The names of all settings of all daemons."""
    names = set()
    for daemon in DAEMONS:
        names |= yaml.safe_load(output(BUILD / daemon, "show-config", "--config", "/dev/null")).keys()
    return names


def commands():
    """What stands in code in README.md: blocks, and pieces between backquotes."""
    yield from re.findall(r"^    (.*)$", README, re.M)
    yield from re.findall(r"`([^`]+)`", README)


def test_make_knows_every_target_it_is_told(targets):
    told = {target for command in commands() for target in re.findall(r"\bmake ([a-z-]+)", command)}
    assert {"demo", "check", "install"} <= told <= targets


def test_make_help_tells_the_targets_there_are(targets):
    helped = set(re.findall(r"^make ([a-z-]+)", output("make", "-s", "help"), re.M))
    told = {target for command in commands() for target in re.findall(r"\bmake ([a-z-]+)", command)}
    assert told - {"help"} <= helped <= targets


def test_programs_know_every_verb_they_are_told():
    told = {pair for command in commands()
            for pair in re.findall(r"\b(moolloy-[a-z]+(?:-worker)?) ([a-z][a-z-]+)", command)
            if "systemctl" not in command and "journalctl" not in command}
    assert ("moolloy-workerctl", "finish") in told
    for program, verb in told:
        assert re.search(rf"^  {verb}\b", output(BUILD / program, "--help"), re.M), (program, verb)


def test_explain_knows_the_code_it_is_asked():
    codes = re.findall(r"`moolloy-workerctl explain ([a-z-]+)`", README)
    assert codes
    for code in codes:
        assert output(BUILD / "moolloy-workerctl", "explain", code).startswith(code)


def test_units_are_there():
    told = {unit for command in commands() if "systemctl" in command or "journalctl" in command
            for unit in re.findall(r"moolloy-(?:dashboard|build-worker|run-worker)@?", command)}
    assert len(told) >= 4
    for unit in told:
        assert (TOP / "systemd" / f"{unit}.service").exists(), unit


def test_settings_are_there(settings):
    told = set(re.findall(r"`([a-z]+(?:[.-][a-z]+)+)`", README)) - set(DAEMONS) - {"moolloy-workerctl"}
    told |= set(re.findall(r"# ([a-z]+\.[a-z.-]+)$", README, re.M))
    assert {"drain-timeout", "repository.url"} <= told <= settings


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    for link in links:
        assert (TOP / link).exists(), link


def test_the_tree_is_as_told():
    tree = README.partition("## The tree\n")[2]
    for line in re.findall(r"^    (\S.*?)   ", tree, re.M):
        for name in line.split():
            assert (TOP / name).is_dir(), name
    floors = re.findall(r"^      (\w+/)", tree, re.M)
    assert sorted(floors) == sorted(f"{path.name}/" for path in (TOP / "common").iterdir())
    assert sorted(floors) == sorted(f"{path.name}/" for path in (TOP / "include").iterdir())


def test_the_top_level_is_what_it_should_be():
    if not (TOP / ".git").exists():
        pytest.skip("not a clone: what is built here stands beside what is kept")
    names = {name.split("/")[0] for name in output("git", "ls-files").splitlines()}
    assert {name for name in names if not name.startswith(".")} == {
        "Makefile", "README.md", "LICENSE", "include", "src", "build-worker", "run-worker", "common",
        "systemd", "etc", "tests"}
