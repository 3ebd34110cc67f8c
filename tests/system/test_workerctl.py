"""moolloy-workerctl: what it says of status files, outboxes and failures, and what it tells a daemon."""
import json
import os
import pathlib
import re
import socket
import subprocess

import pytest

from programs import BUILD
from site_of_programs import Site

TOP = pathlib.Path(__file__).resolve().parents[2]
STATUS = {"worker": "host/2", "program": "run-worker", "pid": os.getpid(), "version": "0.1.0",
          "state": "running", "registered": True, "worker_id": "7",
          "dashboard_why": "POST x: Connection refused",
          "job": {"id": "12", "attempt": 1, "type": "run", "commit": "a" * 40, "step": "fetch-jar",
                  "progress": {"done": 1 << 20, "total": 4 << 20, "unit": "bytes"},
                  "trouble": "PutObject x: 503", "since": "2026-11-24T08:00:00Z"},
          "outbox": 3, "parked": 1, "counters": {"succeeded": 5, "failed": 2, "handed_back": 1, "lost": 0},
          "updated": "2026-11-24T08:00:01Z"}


def ctl(*arguments):
    return subprocess.run([BUILD / "moolloy-workerctl", *arguments], capture_output=True, text=True)


@pytest.fixture
def runtime(tmp_path):
    """Where a worker lives, as far as its files say."""
    (tmp_path / "run-worker.json").write_text(json.dumps(STATUS))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "run-worker.sock"))
        listener.listen()
        yield ["--runtime-directory", tmp_path, "--state-directory", tmp_path]


def test_explain_knows_every_failure():
    table = (TOP / "include/base/failure.def").read_text()
    rows = re.findall(r'^FAILURE\(\w+,\s*"([^"]+)",\s*(true|false),\s*"([^"]+)"\)', table, re.M)
    assert len(rows) == table.count("\nFAILURE(")
    everything = ctl("explain").stdout
    for name, again, meaning in rows[1:]:
        one = ctl("explain", name).stdout
        assert meaning in one and one in everything
        assert ("Tried again" in one) == (again == "true")


def test_explain_of_nonsense_is_wrong_usage():
    done = ctl("explain", "nonsense")
    assert done.returncode == 64 and "no failure is called 'nonsense'" in done.stderr


def test_status_tells_job_step_and_progress(runtime):
    shown = ctl(*runtime, "status").stdout
    assert "run-worker (host/2): running\n" in shown
    assert "job 12 (run of aaaaaaaaaaaa)" in shown and "fetch-jar, 1.0 MiB of 4.0 MiB" in shown
    assert "  and waits: PutObject x: 503\n" in shown
    assert "reports waiting: 3, parked: 1" in shown
    assert "5 succeeded, 2 failed, 1 handed back, 0 lost" in shown
    assert "  it does not hear us: POST x: Connection refused\n" in shown
    assert json.loads(ctl(*runtime, "--json", "status", "run-worker").stdout) == STATUS


def test_status_says_that_a_process_is_gone(runtime, tmp_path):
    """Though another has its number by now: this one."""
    (tmp_path / "run-worker.sock").unlink()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "run-worker.sock"))
    for _ in range(2):
        assert "running, but its process is gone" in ctl(*runtime, "status").stdout
        (tmp_path / "run-worker.sock").unlink(missing_ok=True)
    (tmp_path / "run-worker.json").write_text(json.dumps({**STATUS, "state": "stopped"}))
    assert "run-worker (host/2): stopped\n" in ctl(*runtime, "status").stdout


@pytest.mark.parametrize("content", ["", "{", "[]", '{"job": 7, "counters": "x"}'])
def test_a_damaged_status_file_does_no_harm(runtime, tmp_path, content):
    (tmp_path / "run-worker.json").write_text(content)
    assert ctl(*runtime, "status").returncode in (0, 75)


def test_wrong_usage():
    for arguments in [], ["nonsense"], ["cancel"], ["status", "a", "b"], ["--nonsense"]:
        done = ctl(*arguments)
        assert done.returncode == 64 and done.stderr, arguments


def test_no_such_worker(runtime, tmp_path):
    (tmp_path / "run-worker.sock").unlink()
    assert ctl(*runtime, "status", "nobody").returncode == 75
    done = ctl(*runtime, "memory", "run-worker")
    assert done.returncode == 75 and "(does the worker run?)" in done.stderr


