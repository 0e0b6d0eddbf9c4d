from datetime import UTC, datetime

import pytest

from resnest_bench.frames.live import list_states, live_epochs, trainings_frame
from resnest_bench.frames.rows import EPOCH_COLUMNS, collect
from resnest_bench.live.from_files import read_states, read_trainings
from resnest_bench.paths import Job
from resnest_bench.records.progress import LiveProgress, write_progress
from support.records_factory import make_epochs, make_failed_record

JOB = Job("train", "low", "quick", "A", 1)
NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


def tell(paths, job=JOB, epochs=1, num_epochs=2):
    seen = LiveProgress.model_validate(
        {
            "job": vars(job),
            "num_epochs": num_epochs,
            "epochs": make_epochs(0.5, epochs),
            "dataset_label": "Synthetic low",
            "device_kind": "cpu",
            "device_name": "X",
            "updated_at": "2026-01-01T00:00:00+00:00",
        }
    )
    write_progress(paths.progress(job), seen)


def test_a_seed_that_has_begun_has_a_row(study, paths):
    assert list(trainings_frame(read_trainings(study, paths, [JOB])).columns)
    tell(paths)
    row = trainings_frame(read_trainings(study, paths, [JOB], NOW)).iloc[0]
    assert (row["variant"], row["seed"], row["epoch"], row["num_epochs"]) == ("A", 1, 1, 2)
    # This very process wrote it.
    assert (row["state"], row["seconds_ago"]) == ("running", 60)


def test_its_epochs_are_in_the_columns_of_all_epochs(study, paths):
    tell(paths, epochs=2)
    epochs = live_epochs(read_trainings(study, paths, [JOB]))
    assert list(epochs.columns) == EPOCH_COLUMNS
    assert epochs["test_accuracy"].tolist() == pytest.approx([0.25, 0.5])
    assert set(epochs["status"]) == {"running"}
    assert list(live_epochs([]).columns) == EPOCH_COLUMNS


def test_the_states_of_frames_are_those_of_the_records(study, paths):
    timed = Job("latency", "low", "fast", "A", 0)
    failed = make_failed_record(JOB, study.job_spec(JOB), "it diverged", 2)
    paths.record(JOB).write_text(failed.model_dump_json())
    paths.record(timed).write_text("{")
    paths.record(Job("train", "low", "quick", "B", 0)).unlink()
    states = list_states(study, collect(study, paths))
    assert states == read_states(study, paths)
    assert {state.status for state in states} == {"ok", "failed", "invalid", "missing"}
    assert all(state.seconds for state in states if state.finished_at)
