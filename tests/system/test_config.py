"""Configuration: what is wrong with it is said with file, line and help, and a reload takes all of it or
nothing. And the command line, with the verbs that need no dashboard."""
import json
import re
import signal
import socket
import subprocess

import pytest

import models
from programs import BUILD

PROGRAMS = ["build-worker", "run-worker"]


def call(program, *arguments, stdin=""):
    return subprocess.run([BUILD / f"moolloy-{program}", *arguments], input=stdin, text=True,
                          capture_output=True, timeout=20)


@pytest.fixture
def config(tmp_path):
    """Writes a configuration file."""
    def write(text):
        path = tmp_path / "worker.yaml"
        path.write_text(text)
        return path
    return write


def settings(program, path):
    """{name: help} as show-config tells."""
    shown = call(program, "--config", path, "show-config").stdout
    rows = re.findall(r"((?:^# .*\n)+)([a-z0-9.-]+):", shown, re.M)
    return {name: re.sub(r"\n?# ", " ", comment).strip().rpartition(" (")[0] for comment, name in rows}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_instance_keeps_apart_whatever_the_files_say(config, program):
    for text, host, state in ("", socket.gethostname(), f"/var/lib/moolloy-workers/{program}"), \
                             ("name: host\nstate-directory: /data/worker\n", "host", "/data/worker"):
        shown = call(program, "--config", config(text), "--instance", "2", "show-config").stdout
        assert re.search(rf"^name: '?{host}/2'?$", shown, re.M)
        assert f"\nstate-directory: {state}@2\n" in shown


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", "x" * 33])
def test_a_wrong_name_of_an_instance(name):
    assert call("run-worker", "--instance", name, "show-config").returncode == 64


# ---- what is wrong ----

@pytest.mark.parametrize("program, text, line, name, message", [
    ("run-worker", "# comment\n\nrun.timeot: 5s", 3, "run.timeout", "run.timeot: unknown setting (did"),
    ("build-worker", "build:\n  netwrk: no", 2, "build.network", "build.netwrk: unknown setting (did"),
    ("run-worker", "run.timeout: 5 parsecs", 1, "run.timeout", "'5 parsecs' is not a duration"),
    ("run-worker", "run:\n  timeout: 100ms", 2, "run.timeout", "100ms is not within 1s to 30d"),
    ("build-worker", "git.timeout: -1s", 1, "git.timeout", "'-1s' is not a duration"),
    ("run-worker", "queues: ci", 1, "queues", "a list is needed: [a, b]"),
    ("build-worker", "log-level: [info]", 1, "log-level", "one value is needed, not a list"),
    ("run-worker", "run.network: maybe", 1, "run.network", "'maybe' is neither yes nor no"),
    ("run-worker", "model.max-entries: many", 1, "model.max-entries", "'many' is not a whole number"),
    ("run-worker", "model.max-entries: 0", 1, "model.max-entries", "0 is not within 1 to 10000000"),
    ("build-worker", "build.log-limit: 5 elephants", 1, "build.log-limit", "is not a size"),
    ("run-worker", "results.compression: lzma", 1, "results.compression", "'lzma' is none of: zstd"),
    ("run-worker", "run.java: java", 1, "run.java", "'java' is not an absolute path"),
    ("build-worker", "heartbeat-period:", 1, "heartbeat-period", "'' is not a duration"),
])
def test_a_wrong_setting(config, program, text, line, name, message):
    """The message has file, line, and what the setting is for."""
    path = config(text + "\n")
    help = settings(program, config(""))[name]
    path = config(text + "\n")
    done = call(program, "--config", path, "check-config")
    assert done.returncode == 78
    assert f"{path}:{line}: " in done.stderr
    assert message in done.stderr and help in done.stderr
    assert done.stderr.count("\n") == 1
    assert call(program, "--config", path).returncode == 78  # nor does it serve


