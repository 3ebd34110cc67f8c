"""The fixtures themselves: the sample moolloy builds, and behaves, as the other tests rely on."""

import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fixtures"))
import hostile
import make_repository
import models

PATIENCE = 60


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)
    return result


# ---- building

def clone(repositories, tree):
    make_repository.git(repositories, "clone", "--quiet", "--recurse-submodules", "moolloy",
                        str(tree))


def ant(tree, *targets):
    return subprocess.run(["ant", *targets], cwd=tree, capture_output=True, text=True)


def boxed_ant(tree, *targets):
    """ant where only the job's directory and a private /tmp can be written, without a network."""
    box = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp",
           "--bind", tree.parent, tree.parent, "--unshare-net", "--clearenv",
           "--setenv", "PATH", "/usr/bin:/bin", "--setenv", "HOME", tree.parent, "--chdir", tree]
    return subprocess.run([*map(str, box), "ant", *targets], capture_output=True, text=True)


@pytest.fixture(scope="module")
def repositories(tmp_path_factory):
    directory = tmp_path_factory.mktemp("repositories")
    make_repository.make_repositories(directory)
    return directory


@pytest.fixture(scope="module")
def jar(repositories, tmp_path_factory):
    tree = tmp_path_factory.mktemp("job") / "moolloy"
    clone(repositories, tree)
    done = boxed_ant(tree, "deps", "configure", "dist")
    assert done.returncode == 0, done.stdout + done.stderr
    return tree / "dist" / "alloy-dev.jar"


def test_repositories_are_reproducible(repositories, tmp_path):
    again = make_repository.make_repositories(tmp_path)
    assert again == make_repository.git(repositories / "moolloy", "rev-parse", "HEAD")


def test_changes_are_commits(tmp_path):
    make_repository.make_repositories(tmp_path)
    moolloy = tmp_path / "moolloy"
    changed = make_repository.commit_change(
        moolloy, {"new/file": b"\0", "README.md": None}, "Change two files")
    assert make_repository.git(moolloy, "show", "--format=%H", "--name-status", "HEAD").split() == [
        changed, "D", "README.md", "A", "new/file"]


def test_builds_target_by_target_with_another_date(repositories, jar, tmp_path):
    clone(repositories, tmp_path / "moolloy")
    for target in ("deps", "configure", "dist"):
        assert ant(tmp_path / "moolloy", target).returncode == 0
    other = models.expected_solutions(tmp_path / "moolloy" / "dist" / "alloy-dev.jar")
    for name, content in models.expected_solutions(jar).items():
        assert content != other[name]
        assert models.without_first_line(content) == models.without_first_line(other[name])


def test_build_says_what_is_missing(repositories, tmp_path):
    make_repository.git(repositories, "clone", "--quiet", "moolloy", str(tmp_path / "moolloy"))
    without_submodule = ant(tmp_path / "moolloy", "deps")
    assert without_submodule.returncode == 1
    assert "git submodule update --init" in without_submodule.stderr
    unconfigured = ant(tmp_path / "moolloy", "dist")
    assert unconfigured.returncode == 1
    assert "run ant configure first" in unconfigured.stderr


@pytest.mark.parametrize("change, status", [
    (make_repository.BROKEN_SOURCE, 1), (make_repository.BUILD_WITHOUT_JAR, 0)])
def test_builds_that_go_wrong(change, status, tmp_path):
    make_repository.make_repositories(tmp_path)
    make_repository.commit_change(tmp_path / "moolloy", change, "Go wrong")
    assert ant(tmp_path / "moolloy", "deps", "configure", "dist").returncode == status
    assert not (tmp_path / "moolloy" / "dist" / "alloy-dev.jar").exists()


@pytest.fixture
def endless(tmp_path):
    """Starts a build of such a change; returns the process, leader of a session, and its log."""
    processes = []

    def start(change):
        make_repository.make_repositories(tmp_path)
        make_repository.commit_change(tmp_path / "moolloy", change, "Do not end")
        log = tmp_path / "log"
        with log.open("w") as output:
            processes.append(subprocess.Popen(["ant", "dist"], cwd=tmp_path / "moolloy",
                                              stdout=output, start_new_session=True))
        return processes[0], log

    yield start
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_build_that_falls_silent(endless):
    process, log = endless(make_repository.SILENT_BUILD)
    wait_for(lambda: log.read_text().endswith("dist:\n"), "the target")
    assert process.poll() is None


def test_a_build_that_chatters_and_leaves_a_process(endless):
    seconds = models.unique_seconds()
    process, log = endless(make_repository.endless_build(seconds))
    wait_for(lambda: "still building" in log.read_text(), "chatter")
    [survivor] = wait_for(lambda: sleepers(seconds), "the process")
    assert os.getsid(survivor) == survivor
    assert process.poll() is None
    os.kill(survivor, signal.SIGKILL)


