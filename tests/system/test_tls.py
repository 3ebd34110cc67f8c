"""S3 and SQS over https, with certificates that only a CA file vouches for."""
import os

import pytest

import models
from test_store_s3 import Store, sha256
from tls_front import TlsFront, make_authority

LARGE = os.urandom(17 << 20)  # goes in parts
BRIEF = {"run.java": "/bin/true"}


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    """PEM files: of the servers, and of a stranger."""
    directory = tmp_path_factory.mktemp("authorities")
    return [make_authority(directory, name) for name in ("ours", "strange")]


@pytest.fixture
def front(s3_server, authorities):
    with TlsFront(s3_server.port, authorities[0]) as front:
        yield front


@pytest.fixture
def store(tmp_path, s3_server, front, authorities):
    made = Store(tmp_path, s3_server, front)
    made.configure(ca_file=authorities[0])
    yield made
    assert not made.uploads()


def test_what_goes_in_comes_out(store, front):
    for name, put in ("file", store.put), ("stream", store.put_stream):
        output, code = put(name, LARGE)
        assert code is None and sha256(LARGE) in output
        assert store.stored(name) == LARGE
        assert store.get(name) == (LARGE, None)
    assert front.served


@pytest.mark.parametrize("authority", ["the system's", "a stranger"])
def test_certificates_that_nobody_vouches_for(store, front, authorities, authority):
    store.configure(**({"ca_file": authorities[1]} if authority == "a stranger" else {}))
    errors, code = store.put("a", b"abc")
    assert code == "tls" and "certificate" in errors and front.endpoint in errors
    assert store.stored("a") is None


def test_handshakes_that_break(store, front):
    """As when a server is started anew: the certificate is not to blame."""
    front.cut = 2
    errors, code = store.put("a", b"abc")
    assert code is None, errors
    assert front.cut == 0 and store.stored("a") == b"abc"


def test_uploads_that_break(store, front):
    front.broken = 2
    content = os.urandom(8 << 20)
    errors, code = store.put("a", content, replace=True)
    assert code is None, errors
    assert front.broken == 0 and store.stored("a") == content


def test_a_job(new_site, sqs_server, s3_server, front, authorities, jar, tmp_path):
    ours, strange = (str(authority) for authority in authorities)
    with TlsFront(sqs_server.port, authorities[0]) as sqs_front:
        site = new_site(store="s3", queue="sqs", workers=[])
        site.add_built_commit(jar)
        model = site.add_model("empty", models.make_model(tmp_path / "m.tar.bz2", models.EMPTY, {}))
        encrypted = {"store.endpoint": front.endpoint, "store.ca-file": ours,
                     "queue.endpoint": sqs_front.endpoint}
        worker = site.add_worker("run", **BRIEF, **encrypted, **{"queue.ca-file": strange}).start()
        worker.wait_until(lambda status: "certificate" in status.get("why", ""), "a wrong CA")
        assert "[tls]" in worker.log()
        worker.stop()
        worker.configure(queue__ca_file=ours)
        worker.start()
        done = site.wait_for_job(id=site.request_run(model))
        assert done["return_code"] == 0 and done["result_s3_key"] in site.objects.list("results/")
        assert sqs_front.served and front.served
