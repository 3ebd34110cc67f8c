"""The dashboard's pages, forms, downloads and /api, as a browser and a program meet them."""
import html.parser
import json
import urllib.parse

import pytest

from programs import Dashboard

SHA = "0123456789abcdef0123456789abcdef01234567"
EVIL = "<script>alert('&\"')</script>"
PAGES = ["/", "/commits", "/builds", "/models", "/runs", "/workers"]
VOID = {"meta", "input", "br", "option"}


class Balance(html.parser.HTMLParser):
    """Every element that begins must end, in order."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        assert tag != "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


@pytest.fixture
def dashboard(tmp_path):
    with Dashboard(tmp_path / "dashboard") as running:
        yield running


def fill(dashboard, text="first"):
    """A commit that is built, a model, a run of it that failed, a worker that waits: all named `text`."""
    answer = dashboard.post("/repo/post_commit/hook", {"commits": [
        {"id": SHA, "timestamp": "2026-11-24T03:09:37Z", "message": text}]})
    assert answer.status == 200
    assert dashboard.post("/workers/register", {"hostname": text, "kind": "run", "version": text}).status == 200
    store = dashboard.data / "store" / "builds"
    store.mkdir(parents=True)
    (store / f"{SHA}.jar").write_bytes(b"the jar")
    build = dashboard.receive("build")
    assert finish(dashboard, 1, build, return_code=0, result_s3_key=f"builds/{SHA}.jar",
                  jar_sha256="a" * 64, timings={"clone": 1.5}) == 200
    model = new_model(dashboard, text)
    assert form(dashboard, f"{model}/run", algorithm="OGIA", test_type="CORRECTNESS").status == 303
    run = dashboard.receive("correctness")
    assert finish(dashboard, 2, run, return_code=3, correct=0, real_time_seconds=1.5,
                  cpu_time_seconds=1.25, failure="exit-status", step=text, error_message=text,
                  error_details=f"last words: {text}", worker=text) == 200
    return model


def finish(dashboard, job, message, **report):
    body = {"secret_key": message["message_id"], "attempt": message["attempt"], **report}
    return dashboard.post(f"/jobs/{job}/finish", body).status


def form(dashboard, path, headers=(), **fields):
    return dashboard.post(path, urllib.parse.urlencode(fields).encode(),
                          {"Content-Type": "application/x-www-form-urlencoded", **dict(headers)})


def multipart(fields, filename=None, content=b""):
    parts = [f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]
    if filename:
        parts.append(f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{filename}"'
                     "\r\n\r\n".encode() + content + b"\r\n")
    return b"".join(parts) + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


def new_model(dashboard, path, content=b"BZh9 archive", **fields):
    answer = dashboard.post("/models", *multipart({"path": path, **fields}, "m.tar.bz2", content))
    assert answer.status == 303, answer
    return urllib.parse.urlparse(answer.headers["Location"]).path


# ---- pages ----

@pytest.mark.parametrize("page", PAGES)
def test_pages_of_an_empty_dashboard(dashboard, page):
    answer = dashboard.get(page)
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html;charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    Balance(answer.text)


def test_pages_of_a_filled_dashboard(dashboard):
    model = fill(dashboard)
    for page in [*PAGES, "/commits/1", f"/commits/{SHA}", "/jobs/1", "/jobs/2", model]:
        answer = dashboard.get(page)
        assert answer.status == 200, page
        Balance(answer.text)
    commit = dashboard.get("/commits/1").text
    assert SHA in commit and "a" * 64 in commit and "✔ good" in commit and "✘ failed" in commit
    run = dashboard.get("/jobs/2").text
    for text in "exit-status", "in step first", "last words: first", "OGIA", "correctness", "1.5 s":
        assert text in run, text
    assert "1.500 s" in dashboard.get("/jobs/1").text


def test_everything_from_outside_is_escaped(dashboard):
    model = fill(dashboard, EVIL)
    for page in [*PAGES, "/commits/1", "/jobs/1", "/jobs/2", model]:
        text = dashboard.get(page).text
        assert "<script" not in text, page
        Balance(text)
    assert "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)" in dashboard.get("/jobs/2").text


@pytest.mark.parametrize("page", ["/commits/1", "/commits/x", "/jobs/1", "/jobs/x", "/models/1",
                                  "/models/-1", "/nope", "/commits/" + "f" * 40])
def test_what_is_not_there_is_404(dashboard, page):
    assert dashboard.get(page).status == 404


# ---- when something is wrong ----

def test_the_failure_of_an_existing_workers_build_is_shown(dashboard):
    dashboard.push(SHA)
    build = dashboard.receive("build")
    assert finish(dashboard, 1, build, return_code=256, error_message="Failed to build.",
                  error_details="[javac] 1 error\nBUILD FAILED\n") == 200
    for page in "/jobs/1", "/commits/1":
        text = dashboard.get(page).text
        Balance(text)
        for part in "return code 256", "attempt 1: Failed to build.", "BUILD FAILED":
            assert part in text, (page, part)
    for page in "/", "/builds":
        assert "Failed to build." in dashboard.get(page).text


def test_pages_lead_with_the_latest_failure_until_it_is_mended(dashboard):
    model = fill(dashboard)
    text = dashboard.get(model).text
    for part in "Latest failure", "in step first on first, attempt 1: first", "last words: first", "/jobs/2/result":
        assert (part in text) == (part != "/jobs/2/result"), part  # no tarball came
    assert form(dashboard, f"{model}/run").status == 303
    assert "Latest failure" in dashboard.get(model).text  # the new one waits
    run = dashboard.receive("performance")
    assert finish(dashboard, 3, run, return_code=0, correct=1, result_s3_key="results/3-1.tar.zst") == 200
    text = dashboard.get(model).text
    assert "Latest failure" not in text and "/jobs/3/result" in text
    Balance(text)


def test_wrong_solutions_without_a_code_are_told(dashboard):
    model = fill(dashboard)
    form(dashboard, f"{model}/run")
    run = dashboard.receive("performance")
    assert finish(dashboard, 3, run, return_code=0, correct=0) == 200
    assert "solutions differ" in dashboard.get("/jobs/3").text


def test_a_good_run_with_trouble_tells_it(dashboard):
    model = fill(dashboard)
    form(dashboard, f"{model}/run")
    run = dashboard.receive("performance")
    assert finish(dashboard, 3, run, return_code=0, correct=1, failure="disk-full", step="package") == 200
    text = dashboard.get("/jobs/3").text
    assert "✔ good" in text and "disk-full" in text and "in step package" in text


def test_a_running_job_shows_how_far_it_is(dashboard):
    dashboard.push(SHA)
    worker = dashboard.post("/workers/register", {"hostname": "host/1", "kind": "build"}).json["worker_id"]
    assert "waiting" in dashboard.get("/jobs/1").text
    dashboard.receive("build")
    assert "claimed" in dashboard.get("/jobs/1").text and "test/1, attempt 1" in dashboard.get("/jobs/1").text
    assert dashboard.post("/jobs/1/start", {"attempt": 1, "worker": "host/1"}).status == 200
    progress = {"done": 1 << 20, "total": 4 << 20, "unit": "bytes"}
    assert dashboard.post(f"/workers/{worker}/heartbeat",
                          {"job_id": 1, "attempt": 1, "step": "clone", "progress": progress}).status == 200
    for page in "/", "/workers", "/jobs/1":
        text = dashboard.get(page).text
        assert "clone 25 % of 4.0 MiB" in text and "host/1" in text, page
        Balance(text)
    assert "running" in dashboard.get("/jobs/1").text


def test_workers_that_are_silent_stand_out(dashboard):
    for name, minutes in ("fine", 4), ("slow", 6), ("gone", 11):
        worker = dashboard.post("/workers/register", {"hostname": name, "kind": "run"}).json["worker_id"]
        dashboard.sql("UPDATE workers SET last_heartbeat = last_heartbeat - ? WHERE id = ?",
                      minutes * 60000, worker)
    rows = dashboard.get("/workers").text.split("<tr>")
    for name, word in ("fine", ">ok<"), ("slow", ">warning<"), ("gone", ">failed<"):
        [row] = [row for row in rows if f"<td>{name}</td>" in row]
        assert word in row


# ---- /api ----

def test_api_of_an_empty_dashboard(dashboard):
    for path in "commits", "builds", "runs", "models", "workers":
        answer = dashboard.get(f"/api/{path}")
        assert answer.json == [] and answer.headers["Content-Type"] == "application/json"
    assert dashboard.get("/api/overview").json["commits"] == 0
    for path in "commits/1", "jobs/1", "jobs/0", "models/1":
        assert dashboard.get(f"/api/{path}").status == 404


def test_api_tells_all(dashboard):
    fill(dashboard)
    [commit] = dashboard.get("/api/commits").json
    assert commit == dashboard.get(f"/api/commits/{SHA}").json == dashboard.get("/api/commits/1").json
    assert commit["sha"] == SHA and commit["build_good"] is True and commit["time"] == "2026-11-24T03:09:37.000Z"
    [build] = dashboard.get("/api/builds").json
    assert build["timings"] == {"clone": 1.5} and build["jar_sha256"] == "a" * 64
    job = dashboard.get("/api/jobs/2").json
    [run] = dashboard.get("/api/runs").json
    assert {**run, "error_details": "last words: first"} == job
    assert (job["good"], job["correct"], job["failure"], job["attempt"]) == (False, False, "exit-status", 1)
    assert job["finished_at"].endswith("Z") and len(job["finished_at"]) == 24
    assert dashboard.get("/api/models/1").json["run_id"] == 2
    [worker] = dashboard.get("/api/workers").json
    assert worker["hostname"] == "first"
    assert "secret" not in json.dumps([commit, build, job, worker])


def test_lists_come_in_pieces(dashboard):
    dashboard.push(*(f"{number:040x}" for number in range(1, 6)))
    ids = [commit["id"] for commit in dashboard.get("/api/commits?limit=2").json]
    assert ids == [5, 4]
    assert [commit["id"] for commit in dashboard.get("/api/commits?limit=9&before=4").json] == [3, 2, 1]
    assert len(dashboard.get("/api/commits?limit=x&before=-1").json) == 5


def test_long_lists_lead_on(dashboard):
    dashboard.push(*(f"{number:040x}" for number in range(1, 6)))
    for path in "/commits", "/builds":
        newest = dashboard.get(f"{path}?limit=2").text
        assert f'href="{path}?before=4&amp;limit=2">Older' in newest and ">Newest<" not in newest
        oldest = dashboard.get(f"{path}?limit=4&before=2").text
        assert ">Older<" not in oldest and f'href="{path}">Newest' in oldest
        Balance(oldest)


@pytest.mark.parametrize("view", ["commit_list", "model_list"])
def test_a_page_does_not_read_all_jobs_there_ever_were(dashboard, view):
    plan = [step["detail"] for step in dashboard.sql(f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE id = 1")]
    assert not [step for step in plan if step.startswith(("SCAN", "MATERIALIZE"))], plan


# ---- downloads ----

def test_downloads(dashboard):
    model = fill(dashboard)
    for path in "/commits/1/download", f"/commits/{SHA}/download", "/jobs/1/result":
        answer = dashboard.get(path)
        assert answer.body == b"the jar"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{SHA}.jar"'
    assert dashboard.get(f"{model}/download").body == b"BZh9 archive"


def test_nothing_to_download(dashboard):
    fill(dashboard)
    none = dashboard.get("/commits/99/download")
    assert (none.status, none.text) == (400, "400 - No good build.")
    assert dashboard.get("/jobs/2/result").status == 404
    (dashboard.data / "store/builds" / f"{SHA}.jar").unlink()
    assert dashboard.get("/commits/1/download").status == 404


# ---- forms ----

def test_a_person_asks_for_a_build(dashboard):
    dashboard.push(SHA)
    answer = form(dashboard, "/commits/1/build")
    assert answer.status == 303 and answer.headers["Location"] == f"{dashboard.url}/commits/1"
    assert [build["id"] for build in dashboard.get("/api/builds").json] == [2, 1]
    assert form(dashboard, "/commits/9/build").status == 404


def test_a_run_needs_a_good_build_and_an_archive(dashboard):
    model = new_model(dashboard, "m")
    refused = form(dashboard, f"{model}/run", test_type="PERFORMANCE")
    assert refused.status == 400 and "no commit has a good build yet" in refused.text
    assert form(dashboard, "/models/9/run").status == 400


@pytest.mark.parametrize("fields, status", [
    ({"test_type": "ci", "algorithm": "PGIA", "commit": SHA}, 303), ({}, 303),
    ({"test_type": "nonsense"}, 400), ({"algorithm": "nonsense"}, 400), ({"commit": "f" * 40}, 404)])
def test_a_person_asks_for_a_run(dashboard, fields, status):
    model = fill(dashboard)
    assert form(dashboard, f"{model}/run", **fields).status == status
    assert len(dashboard.get("/api/runs").json) == (2 if status == 303 else 1)


def test_ci_is_switched(dashboard):
    model = new_model(dashboard, "m", ci="1")
    assert dashboard.get("/api/models/1").json["ci_enabled"] is True
    assert form(dashboard, f"{model}/ci", enabled="0").status == 303
    assert dashboard.get("/api/models/1").json["ci_enabled"] is False
    assert form(dashboard, "/models/9/ci", enabled="1").status == 404


def test_a_model_that_is_refused_is_not_made(dashboard):
    for body in (multipart({"path": "m"}), multipart({"path": ""}, "m.tar.bz2", b"BZh9"),
                 multipart({"path": "m"}, "m.exe", b"MZ"), multipart({"path": "m"}, "m.tar.bz2", b"no")):
        assert dashboard.post("/models", *body).status == 400
    assert dashboard.get("/api/models").json == []
    new_model(dashboard, "m")
    assert dashboard.post("/models", *multipart({"path": "m"}, "m.tar.bz2", b"BZh9 other")).status == 409


def test_forms_of_another_site_are_refused(dashboard):
    dashboard.push(SHA)
    answer = form(dashboard, "/commits/1/build", {"Origin": "http://evil.example"})
    assert answer.status == 403 and len(dashboard.get("/api/builds").json) == 1


def test_pages_are_open_and_the_rest_wants_the_password(tmp_path):
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    config = tmp_path / "config.yaml"
    config.write_text(f"username: me\npassword-file: {secret}\n")
    with Dashboard(tmp_path / "dashboard", ["--config", config]) as dashboard:
        assert dashboard.get("/").status == 200 and dashboard.get("/api/runs").status == 200
        for path in "/commits/1/download", "/jobs/1/result", "/models/1/download":
            assert dashboard.get(path).status == 401
        for path in "/commits/1/build", "/models/1/run", "/models/1/ci", "/models":
            assert dashboard.post(path).status == 401
