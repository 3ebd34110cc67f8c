"""Our dashboard with its models and results in S3: it serves others while the store is slow."""
import concurrent.futures
import pathlib
import socket

import pytest

from fault_proxy import Stall, s3_error
from programs import DEADLINE, wait_for


def proxied(new_site, s3_proxy, **settings):
    """A site whose dashboard reaches S3 by way of the proxy."""
    site = new_site(store="s3", workers=[])
    site.objects.settings |= {"store.endpoint": s3_proxy.endpoint, **settings}
    assert site.dashboard.stop() == 0
    site.dashboard = site.start_dashboard(None)
    return site


def test_what_lies_in_s3_can_be_downloaded(new_site, jar, archive):
    site = new_site(store="s3", workers=["run"])
    site.add_built_commit(jar)
    file = archive()
    model = site.add_model("model", file, ci=False)
    run = site.run(model)
    assert run["correct"] == 1
    get = site.dashboard.get
    assert get(f"/commits/{site.commit}/download").body == jar.read_bytes()
    assert get(f"/models/{model}/download").body == file.read_bytes()
    assert get(f"/jobs/{run['id']}/result").body == site.objects.get(run["result_s3_key"])


def test_others_are_served_while_the_store_is_silent(new_site, s3_proxy, archive):
    site = proxied(new_site, s3_proxy)
    model = site.add_model("model", archive(), ci=False)
    s3_proxy.fault(Stall(at="headers"), "GET", r"/models/", times=None)
    with socket.create_connection(("127.0.0.1", site.dashboard.port), timeout=DEADLINE) as waiting:
        waiting.sendall(f"GET /models/{model}/download HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        wait_for(lambda: s3_proxy.requests("GET", r"/models/"), "the request to the store")
        assert site.dashboard.get("/").status == 200
        waiting.setblocking(False)
        with pytest.raises(BlockingIOError):
            waiting.recv(1)
        # Nor does it wait for ever to stop.
        assert site.dashboard.stop() == 0
    site.dashboard.start()


def test_a_crowd_takes_turns(new_site, s3_proxy, archive):
    """Whoever asks for downloads cannot make the dashboard start threads without end."""
    site = proxied(new_site, s3_proxy, **{"store.stall-timeout": "1s"})
    file = archive()
    model = site.add_model("model", file, ci=False)
    s3_proxy.fault(Stall(at="headers"), "GET", r"/models/", times=None)
    get = site.dashboard.get
    with concurrent.futures.ThreadPoolExecutor(20) as crowd:
        answers = [crowd.submit(get, f"/models/{model}/download") for _ in range(20)]
        wait_for(lambda: len(s3_proxy.requests("GET", r"/models/")) >= 8, "the first ones")
        assert get("/").status == 200
        most = len(list(pathlib.Path(f"/proc/{site.dashboard.process.pid}/task").iterdir()))
        s3_proxy.clear()
        assert all(answer.result().body == file.read_bytes() for answer in answers)
    assert most <= 9


def test_a_store_that_refuses(new_site, s3_proxy, archive):
    site = proxied(new_site, s3_proxy)
    s3_proxy.fault(s3_error(403, "AccessDenied"), "PUT", r"/models/", times=None)
    answer = site.dashboard.upload_model(site.dashboard.add_model("model", None),
                                         archive().read_bytes())
    assert answer.status == 500 and "access-denied" in answer.text
    assert "access-denied" in site.dashboard.log_text()
    s3_proxy.clear()
    assert site.dashboard.add_model("another", archive().read_bytes())
