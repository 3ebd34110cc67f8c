"""The sample configuration and the man page of a program say what its table of settings says."""
import os
import pathlib
import re
import subprocess

import pytest
import yaml

from programs import BUILD

TOP = pathlib.Path(__file__).resolve().parents[2]
WORKERS = ["build-worker", "run-worker"]
MANUALS = {"build-worker": TOP / "build-worker", "run-worker": TOP / "run-worker",
           "dashboard": TOP / "src" / "dashboard"}
PROGRAMS = sorted(MANUALS)


def show_config(worker, file):
    return subprocess.run([BUILD / f"moolloy-{worker}", "show-config", "--config", file], check=True,
                          capture_output=True, text=True).stdout


@pytest.fixture
def shown(tmp_path):
    """show-config of a worker without any configuration: its defaults."""

    def show(worker):
        (tmp_path / "empty.yaml").touch()
        return show_config(worker, tmp_path / "empty.yaml")

    return show


def helps(text):
    """What show-config says of each setting: what it means, and its limits. Comments may go over lines."""
    for comment in re.findall(r"(?:^# .*\n)+", text, re.M):
        yield re.fullmatch(r"(.*) \(([^()]*)\)", " ".join(comment.replace("# ", "").split())).groups()


def flat(settings, prefix=""):
    """{"run": {"java": ...}} as {"run.java": ...}."""
    result = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[prefix + name] = value
    return result


def page(program):
    return (MANUALS[program] / f"moolloy-{program}.8").read_text().replace("\\-", "-")


@pytest.mark.parametrize("program", PROGRAMS)
def test_sample_configuration_is_the_default(program, shown):
    assert show_config(program, TOP / "etc" / f"{program}.yaml") == shown(program)


@pytest.mark.parametrize("worker", WORKERS)
def test_sample_configuration_holds_every_setting_of_the_worker(worker, shown):
    other = "build-worker" if worker == "run-worker" else "run-worker"
    own = yaml.safe_load(shown(worker)).keys() - yaml.safe_load(shown(other)).keys()
    sample = flat(yaml.safe_load((TOP / "etc" / f"{worker}.yaml").read_text()))
    # Both have these, each with its own default.
    assert sample.keys() == own | {"queues", "state-directory"}


@pytest.mark.parametrize("worker", WORKERS)
def test_shared_sample_is_the_default_and_holds_every_shared_setting(worker, shown):
    common = TOP / "etc" / "common.yaml"
    own = flat(yaml.safe_load((TOP / "etc" / f"{worker}.yaml").read_text())).keys()
    assert show_config(worker, common) == shown(worker)
    assert yaml.safe_load(common.read_text()).keys() == yaml.safe_load(shown(worker)).keys() - own


@pytest.mark.parametrize("program", PROGRAMS)
def test_man_page_lists_every_setting(program, shown):
    section = page(program).partition(".SH SETTINGS\n")[2].partition(".SH FILES\n")[0]
    listed = re.findall(r"^\.TP\n\.B (\S+)$", section, re.M)
    assert sorted(listed) == sorted(yaml.safe_load(shown(program)))


@pytest.mark.parametrize("program", PROGRAMS)
def test_man_page_tells_what_each_setting_means(program, shown):
    text = " ".join(page(program).split())
    for help_, limits in helps(shown(program)):
        assert help_ in text
        assert limits[0].upper() + limits[1:] + "; default:" in text, help_


@pytest.mark.parametrize("program", PROGRAMS)
def test_man_page_lists_every_option(program):
    usage = subprocess.run([BUILD / f"moolloy-{program}", "--help"], check=True,
                           capture_output=True, text=True).stdout
    for option in re.findall(r"^  (--\S+|SIG\w+|serve|run-job|check-config|show-config)\b", usage, re.M):
        assert re.search(rf"^\.BI? {option}\b", page(program), re.M), option


@pytest.mark.parametrize("program", PROGRAMS)
def test_man_page_is_well_formed(program):
    shown = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l",
                            MANUALS[program] / f"moolloy-{program}.8"], capture_output=True, text=True,
                           env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "80"}, check=True)
    assert "SETTINGS" in shown.stdout and not shown.stderr
