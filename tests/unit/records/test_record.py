import json
import re

import numpy as np
import pytest

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.paths import Job

JOB = Job("train", "digits", "smoke", "A", 0)


def raw_record():
    correct = np.array([True, False, True])
    return {
        "schema_version": 1,
        "job": {"kind": "train", "dataset": "digits", "recipe": "smoke", "variant": "A", "seed": 0},
        "status": "ok",
        "failure": None,
        "spec": {"variant": {"name": "A"}},
        "code_digest": "0" * 64,
        "dataset": None,
        "train": {
            "num_params": 10,
            "num_trainable_params": 10,
            "epochs": [
                {
                    "epoch": 1,
                    "learning_rate": 0.1,
                    "train_loss": 1.5,
                    "train_accuracy": 0.5,
                    "validation_accuracy": None,
                    "test_accuracy": 2 / 3,
                    "test_loss": 1.0,
                    "train_seconds": 1.0,
                    "evaluation_seconds": 0.1,
                    "images_per_second": 100.0,
                }
            ],
            "num_test": 3,
            "test_correct": records.pack_bits(correct),
            "test_predictions_per_class": [],
            "predictions": None,
            "teacher": None,
            "wall_seconds": 1.1,
            "num_resumes": 0,
            "initial_weights": None,
            "size_args": {},
            "final_weights_sha256": None,
            "execution": {
                "num_threads": 1,
                "layout": "channels_last",
                "mode": "eager",
                "probe": [],
                "left_out": [],
                "seeds_at_once": 1,
                "micro_batch_size": None,
                "shortages": [],
            },
        },
        "latency": None,
        "environment": {
            "git_commit": None,
            "git_dirty": None,
            "python": "3.11.7",
            "versions": {"torch": "2.11.0"},
            "os": "Linux",
            "device_kind": "cpu",
            "device_name": "a CPU",
            "device_index": None,
            "cuda": None,
            "cudnn": None,
            "driver": None,
            "cpu_model": "a CPU",
            "num_cpu_threads": 2,
            "precision_flags": {},
            "allocator": None,
            "forked": False,
        },
        "started_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:00:01+00:00",
    }


@pytest.fixture
def file(tmp_path):
    return tmp_path / "seed-0.json"


def put(file, raw):
    file.write_text(json.dumps(raw))
    return file


def problem(file, expected=JOB):
    with pytest.raises(UserError) as caught:
        records.read(file, expected)
    message = str(caught.value)
    assert str(file) in message
    assert "\n" not in message
    return message


def test_a_record_survives_the_round_trip_unrounded(file):
    raw = raw_record()
    raw["train"]["epochs"][0]["train_loss"] = 0.1 + 0.2
    record = records.read(put(file, raw), JOB)
    records.write(file, record)
    # What came later has its neutral value.
    raw["train"]["data_init"] = None
    raw["train"]["execution"]["num_processes"] = 1
    later = {"deploy": None, "consumption": None, "imported": None, "elsewhere": None}
    assert json.loads(file.read_text()) == {**raw, **later}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[1]", "is a list"),
        ("\udcff", "is not JSON"),
        ('{"schema_version": NaN}', "NaN is not a JSON number"),
    ],
)
def test_what_is_no_json_object_is_refused(file, text, part):
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert part in problem(file)


def test_a_missing_record_is_named(file):
    assert "does not exist" in problem(file)


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.0])
def test_another_schema_version_is_refused(file, version):
    raw = raw_record() | {"schema_version": version}
    assert f"schema_version must be 1, but is {version!r}" in problem(put(file, raw))


def change(raw, path, value):
    place = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "parts"),
    [
        (("train", "epochs", 0, "test_accuracy"), 1.5, ["train.epochs.0.test_accuracy", "1.5"]),
        (("train", "epochs", 0, "test_accuracy"), "high", ["train.epochs.0.test_accuracy"]),
        (("train", "epochs"), [], ["train.epochs", "at least one epoch"]),
        (("train", "extra"), 1, ["train.extra"]),
        (("job", "seed"), -1, ["job.seed"]),
        (("status",), "done", ["status", "'done'"]),
        (("train",), None, ["train must hold observations"]),
        (("status",), "failed", ["failure must", "'failed'"]),
        (("job", "variant"), "../A", ["a name is made of"]),
        (("train", "num_test"), 300, ["train.test_correct", "300 images", "38 bytes"]),
        (("train", "test_correct"), "???", ["train.test_correct"]),
        (("train", "test_correct"), records.pack_bits([True] * 3), ["has accuracy 1.0"]),
        (("train", "epochs", 0, "train_loss"), True, ["train.epochs.0.train_loss", "True"]),
        (("train", "num_params"), "10", ["train.num_params", "'10'"]),
        (("train", "num_params"), 2**53, ["train.num_params"]),
        (("train", "epochs", 0, "train_seconds"), 1e39, ["train.epochs.0.train_seconds"]),
        (("train", "epochs", 0, "epoch"), 2, ["train.epochs must be numbered 1, 2, 3"]),
        (("train", "num_trainable_params"), 11, ["must be at most num_params"]),
        (("train", "test_predictions_per_class"), [2, 2], ["train.test_predictions_per_class"]),
        (("failure",), {"reason": "diverged"}, ["failure must be null", "'ok'"]),
        (("environment", "num_cpu_threads"), 0, ["environment.num_cpu_threads"]),
        (("environment", "num_cpu_threads"), 10**30, ["environment.num_cpu_threads"]),
        (("started_at",), "yesterday", ["started_at"]),
        (("spec", "a"), float("inf"), ["Infinity is not a JSON number"]),
        (("spec", "a"), 10**30, ["spec.a: ", "2^53 - 1"]),
        (("spec", "a"), "\ud800", ["spec.a: text", "surrogate"]),
        (("environment", "os"), "\ud800", ["environment.os"]),
    ],
)
def test_a_broken_field_is_named(file, path, value, parts):
    message = problem(put(file, change(raw_record(), path, value)))
    for part in parts:
        assert part in message


def test_a_number_that_overflows_is_refused(file):
    """Python's reader makes an infinity of it."""
    text = json.dumps(raw_record() | {"spec": {"a": 12345}}).replace("12345", "1e999")
    file.write_text(text)
    assert re.search("spec.a: .*finite.*inf", problem(file))


def test_a_key_given_twice_is_refused(file):
    file.write_text(json.dumps(raw_record()).replace('"status"', '"code_digest": "x", "status"'))
    assert "key 'code_digest' is given twice" in problem(file)


def test_a_failed_record_holds_no_observations(file):
    raw = raw_record() | {"status": "failed", "failure": {"reason": "diverged"}}
    assert "train, latency and deploy must be null" in problem(put(file, raw))


def test_a_spec_that_is_nested_too_deep_is_refused(file):
    deep: dict = {}
    for _ in range(60):
        deep = {"a": deep}
    message = problem(put(file, raw_record() | {"spec": deep}))
    assert "at most 30 levels" in message


def test_a_record_that_was_moved_is_refused(file):
    other = Job("train", "digits", "smoke", "B", 0)
    assert "it was moved or renamed" in problem(put(file, raw_record()), other)


def test_bits_by_hand():
    # 1 0 1 0 0 0 0 0, 1 -> bytes 0b10100000, 0b10000000 -> base64 "oIA="
    bits = [True, False, True, False, False, False, False, False, True]
    assert records.pack_bits(bits) == "oIA="
    assert records.unpack_bits("oIA=", 9).tolist() == bits
