"""The systemd units, and what `make install` puts where."""
import pathlib
import subprocess

import pytest

from programs import BUILD

TOP = pathlib.Path(__file__).resolve().parents[2]
UNITS = sorted((TOP / "systemd").glob("*.service"))
PROGRAMS = ["moolloy-build-worker", "moolloy-dashboard", "moolloy-run-worker", "moolloy-workerctl"]


def install(where, *more):
    return subprocess.run(["make", "-s", "-C", TOP, "install", f"BUILD={BUILD}", f"DESTDIR={where}",
                           "PREFIX=/usr", *more], capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    where = tmp_path_factory.mktemp("installed")
    done = install(where)
    assert done.returncode == 0, done.stderr
    return where


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_unit_is_clean(unit, tmp_path):
    # The programs are where they were built, not where the unit says.
    text = unit.read_text().replace("/usr/local/bin", str(BUILD))
    (tmp_path / unit.name).write_text(text)
    name = unit.name.replace("@.", "@2.")
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / name],
                             capture_output=True, text=True)
    complaints = [line for line in checked.stderr.splitlines() if unit.name.split(".")[0] in line]
    assert checked.returncode == 0 and not complaints, checked.stderr


# With any of these in a worker's unit, bubblewrap or the runner fails: tried under a real systemd 252.
# RestrictSUIDSGID forbids openat2(2), ProtectHostname the box's host name; the others its namespaces or its /proc.
BREAK_THE_BOX = ["MemoryDenyWriteExecute", "PrivateUsers", "ProcSubset", "ProtectControlGroups", "ProtectHostname",
                 "ProtectKernelLogs", "ProtectKernelTunables", "ProtectProc", "RestrictNamespaces",
                 "RestrictSUIDSGID", "SystemCallFilter"]


def settings_of(path):
    """[(name, value)] of a unit, comments left out."""
    lines = path.read_text().splitlines()
    return [tuple(line.split("=", 1)) for line in lines if "=" in line and not line.startswith("#")]


@pytest.mark.parametrize("kind", ["build", "run"])
def test_a_workers_unit_leaves_what_its_box_needs(kind):
    settings = dict(settings_of(TOP / f"systemd/moolloy-{kind}-worker.service"))
    assert not settings.keys() & set(BREAK_THE_BOX)
    assert settings["KillMode"] == "mixed" and settings["Delegate"] == "yes"
    # The kernel's choice of a job's process must not end the worker.
    assert settings["OOMPolicy"] == "continue"
    assert settings["RestartPreventExitStatus"].split() == ["64", "78"]
    # drain-timeout, and some time to hand the job back.
    assert int(settings["TimeoutStopSec"]) >= 90 + 15


@pytest.mark.parametrize("kind", ["build", "run"])
def test_an_instance_differs_in_its_name_only(kind):
    text = (TOP / f"systemd/moolloy-{kind}-worker@.service").read_text()
    single = (TOP / f"systemd/moolloy-{kind}-worker.service").read_text()
    for name in " --instance=%i", " %i", "@%i":
        text = text.replace(name, "")
    assert text == single


@pytest.mark.parametrize("kind", ["build", "run"])
def test_a_reload_can_fail(kind):
    """A signal would be sent, whatever the worker makes of the new configuration."""
    assert ("ExecReload=/usr/local/bin/moolloy-workerctl reload "
            f"{kind}-worker@%i\n") in (TOP / f"systemd/moolloy-{kind}-worker@.service").read_text()


def test_both_kinds_of_workers_run_alike():
    text = (TOP / "systemd/moolloy-build-worker.service").read_text()
    assert text.replace("build", "run") == (TOP / "systemd/moolloy-run-worker.service").read_text()


def test_everything_is_installed(installed):
    for program in PROGRAMS:
        path = installed / "usr/bin" / program
        assert subprocess.run([path, "--version"], capture_output=True).returncode == 0
    manuals = {path.name for path in (installed / "usr/share/man").rglob("moolloy-*")}
    assert manuals == {"moolloy-build-worker.8", "moolloy-dashboard.8", "moolloy-run-worker.8",
                       "moolloy-workerctl.1"}
    for unit in UNITS:
        text = (installed / "usr/lib/systemd/system" / unit.name).read_text()
        assert "ExecStart=/usr/bin/moolloy-" in text and "/usr/local" not in text
    for folder in "sysusers.d", "tmpfiles.d":
        assert (installed / "usr/lib" / folder / "moolloy-workers.conf").is_file()
    samples = {path.name for path in (installed / "etc/moolloy-workers").iterdir()}
    assert samples == {path.name for path in (TOP / "etc").glob("*.yaml")}


def test_an_edited_configuration_stays(installed):
    edited = installed / "etc/moolloy-workers/run-worker.yaml"
    edited.write_text("run.timeout: 1h\n")
    assert install(installed).returncode == 0
    assert edited.read_text() == "run.timeout: 1h\n"
