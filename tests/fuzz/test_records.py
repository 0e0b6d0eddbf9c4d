"""A record is accepted whole or refused in one line, and whatever is accepted makes tables."""

import copy
import json
import math
import warnings

import jsonschema
import pytest

from resnest_bench import records
from resnest_bench.errors import UserError
from resnest_bench.frames.rows import build_cells, build_epochs, build_runs, build_samples
from resnest_bench.paths import Job
from resnest_bench.records.progress import LiveProgress, read_progress
from resnest_bench.status.outcomes import outcomes
from support.fuzzing import bent, damaged, fuzzed, not_finite, replaced, same_meaning
from support.records_factory import (
    GPU,
    make_cell,
    make_epochs,
    make_failed_record,
    make_record,
    make_study,
)

STUDY = make_study()
SCHEMA = jsonschema.Draft202012Validator(records.json_schema())
JOBS = {
    "train": Job("train", "low", "quick", "A", 1),
    "latency": Job("latency", "low", "fast", "B", 0),
    "failed": Job("train", "low", "quick", "B", 0),
}
GAP = {
    "batch_size": 256,
    "precision": "fp32",
    "layout": "channels_last",
    "mode": "eager",
    "reason": "does not fit",
    "does_not_fit": True,
    "memory_bytes": 2**34,
}
CELLS = [
    make_cell(1, [1.0, 1.1, 1.2], device_samples_ms=[0.9, 1.0, 1.1], peak_memory_bytes=10**8),
    make_cell(8, [4.0, 4.5], mode="folded", output_error=1e-6),
]


def raw_train():
    raw = make_record(STUDY, JOBS["train"], device=GPU).model_dump(mode="json")
    raw["train"]["execution"] |= {
        "probe": [{"layout": "contiguous", "mode": "eager", "batch_size": 64, "step_ms": 5.0}],
        "micro_batch_size": 16,
        "shortages": [{"epoch": 1, "step": 2, "micro_batch_size": 16}],
    }
    raw["train"]["initial_weights"] = {
        "source": "hub x",
        "sha256": "a" * 64,
        "license": "MIT",
        "key": None,
        "renamed": {},
        "ignored": [],
        "converted": [],
    }
    return raw


def raw_latency():
    record = make_record(STUDY, JOBS["latency"], cells=CELLS, unavailable=(GAP,), device=GPU)
    raw = record.model_dump(mode="json")
    raw["latency"]["state_before"] |= {"sm_clock_mhz": 1500.0, "throttle_reasons": ["idle"]}
    return raw


def raw_failed():
    job = JOBS["failed"]
    return make_failed_record(job, STUDY.job_spec(job), "diverged", 3).model_dump(mode="json")


VALID = {"train": raw_train(), "latency": raw_latency(), "failed": raw_failed()}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The paths of a study whose only records are those that a test writes."""
    return STUDY.paths(tmp_path_factory.mktemp("fuzz"))


def put(place, kind, text):
    path = place.record(JOBS[kind])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return path


def dumped(raw):
    return json.dumps(raw).encode()


def accepted(path, job):
    """The record, or None where it is refused in one line that names the file."""
    try:
        return records.read(path, job)
    except UserError as error:
        assert_told(error, path)
        return None


def assert_told(error, path):
    assert str(path) in str(error)
    assert str(error).isprintable()


def check(place, path, job):
    """What must hold of every file: its record is refused, or is whole and makes tables."""
    record = accepted(path, job)
    found = outcomes(STUDY, place, jobs=[job])
    with warnings.catch_warnings():
        # A mean or a percentile that overflows would be told by numpy alone.
        warnings.simplefilter("error")
        frames = [make(found) for make in (build_runs, build_cells, build_epochs, build_samples)]
    for frame in frames:
        for row in frame.to_dict("records"):
            assert not [v for v in row.values() if isinstance(v, float) and math.isinf(v)]
        frame.to_csv().encode()
    if record is None:
        assert found[0].status == "invalid"
        return None
    raw = record.model_dump(mode="json")
    assert list(SCHEMA.iter_errors(raw)) == []
    assert record.job.job == job
    assert not_finite(raw) == []
    path.write_bytes(b"")
    records.write(path, record)
    assert records.read(path, job) == record
    return raw


@pytest.mark.parametrize("kind", VALID)
def test_the_record_that_is_bent_is_valid(place, kind):
    assert check(place, put(place, kind, dumped(VALID[kind])), JOBS[kind]) == VALID[kind]


def _changed(place, kind, mutation):
    raw, path, value = mutation
    kept = check(place, put(place, kind, dumped(raw)), JOBS[kind])
    if kept is None:
        return
    for key in path:
        kept = kept[key]
    # No text for a number here, nor a number for a truth: a record is written by a program.
    assert same_meaning(value, kept), (path, value, kept)
    assert isinstance(value, str) == isinstance(kept, str)


@fuzzed(0.8, mutation=replaced(VALID["train"]))
def test_a_changed_value_of_a_training_is_kept_or_refused(place, mutation):
    _changed(place, "train", mutation)


@fuzzed(0.8, mutation=replaced(VALID["latency"]))
def test_a_changed_value_of_a_latency_is_kept_or_refused(place, mutation):
    _changed(place, "latency", mutation)


@fuzzed(0.2, mutation=replaced(VALID["failed"]))
def test_a_changed_value_of_a_failure_is_kept_or_refused(place, mutation):
    _changed(place, "failed", mutation)


@fuzzed(0.5, raw=bent(VALID["train"]))
def test_a_bent_training_is_whole_or_refused(place, raw):
    check(place, put(place, "train", dumped(raw)), JOBS["train"])


@fuzzed(0.5, raw=bent(VALID["latency"]))
def test_a_bent_latency_is_whole_or_refused(place, raw):
    check(place, put(place, "latency", dumped(raw)), JOBS["latency"])


@fuzzed(0.5, text=damaged(dumped(VALID["train"])))
def test_a_damaged_file_is_whole_or_refused(place, text):
    check(place, put(place, "train", text), JOBS["train"])


@fuzzed(0.2, text=damaged(b"[" * 50 + dumped({"a": 1}) + b"]" * 50))
def test_any_other_json_is_refused(place, text):
    path = put(place, "train", text)
    assert check(place, path, JOBS["train"]) is None


PROGRESS = {
    "job": copy.deepcopy(VALID["train"]["job"]),
    "num_epochs": 2,
    "epochs": make_epochs(0.5, 1),
    "dataset_label": "x",
    "device_kind": "cpu",
    "device_name": "y",
    "updated_at": "2026-01-01T00:00:00+00:00",
}


@fuzzed(0.2, raw=bent(PROGRESS))
def test_a_bent_progress_file_is_whole_or_refused(place, raw):
    path = put(place, "failed", dumped(raw)).with_name("progress.json")
    path.write_bytes(dumped(raw))
    try:
        seen = read_progress(path, JOBS["train"])
    except UserError as error:
        assert_told(error, path)
    else:
        assert LiveProgress.model_validate(seen.model_dump()) == seen
        assert seen.job.job == JOBS["train"]