@pytest.fixture
def state(tmp_path):
    """What a worker may leave behind."""
    worker = tmp_path / "run-worker"
    for folder in "outbox", "parked", "jobs/1-1", "jobs/2-1", "jobs/3-1", "jobs/4-2":
        (worker / folder).mkdir(parents=True)
    letter = {"kind": "finish", "job": "12", "attempt": 1, "added": 1795508550000}
    (worker / "outbox/0001-12-1-finish.json").write_text(json.dumps(letter))
    (worker / "parked/0001-7-1-finish.json").write_text(json.dumps({**letter, "job": "7"}))
    (worker / "parked/0001-7-1-finish.json.why").write_text("forbidden: POST x: 403: \x1b[2Jno\nmore\n")
    (worker / "parked/message-0002.json").write_text("--- no letter")
    (worker / "parked/message-0002.json.why").write_text("bad-message: line 1: no job\n")
    outcomes = {"1-1": {"success": True, "return_code": 0},
                "2-1": {"success": False, "failure": {"code": "no-model", "step": "fetch-model",
                                                      "message": "no \x1b[2J here"}},
                "3-1": {"success": True, "return_code": 3,
                        "failure": {"code": "exit-status", "message": "moolloy ended with 3"}}}
    for job, outcome in outcomes.items():
        (worker / "jobs" / job / "outcome.json").write_text(json.dumps(outcome))
    return ["--state-directory", tmp_path]


def test_outbox_and_parked_tell_what_and_why(state):
    outbox = ctl(*state, "outbox", "run-worker").stdout.splitlines()
    assert outbox == ["2026-11-24T08:22:30Z  job 12  finish  (0001-12-1-finish.json)"]
    parked = ctl(*state, "parked", "run-worker").stdout.splitlines()
    assert len(parked) == 2
    # What a server said does not reach the terminal as it is.
    assert "job 7  finish  forbidden: POST x: 403: \\x1b[2Jno" in parked[0]
    assert parked[1] == "-  message  bad-message: line 1: no job  (message-0002.json)"


def test_jobs_tell_how_they_ended(state):
    done, failed, verdict, cut_off = ctl(*state, "jobs", "run-worker").stdout.splitlines()
    assert done.split() == ["1-1", "done"]
    assert "2-1" in failed and "no-model: no \\x1b[2J here (step fetch-model)" in failed
    assert "3-1" in verdict and "done, exit-status: moolloy ended with 3" in verdict
    assert cut_off.split(maxsplit=1) == ["4-2", "no outcome: running, or cut off"]


def test_there_is_nothing_of_a_worker_that_never_was(state):
    for verb in "outbox", "parked", "jobs":
        done = ctl(*state, verb, "nobody")
        assert done.returncode == 75 and "nobody" in done.stderr


@pytest.mark.parametrize("answer, status", [(b'{"ok":false,"error":"busy"}\n', 1), (b"nonsense\n", 75),
                                            (b"", 75)])
def test_what_a_worker_answers(tmp_path, answer, status):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "run-worker.sock"))
        listener.listen()
        asking = subprocess.Popen([BUILD / "moolloy-workerctl", "--runtime-directory", tmp_path, "memory",
                                   "run-worker"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(100) == b'{"verb":"memory"}\n'
            connection.sendall(answer)
        shown, errors = asking.communicate(timeout=20)
    assert asking.returncode == status and not shown and "run-worker" in errors


def test_an_object_is_got_into_a_new_file_only(tmp_path):
    config, source, target = (tmp_path / name for name in ("config.yaml", "source", "target"))
    (tmp_path / "store").mkdir()
    config.write_text(f"store.path: {tmp_path}/store\n")
    source.write_text("bytes")
    assert ctl("--config", config, "store", "put", "a/b", source).returncode == 0
    assert "a/b: 5 bytes" in ctl("--config", config, "store", "get", "a/b", target).stdout
    assert target.read_text() == "bytes"
    target.write_text("other")
    again = ctl("--config", config, "store", "get", "a/b", target)
    assert again.returncode == 1 and not again.stdout and "File exists" in again.stderr
    assert target.read_text() == "other"


def test_help_and_manual_name_every_verb_and_option():
    usage = ctl("--help").stdout
    manual = (TOP / "src/moolloy-workerctl.1").read_text().replace("\\-", "-")
    names = re.findall(r"^  (--[\w-]+|\w+)\b", usage, re.M)
    assert len(names) >= 15
    for name in names:
        assert re.search(rf"^\.B[IR]? {name}\b", manual, re.M), name


def test_a_real_worker_answers():
    with Site(workers=["run"]) as site:
        worker = site.run_worker
        where = ["--runtime-directory", worker.directory, "--state-directory", worker.directory]
        memory = ctl(*where, "memory", "run-worker")
        assert memory.returncode == 0 and re.search(r"^pss +[\d.]+ MiB$", memory.stdout, re.M)
        assert json.loads(ctl(*where, "--json", "memory", "run-worker").stdout)["private"] > 0
        refused = ctl(*where, "cancel", "run-worker")
        assert refused.returncode == 1 and "no job runs" in refused.stderr
        assert ctl(*where, "reload", "run-worker").returncode == 0
        worker.log_has("configuration reloaded")
        assert ctl(*where, "drain", "run-worker").returncode == 0
        assert worker.end() == 0