@pytest.mark.parametrize("text, line, message", [
    ("run.timeout: 5s\nhorse: fast", 2, "horse: unknown setting (show-config lists them all)"),
    ("run.timeout: 1s\nrun.timeout: 2s", 2, "run.timeout stands there twice"),
    ("run.timeout: 1s\nqueues: [ci", 3, "did not find expected"),
    ("- run.timeout", 1, "keys with values are expected"),
    ("name: &anchor x", 1, "anchors and tags are not allowed"),
    ("run.timeout: 1s\n---\nname: b", 2, "a second document is not allowed"),
])
def test_a_file_that_is_no_configuration(config, text, line, message):
    path = config(text + "\n")
    done = call("run-worker", "--config", path, "check-config")
    assert done.returncode == 78
    assert f"{path}:{line}: {message}" in done.stderr


@pytest.mark.parametrize("program, text, message", [
    ("run-worker", "queues: []", "queues is empty"),
    ("run-worker", "dashboard.url: ftp://x", "'ftp://x' is no http:// or https:// address"),
    ("run-worker", "dashboard.url: http://x/", "without a slash at the end"),
    ("run-worker", "queue.lease: 1s", "less than 2s is lost before it can be extended"),
    ("run-worker", "queue.type: sqs\nqueue.endpoint: sqs.eu-west-1.amazonaws.com",
     "queue.endpoint: 'sqs.eu-west-1.amazonaws.com' is no http:// or https:// address"),
    ("run-worker", "queue.type: sqs\nstore.region:", "queue.region is not set: name the region"),
    ("run-worker", "queue.type: sqs\nqueue.lease: 5m\nqueue.hide-limit: 5m",
     "queue.lease: 5m is not shorter than queue.hide-limit"),
    ("run-worker", "queue.type: sqs\nqueues: []", "queues is empty: no jobs would come"),
    ("build-worker", "build.artifact: x", "repository.url is not set"),
    ("build-worker", "repository.url: /x", "its protocol, file, is not among git.protocols"),
    ("run-worker", "run.environment: [AWS_PROFILE]", "AWS_PROFILE leads to the worker's own keys"),
    ("build-worker", "repository.url: https://a/b\nbuild.environment: [=x]", "does not begin with"),
    ("run-worker", "dashboard.password-file: /nowhere", "cannot open /nowhere"),
    ("run-worker", "dashboard.password-file: word", "'word' is no path"),
])
def test_settings_that_do_not_fit(config, program, text, message):
    done = call(program, "--config", config(text + "\n"), "check-config")
    assert done.returncode == 78
    assert message in done.stderr


