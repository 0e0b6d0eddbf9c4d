"""What a job takes from a store and brings there. tests/workflow/test_storage.py runs it on a real S3 server."""

import hashlib
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from resnest_bench.cli import store as store_module
from resnest_bench.cli.store import Folder, Store, list_needs, run_in_store, same, split_address
from resnest_bench.errors import UserError
from resnest_bench.specs import dump_study, study_from_config

VARIANT = {"name": "A", "family": "classic", "model": "lenet5"}
CONFIG = {
    "study": "tiny",
    "seeds": [0, 1],
    "variants": [VARIANT],
    "datasets": {"low": {"source": "digits", "classes": [0, 1]}},
    "recipes": {"quick": {"epochs": 1, "batch_size": 8, "learning_rate": 0.1}},
    "train": [{"dataset": "low", "recipe": "quick"}],
}
RECORDS = [f"results/tiny/records/train/low/quick/A/seed-{seed}.json" for seed in (0, 1)]
CHECKPOINTS = "results/tiny/checkpoints"


class Bucket:
    """The five calls of boto3's client that a Store makes, on a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_paginator(self, name):
        def paginate(Bucket, Prefix):
            yield {
                "Contents": [
                    {
                        "Key": key,
                        "Size": len(body),
                        "ETag": f'"{hashlib.md5(body).hexdigest()}"',
                        "LastModified": datetime.now(UTC),
                    }
                    for key, body in self.objects.items()
                    if key.startswith(Prefix)
                ]
            }

        return SimpleNamespace(paginate=paginate)

    def download_file(self, bucket, key, path):
        Path(path).write_bytes(self.objects[key])

    def upload_fileobj(self, file, bucket, key, Config):
        self.objects[key] = file.read()

    def delete_object(self, Bucket, Key):
        del self.objects[Key]


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Bucket()


def open_store(bucket: Bucket) -> Store:
    opened = Store.__new__(Store)
    opened.bucket, opened.root, opened.client = "b", "p/", bucket
    opened.transfer, opened.stored = None, {}
    return opened


def write(path: str | Path, text: str) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_an_address_is_a_bucket_with_or_without_a_prefix():
    assert split_address("s3://b") == ("b", "")
    assert split_address("s3://b/p/q/") == ("b", "p/q/")
    for wrong in ("b/p", "gs://b", "s3://"):
        with pytest.raises(UserError, match="s3://BUCKET"):
            split_address(wrong)


def test_a_training_takes_arrays_and_brings_weights_and_checkpoints():
    study = study_from_config(CONFIG, "test")
    needs = list_needs(study, study.paths(), RECORDS)
    checkpoints = Folder(Path(CHECKPOINTS), f"{CHECKPOINTS}/train/low/quick/A/")
    weights = same(Path("results/tiny/weights/low/quick/A"))
    assert needs.push == [same(Path(RECORDS[0]).parent), weights, checkpoints]
    assert needs.pull == [same(study.prepared("low")), *needs.push]


def test_the_job_of_a_dataset_brings_its_arrays_and_the_tables_take_all_records():
    study = study_from_config(CONFIG, "test")
    folder = study.prepared("low")
    assert list_needs(study, study.paths(), [f"{folder}/meta.json"]).push == [same(folder)]
    needs = list_needs(study, study.paths(), ["results/tiny/tables/runs.csv"])
    assert needs.pull == [same(Path("results/tiny/records"))]
    assert not needs.push


def test_a_pull_keeps_what_is_newer_here_and_replaces_what_is_older(bucket):
    bucket.objects = {"p/d/new": b"store", "p/d/older": b"store", "p/d/newer": b"store"}
    for name, second in (("older", 1), ("newer", time.time() + 1000)):
        os.utime(write(f"d/{name}", "here"), (second, second))
    open_store(bucket).pull(same(Path("d")))
    assert {p.name: p.read_text() for p in Path("d").iterdir()} == {
        "new": "store",
        "older": "store",
        "newer": "here",
    }


def test_a_key_that_leads_outside_the_working_folder_is_not_written(bucket, tmp_path):
    bucket.objects = {"p/d/../../outside": b"x"}
    open_store(bucket).pull(same(Path("d")))
    assert not (tmp_path.parent / "outside").exists()


def test_locks_and_hidden_files_stay_here_and_nothing_is_sent_twice(bucket):
    for name in ("lock", ".half", "state"):
        write(f"d/{name}", name)
    opened = open_store(bucket)
    opened.push(same(Path("d")))
    assert set(bucket.objects) == {"p/d/state"}
    bucket.objects.clear()
    opened.push(same(Path("d")))
    assert not bucket.objects


JOB = """
import pathlib, sys, time
def write(path, text):
    path = pathlib.Path(path); path.parent.mkdir(parents=True, exist_ok=True); path.write_text(text)
"""


def run(bucket: Bucket, script: str) -> int:
    study = study_from_config(CONFIG, "test")
    bucket.objects["p/results/tiny/study.json"] = dump_study(study).encode()
    outputs = [Path("mirror", name) for name in RECORDS]
    command = [sys.executable, "-c", JOB + script]
    file = Path("results/tiny/study.json")
    return run_in_store(open_store(bucket), file, Path("mirror"), outputs, command)


def test_outputs_go_to_snakemakes_copy_and_the_rest_to_the_store(bucket):
    script = f"""
for record in {RECORDS}: write(record, 'a record'); write(record.replace('json', 'npz'), 'predictions')
pathlib.Path({CHECKPOINTS!r}, 'k/state').unlink()
"""
    bucket.objects[f"p/{CHECKPOINTS}/train/low/quick/A/k/state"] = b"of the job before"
    assert run(bucket, script) == 0
    assert all(Path("mirror", name).read_text() == "a record" for name in RECORDS)
    pushed = {f"p/{name.replace('json', 'npz')}" for name in RECORDS}
    assert set(bucket.objects) == {"p/results/tiny/study.json", *pushed}


def test_a_killed_jobs_checkpoint_is_in_the_store_before_it_ends(bucket, monkeypatch):
    monkeypatch.setattr(store_module, "PUSH_SECONDS", 0.01)
    key = f"p/{CHECKPOINTS}/train/low/quick/A/k/state"
    uploaded = Path("uploaded").resolve()
    keep = bucket.upload_fileobj

    def upload(file, *arguments, **options):
        keep(file, *arguments, **options)
        uploaded.touch()

    bucket.upload_fileobj = upload
    script = f"""
import os
write({CHECKPOINTS + "/k/state"!r}, 'epoch 1')
while not os.path.exists({str(uploaded)!r}): time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
    assert run(bucket, script) == 128 + signal.SIGKILL
    assert bucket.objects[key] == b"epoch 1"
    assert not Path("mirror").exists()