# ---- running

class Run:
    """A run of the jar in a directory of its own and with a private /tmp."""

    def __init__(self, jar, directory, als, algorithm="GIA"):
        self.directory = directory / f"run-{len(list(directory.iterdir()))}"
        self.place = self.directory / "run"
        self.tmp = self.directory / "tmp"
        self.model = self.directory / "model.als"
        for folder in (self.place, self.tmp):
            folder.mkdir(parents=True)
        if als is not None:
            self.model.write_text(als)
        box = ["bwrap", "--bind", "/", "/", "--dev", "/dev", "--bind", self.tmp, "/tmp",
               "--ro-bind", jar.parent, jar.parent, "--bind", self.directory, self.directory,
               "--chdir", self.place]
        self.stderr_file = self.directory / "stderr"
        with self.stderr_file.open("w") as stderr:
            self.process = subprocess.Popen(
                [*map(str, box), *models.java_command(jar, self.model, algorithm)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)

    def end(self):
        self.process.wait(PATIENCE)
        return self

    @property
    def status(self):
        return self.process.returncode

    @property
    def solutions(self):
        return models.solutions_in(self.place)

    @property
    def stderr(self):
        return self.stderr_file.read_text()

    @property
    def scratch(self):
        return list(self.tmp.glob("alloy4tmp40-*"))

    def java(self):
        """The pid of java, a child of bubblewrap's."""
        [pid] = wait_for(lambda: processes_with(str(self.model).encode(), b"java"), "java")
        return pid

    def kill(self, signal_number):
        os.kill(self.java(), signal_number)
        return self.end()


def processes_with(argument, program=b""):
    """The processes whose command line, ends of arguments as NULs, begins so and holds that."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if command.startswith(program) and argument in command:
            found.append(int(entry.parent.name))
    return found


def sleepers(seconds):
    return processes_with(f"\0{seconds}\0".encode(), b"sleep\0")


@pytest.fixture
def run(jar, tmp_path):
    """Starts a run; whatever of it is still there after the test is ended."""
    runs = []

    def start(als, algorithm="GIA"):
        runs.append(Run(jar, tmp_path, als, algorithm))
        return runs[-1]

    yield start
    for each in runs:
        if each.process.poll() is None:
            each.kill(signal.SIGKILL)


def contents(solutions):
    return sorted(map(models.without_first_line, solutions.values()))


def test_finds_the_pareto_front(run):
    done = run(models.KNAPSACK).end()
    assert (done.status, done.stderr, done.scratch) == (0, "", [])
    assert sorted(done.solutions) == [
        f"alloy_solutions_{n + 1}.xml" for n in range(models.KNAPSACK_SOLUTIONS)]
    values = [tuple(map(int, re.findall(rb'<metric name="\w+" value="(\d+)"/>', solution)))
              for solution in done.solutions.values()]
    assert sorted(values) == [(0, 0), (8, 4), (11, 6), (13, 7), (16, 9)]
    for solution in done.solutions.values():
        assert re.match(rb'<alloy builddate="\d{4}-\d\d-\d\d [^"]+">\n', solution)


@pytest.mark.parametrize("algorithm", ["GIA", "IGIA", "CGIA", "PGIA"])
def test_the_same_files_in_each_run(run, algorithm):
    first, second = run(models.KNAPSACK), run(models.KNAPSACK, algorithm)
    assert first.end().solutions == second.end().solutions


def test_ogia_numbers_differently(run):
    gia, ogia = run(models.KNAPSACK), run(models.KNAPSACK, "OGIA")
    assert gia.end().solutions != ogia.end().solutions
    assert sorted(gia.solutions) == sorted(ogia.solutions)
    assert contents(gia.solutions) == contents(ogia.solutions)


@pytest.mark.parametrize("als, algorithm, status, files, message", [
    (models.EMPTY, "GIA", 0, 0, ""),
    (models.UNSATISFIABLE, "GIA", 1, 0, "the model is unsatisfiable"),
    (models.SYNTAX_ERROR, "GIA", 1, 0, "syntax error in line 8: [ expected, not comfort"),
    (None, "GIA", 1, 0, "no such model: "),
    (models.KNAPSACK, "XGIA", 1, 0, "unknown algorithm: XGIA"),
    (models.NO_OPTIMIZE, "GIA", 1, 7, "the command has no optimize"),
    (models.OVERFLOW, "GIA", 3, 0, "metric weight overflows"),
], ids=["empty", "unsatisfiable", "syntax", "missing", "algorithm", "no optimize", "overflow"])
def test_exit_status(run, als, algorithm, status, files, message):
    done = run(als, algorithm).end()
    assert (done.status, len(done.solutions), done.scratch) == (status, files, [])
    assert done.stderr.startswith(message)


def test_a_killed_run_leaves_its_scratch_file(run):
    started = run(models.misbehaving("delay 3600"))
    wait_for(lambda: started.scratch, "the scratch file")
    started.kill(signal.SIGTERM)
    assert started.status == 128 + signal.SIGTERM
    assert len(started.scratch) == 1
    assert not started.solutions


def test_delay_ends(run):
    done = run(models.misbehaving("delay 0.1")).end()
    assert (done.status, len(done.solutions), done.stderr) == (0, models.KNAPSACK_SOLUTIONS, "")


def test_linger_leaves_a_whole_set_when_killed(run):
    whole = run(models.KNAPSACK).end().solutions
    started = run(models.misbehaving("linger 3600"))
    wait_for(lambda: started.solutions == whole, "all solutions")
    assert started.process.poll() is None
    assert started.kill(signal.SIGKILL).solutions == whole


def test_spin_uses_the_processor(run):
    started = run(models.misbehaving("spin 3600"))
    stat = Path(f"/proc/{started.java()}/stat")
    ticks = os.sysconf("SC_CLK_TCK")
    wait_for(lambda: int(stat.read_text().rpartition(")")[2].split()[11]) > ticks, "a CPU second")
    assert started.process.poll() is None


def test_spawn_leaves_a_process(run):
    seconds = models.unique_seconds()
    assert run(models.misbehaving(f"spawn {seconds}")).end().status == 0
    [survivor] = wait_for(lambda: sleepers(seconds), "the process")
    assert os.getsid(survivor) == survivor
    os.kill(survivor, signal.SIGKILL)


@pytest.mark.parametrize("size", [1, 1000, 200000])
def test_chatter_is_exact(run, size):
    assert len(run(models.misbehaving(f"chatter {size}")).end().stderr) == size


def test_allocate_takes_memory(run):
    started = run(models.misbehaving("allocate 200", "linger 3600"))
    wait_for(lambda: started.solutions, "solutions")
    status = Path(f"/proc/{started.java()}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) > 200 << 10


# ---- model archives

@pytest.mark.parametrize("dialect", models.DIALECTS)
@pytest.mark.parametrize("format", models.FORMATS)
def test_model_archives(format, dialect, tmp_path):
    archive = models.make_model(tmp_path / f"model.{format}", format=format, dialect=dialect,
                                solutions={"alloy_solutions_1.xml": b"<alloy>\n1\n"})
    if format == "zip":
        zipfile.ZipFile(archive).extractall(tmp_path)
    else:
        subprocess.run(["tar", "-xf", archive, "-C", tmp_path], check=True)
    archive.unlink()
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "model.als": models.KNAPSACK, "alloy_solutions_1.xml": "<alloy>\n1\n"}


def test_a_model_without_solutions_is_unpopulated(tmp_path):
    with tarfile.open(models.make_model(tmp_path / "model")) as tar:
        assert tar.getnames() == ["model.als", models.NOT_POPULATED]


def test_variations_of_solutions(jar):
    right = models.expected_solutions(jar)
    assert contents(models.renumbered(right)) == contents(right)
    assert models.renumbered(right) != right
    for variation, missing, unexpected in ((models.with_one_wrong, 1, 1),
                                           (models.with_one_more, 1, 0),
                                           (models.with_one_less, 0, 1)):
        expected, found = set(contents(variation(right))), set(contents(right))
        assert (len(expected - found), len(found - expected)) == (missing, unexpected)


@pytest.mark.parametrize("format", ["tar.gz", "tar.bz2"])
def test_bombs_are_small_and_huge(format, tmp_path):
    archive = tmp_path / "bomb"
    archive.write_bytes(hostile.bomb(format))
    with tarfile.open(archive) as tar:
        assert tar.next().name == "model.als"
        member = tar.next()
        assert member.size > 1000 * archive.stat().st_size
        zeros = bytes(2 * hostile.BLOCK)
        assert tar.extractfile(member).read(len(zeros)) == zeros


def test_hostile_archives_point_at_the_victim(tmp_path):
    victim = tmp_path / "victim"
    for name in ("dot_dot", "dot_dot_inside", "absolute", "over_symlink", "hard_link",
                 "hard_link_upwards", "model_is_symlink"):
        (tmp_path / "archive").write_bytes(hostile.HOSTILE[name](victim))
        with tarfile.open(tmp_path / "archive") as tar:
            targets = [member.linkname or member.name for member in tar]
        assert any(os.path.normpath(f"/a/{target}") == str(victim) or target == str(victim)
                   for target in targets), name