def test_a_secret_that_everyone_may_read(config, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("secret\n")
    secret.chmod(0o644)
    path = config(f"dashboard.username: me\ndashboard.password-file: {secret}\n")
    done = call("run-worker", "--config", path, "check-config")
    assert done.returncode == 78 and "chmod o-r" in done.stderr
    secret.chmod(0o600)
    shown = call("run-worker", "--config", path, "show-config")
    assert shown.returncode == 0
    assert "secret" not in re.findall(r"^dashboard.password-file: (.*)", shown.stdout, re.M)[0].split("/")


def test_a_password_without_a_user_name(config, tmp_path):
    """It would not be sent, and every request be refused."""
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    done = call("run-worker", "--config", config(f"dashboard.password-file: {tmp_path}/password\n"),
                "check-config")
    assert done.returncode == 78 and "dashboard.username is not set" in done.stderr


def test_no_file(tmp_path):
    done = call("run-worker", "--config", tmp_path / "nowhere.yaml")
    assert done.returncode == 78 and "nowhere.yaml" in done.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_show_config_reads_back(config, tmp_path, program):
    first = call(program, "--config", config("repository.url: https://example.org/a\n"
                                             if program == "build-worker" else "name: ' x: #1'\n"),
                 "show-config")
    assert first.returncode == 0, first.stderr
    again = call(program, "--config", config(first.stdout), "show-config")
    assert again.stdout == first.stdout


def test_later_files_win(tmp_path):
    (tmp_path / "a.yaml").write_text("run.timeout: 5s\nname: a\n")
    (tmp_path / "b.yaml").write_text("run.timeout: 6s\n")
    shown = call("run-worker", "--config", tmp_path / "a.yaml", "--config", tmp_path / "b.yaml",
                 "show-config").stdout
    assert "\nrun.timeout: 6s\n" in shown and "\nname: a\n" in shown


# ---- the command line ----

@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("arguments", [["dance"], ["serve", "now"], ["--dance"], ["--config"]])
def test_wrong_usage(program, arguments):
    done = call(program, *arguments)
    assert done.returncode == 64
    assert done.stderr and not done.stdout


@pytest.mark.parametrize("program", [*PROGRAMS, "dashboard", "workerctl"])
def test_help_and_version(program):
    help, version = call(program, "--help"), call(program, "--version")
    assert help.returncode == 0 and help.stdout.startswith(f"Usage: moolloy-{program} ")
    assert version.returncode == 0 and re.fullmatch(rf"moolloy-{program} \d+\.\d+\.\d+\n", version.stdout)


# ---- reloading ----

@pytest.fixture
def site(new_site, jar):
    site = new_site(workers=["run"])
    site.add_built_commit(jar)
    return site


def test_reload(site, archive):
    """Reloadable settings count for the next job; fixed ones keep their values, and it says so."""
    worker = site.run_worker
    worker.configure(run__timeout="1s", name="another", run__no_output_timeout="0s")
    worker.signal(signal.SIGHUP)
    worker.log_has("configuration reloaded")
    assert "name: a change needs a restart; the old value stays" in worker.log()
    job = site.run(site.add_model("late", archive(models.misbehaving("linger 3600"))))
    assert (job["failure"], job["worker"]) == ("timeout", "run-worker")
    assert worker.status()["worker"] == "run-worker"


def test_a_bad_configuration_is_refused(site, archive):
    worker = site.run_worker
    worker.configure(run__java="/bin/false", run__timeout="5 parsecs")
    worker.signal(signal.SIGHUP)
    worker.log_has("configuration not reloaded, the old one stays")
    line = 1 + list(worker.settings).index("run.timeout")
    assert f"{worker.config}:{line}: run.timeout: '5 parsecs'" in worker.log()
    assert site.run(site.add_model("model", archive()))["correct"] == 1


def test_a_running_job_keeps_its_configuration(site, archive):
    worker = site.run_worker
    job = site.request_run(site.add_model("model", archive(models.misbehaving("delay 1"))))
    worker.wait_for_step("execute")
    worker.configure(results__compression="gzip")
    worker.signal(signal.SIGHUP)
    worker.log_has("configuration reloaded")
    assert site.wait_for_job(id=job)["result_s3_key"].endswith(".tar.zst")
    assert site.wait_for_job(id=site.request_run(1))["result_s3_key"].endswith(".tar.gz")


# ---- run-job ----

def test_a_job_by_hand(site, archive):
    """A job that failed is done again from what its directory kept, without a dashboard."""
    worker = site.run_worker
    model = site.add_model("model", archive())
    (site.store / site.model(model)["key"]).rename(site.path / "kept")
    job = site.run(model)
    assert job["failure"] == "no-model"
    saved = (worker.job_directory(job["id"]) / "job.json").read_text()
    again = worker.run("run-job", stdin=saved)
    assert again.returncode == 1
    assert json.loads(again.stdout)["failure"]["code"] == "no-model"
    (site.path / "kept").rename(site.store / site.model(model)["key"])
    good = worker.run("run-job", stdin=saved)
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["correct"] is True
    [directory] = re.findall(r"the job's directory stays: (.*)", good.stderr)
    assert "model.als" in [path.name for path in (worker.directory / directory / "model").iterdir()]
    assert site.job(job["id"])["failure"] == "no-model"


@pytest.mark.parametrize("stdin, message", [
    ("", "job on standard input"), ("{}", "job on standard input"), ("[1", "job on standard input"),
    ('{"id":"1","type":"build","commit":"%s"}' % ("a" * 40), "this is a build job"),
])
def test_no_job_by_hand(site, stdin, message):
    done = site.run_worker.run("run-job", stdin=stdin)
    assert done.returncode == 64 and message in done.stderr
