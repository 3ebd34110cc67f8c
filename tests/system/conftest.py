"""What system tests share. When a test fails, the ends of the logs of all sites' programs are shown.

Tests that need the S3 server or the SQS emulator fail where these are not installed. Only with
MOOLLOY_SKIP_SERVERS=1 they are skipped, and the summary says so."""
import ctypes
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "fixtures"))
import make_repository
import models
import programs
import workers
from existing_site import ExistingSite
from fault_proxy import FaultProxy
from s3_server import S3Server
from site_of_programs import Site
from sqs_server import SqsServer

PR_SET_CHILD_SUBREAPER = 36
LOG_LINES = 60
HERE = pathlib.Path(__file__).resolve().parent

SKIP_SERVERS = os.environ.get("MOOLLOY_SKIP_SERVERS") == "1"

sites = []
servers_of_session = []  # ended by nothing_left(), which pytest may end before other fixtures
skipped_for_servers = []


@pytest.fixture
def dashboard(tmp_path):
    """A dashboard without a password on a port of its own."""
    with programs.Dashboard(tmp_path / "dashboard") as running:
        yield running
        assert running.stop() == 0, running.log_text()


@pytest.fixture(scope="session", autouse=True)
def nothing_left():
    """Whatever loses its parent becomes our child: when all is over none may be there."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    while servers_of_session:
        servers_of_session.pop().stop()
    left = workers.living(workers.children("self"))
    assert not left, [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]


def make_site(kind=Site, **options):
    site = kind(**options)
    sites.append(site)
    return site


def end_site(site, check):
    sites.remove(site)
    site.stop(check)


@pytest.fixture
def new_site(request):
    """Makes sites, which are ended with the test. store: directory, or s3; queue: dashboard, of ours,
    or sqs, with the existing dashboard."""
    made = []

    def make(store="directory", queue="dashboard", **options):
        if store == "s3":
            options["s3"] = request.getfixturevalue("s3_server")
        if queue == "sqs":
            options |= {"kind": ExistingSite, "sqs": request.getfixturevalue("sqs_server")}
        made.append(make_site(**options))
        return made[-1]

    yield make
    for site in made:
        end_site(site, check=not request.node.failed)


@pytest.fixture(params=[("dashboard", "directory"), ("dashboard", "s3"), ("sqs", "directory"),
                        ("sqs", "s3")], ids="-".join)
def set_up(request):
    """Options of new_site(): each way that a site can be set up."""
    queue, store = request.param
    return {"queue": queue, "store": store}


@pytest.fixture
def servers(request):
    """May this test use servers that are not ours?"""
    if SKIP_SERVERS:
        skipped_for_servers.append(request.node.nodeid)
        pytest.skip("MOOLLOY_SKIP_SERVERS=1")


@pytest.fixture(scope="session")
def s3_of_session(tmp_path_factory):
    servers_of_session.append(S3Server(tmp_path_factory.mktemp("s3")))
    return servers_of_session[-1]


@pytest.fixture
def s3_server(servers, request):
    """The S3 server of all tests: each keeps to keys or prefixes of its own."""
    return request.getfixturevalue("s3_of_session")


@pytest.fixture(scope="session")
def sqs_of_session(tmp_path_factory):
    servers_of_session.append(SqsServer(tmp_path_factory.mktemp("sqs")))
    return servers_of_session[-1]


@pytest.fixture
def sqs_server(servers, request):
    """The SQS of all tests: each makes queues of its own."""
    return request.getfixturevalue("sqs_of_session")


@pytest.fixture
def s3_proxy(s3_server):
    with FaultProxy("127.0.0.1", s3_server.port) as proxy:
        yield proxy


@pytest.fixture
def sqs_proxy(sqs_server):
    with FaultProxy("127.0.0.1", sqs_server.port) as proxy:
        yield proxy


def pytest_terminal_summary(terminalreporter):
    if skipped_for_servers:
        terminalreporter.write_sep("!", f"MOOLLOY_SKIP_SERVERS=1: {len(skipped_for_servers)} tests "
                                        "of S3 and SQS were NOT run", red=True, bold=True)


@pytest.fixture(scope="session")
def jar(tmp_path_factory):
    """The sample moolloy, built."""
    directory = tmp_path_factory.mktemp("moolloy")
    make_repository.make_repositories(directory)
    tree = directory / "tree"
    make_repository.git(directory, "clone", "--quiet", "--recurse-submodules", "moolloy", str(tree))
    subprocess.run(["ant", "-q", "deps", "configure", "dist"], cwd=tree, check=True,
                   capture_output=True)
    return tree / "dist" / "alloy-dev.jar"


@pytest.fixture(scope="session")
def solutions(jar):
    """What the jar finds for models.KNAPSACK."""
    return models.expected_solutions(jar)


@pytest.fixture
def archive(tmp_path, solutions):
    """Makes a model's archive. By default it is populated, with the right solutions."""
    def make(als=models.KNAPSACK, expected=solutions, format="tar.bz2", **more):
        return models.make_model(tmp_path / f"model.{format}", als, expected, format, **more)
    return make


@pytest.fixture
def brief(archive):
    """Gives the run worker of a site a run that takes a second and ends well, and waits until it does
    its work; the job's id."""
    def make(site):
        als = models.misbehaving("delay 1")
        job = site.request_run(site.add_model("brief", archive(als), ci=False))
        site.run_worker.wait_for_step("execute")
        return job

    return make


@pytest.fixture
def busy(jar, archive):
    """Gives the run worker of a site a job that goes on for ever, with a process in a session of its
    own; the job's id, and the seconds that this process sleeps."""
    def make(site, **request):
        seconds = models.unique_seconds()
        als = models.misbehaving(f"spawn {seconds}", "delay 3600")
        if not site.commit:
            site.add_built_commit(jar)
        job = site.request_run(site.add_model(f"busy {seconds}", archive(als), ci=False), **request)
        programs.wait_for(lambda: workers.sleepers(seconds), "the process that the run leaves")
        return job, seconds

    return make


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    item.failed = report.failed or getattr(item, "failed", False)
    if report.failed:
        for site in sites:
            for name, log in site.logs().items():
                report.sections.append((f"log of {name}", "\n".join(log.splitlines()[-LOG_LINES:])))
