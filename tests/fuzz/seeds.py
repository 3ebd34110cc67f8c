#!/usr/bin/env python3
"""Writes what the fuzzers start from: seeds.py DIRECTORY makes DIRECTORY/TARGET/NAME."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fixtures"))
import hostile  # noqa: E402
import models  # noqa: E402

COMMIT = "287a688f338d5d8c7b27b8915629893721a1fcac"
HASH = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
LARGEST = 16 * 1024

BUILD = f"---\n:version: 2\n:job_id: 1\n:job_type: :build\n:commit: {COMMIT}\n"
RUN = (f"---\n:version: 2\n:job_id: 2\n:job_type: :run\n:commit: {COMMIT}\n:model_id: 1\n"
       f":jar_file_key: builds/{COMMIT}.jar\n:model_file_key: models/{HASH}.tar.bz2\n"
       f":algorithm: GIA\n:jar_sha256: {HASH}\n")
JOB = {"id": "2", "attempt": 1, "type": "run", "commit": COMMIT, "model_id": "1",
       "jar_key": f"builds/{COMMIT}.jar", "jar_sha256": HASH, "model_key": "models/x.tar.gz",
       "algorithm": "GIA"}
CONFIG = """# all at once
name: host/1
store: {type: directory, path: /srv/store}
git.timeout: 1h
queues: [ci, "a b", 'c: d']
build:
  commands:
  - ant deps
  text: |-
    one
    two
"""
REFUSED = ["a: &x 1\nb: *x\n", "a: !!str 1\n", "? [a]\n: 1\n", "a: 1\n---\nb: 2\n", '"a\\0b": "\\u00e9"\n',
           "%YAML 1.1\n---\na: 1\n...\n", "a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}"]
ANSWERS = ['{"worker_id":1}', '{"message_id":"x","receipt":"y","attempt":1,"body":"---\\n:version: 2\\n"}',
           '[1,-2.5e3,true,false,null,"\\u00e9\\ud83d\\ude00",{"a":[]}]']
# As S3 answers.
XML = ["<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>NoSuchKey</Code><Message>no &lt;key&gt;</Message></Error>",
       " <s:Error xmlns:s='x'><s:Code><![CDATA[<&]]></s:Code><!-- c --><?p i?></s:Error>\n",
       "<L><Upload><Key>a</Key><UploadId>&#x41;</UploadId><Initiated>2026-11-24T03:09:37.000Z</Initiated></Upload></L>",
       "<!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;'>]><a>&y;</a>", "<a>" * 17]

KEYS = """# ours
[default]
aws_access_key_id = AKIDEXAMPLE # the old one
aws_secret_access_key=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY

[profile x]\r
AWS_ACCESS_KEY_ID\t=\tASIA1\r
aws_secret_access_key = two\r
aws_session_token = three ; four\r
s3 =
  max_concurrent_requests = 20
[]
aws_access_key_id = A
  aws_secret_access_key = B
"""

ADDRESSES = ["https://me:p@ss@host:8443/a/b.git/\n../../c/./d", "git@[::1]:a/b\n../c", "ssh://u%40x@[::1]:22/~u/a%20b\n./",
             "git@host: https://host/\ngit@host:a", "/a/b\n../../../c", "file:///a\next::sh -c x"]
REQUESTS = ["0032want " + COMMIT + "\n", f"0042want {COMMIT} multi_ack_detail\n0000" + f"0032have {COMMIT}\n" * 3 + "0009done\n",
            "000dhave abc\n000chave bc\n0000"]


def archives():
    """Good ones of every kind, and the hostile ones that are small."""
    model = {"model.als": models.KNAPSACK.encode(), "sub/solution.xml": b"<alloy/>\n"}
    for ending in ["tar.gz", "tar.bz2", "tar.xz", "tar.zst"]:
        yield models.compress(models.tarred(model), ending)
    yield models.tarred(model)
    yield models.zipped(model)
    for make in hostile.HOSTILE.values():
        if make not in (hostile.bomb_bzip2, hostile.bomb_zstd, hostile.crowd):
            yield make(pathlib.Path("/tmp/fuzz-victim"))


def main():
    seeds = {
        "yaml": [BUILD, RUN, CONFIG, json.dumps(JOB), *REFUSED],
        "json": [json.dumps(JOB), *ANSWERS],
        "xml": XML,
        "ini": [KEYS, KEYS[:120], "[x]\nx\n", "[x", "[default]\n aws_access_key_id = A\n"],
        "address": ADDRESSES,
        "wire": REQUESTS,
        "job": [BUILD, RUN, json.dumps(JOB)],
        "archive": [seed for seed in archives() if len(seed) <= LARGEST],
    }
    for target, texts in seeds.items():
        directory = pathlib.Path(sys.argv[1]) / target
        directory.mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(texts):
            (directory / f"seed-{number}").write_bytes(text if isinstance(text, bytes) else text.encode())


if __name__ == "__main__":
    main()
