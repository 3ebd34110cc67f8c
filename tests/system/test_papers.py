"""The sample configuration and the man page of a program say what its table of settings says."""
import os
import pathlib
import re
import subprocess

import pytest
import yaml

from programs import BUILD

TOP = pathlib.Path(__file__).resolve().parents[2]
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


def paragraphs(text):
    return text.strip().split("\n\n")


def sample(name):
    return paragraphs((TOP / "etc" / f"{name}.yaml").read_text())[1:]


def page(program):
    return (MANUALS[program] / f"moolloy-{program}.8").read_text().replace("\\-", "-")


@pytest.mark.parametrize("program", PROGRAMS)
def test_samples_say_what_show_config_says(program, shown):
    """Every setting, in its order, at its default, with its comment; after a head of the sample's own."""
    common = [] if program == "dashboard" else sample("common")
    own = sample(program)
    assert sorted(common + own) == sorted(paragraphs(shown(program)))
    assert [part for part in paragraphs(shown(program)) if part in own] == own


@pytest.mark.parametrize("program", PROGRAMS)
def test_samples_can_be_read(program, shown):
    assert show_config(program, TOP / "etc" / f"{program}.yaml") == shown(program)
    if program != "dashboard":
        assert show_config(program, TOP / "etc" / "common.yaml") == shown(program)


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
def test_man_page_tells_the_defaults(program, shown, tmp_path):
    rows = re.findall(r'^\.B (\S+)\n(?:[^.].*\n)+?.*default:\n\.IR "?(.*?)"? \.$', page(program), re.M)
    defaults = yaml.safe_load(shown(program))
    written = {name: value.split(", ") if isinstance(defaults[name], list) else value
               for name, value in rows if value != "none" or defaults[name]}
    (tmp_path / "man.yaml").write_text(yaml.safe_dump(written))
    assert len(rows) == len(defaults)
    assert show_config(program, tmp_path / "man.yaml") == shown(program)


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
