from datetime import UTC, datetime

import pytest

from resnest_bench.paths import Job
from resnest_bench.progress import LiveProgress, write_progress
from resnest_bench.tables.aggregate import EPOCH_COLUMNS
from resnest_bench.tables.live import live_epochs, running_frame, running_jobs
from support.records_factory import make_epochs

JOB = Job("train", "low", "quick", "A", 1)


def tell(paths, job=JOB, epochs=1):
    seen = LiveProgress.model_validate(
        {"job": vars(job), "num_epochs": 4, "epochs": make_epochs(0.5, epochs),
         "dataset_label": "Synthetic low", "device_kind": "cpu", "device_name": "X",
         "updated_at": "2026-01-01T00:00:00+00:00"}
    )  # fmt: skip
    write_progress(paths.progress(job), seen)


def test_a_seed_without_a_record_is_running(study, paths):
    tell(paths)
    assert running_jobs(study, paths) == []
    paths.record(JOB).unlink()
    found = running_jobs(study, paths)
    assert [job for job, _ in found] == [JOB]
    now = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    row = running_frame(found, now).iloc[0]
    assert (row["variant"], row["seed"], row["epoch"], row["num_epochs"]) == ("A", 1, 1, 4)
    assert row["seconds_ago"] == 60


def test_its_epochs_are_in_the_columns_of_all_epochs(study, paths):
    tell(paths, epochs=2)
    paths.record(JOB).unlink()
    epochs = live_epochs(running_jobs(study, paths))
    assert list(epochs.columns) == EPOCH_COLUMNS
    assert epochs["test_accuracy"].tolist() == pytest.approx([0.25, 0.5])
    assert set(epochs["status"]) == {"running"}


def test_damaged_and_foreign_files_are_left_out(study, paths):
    paths.record(JOB).unlink()
    paths.progress(JOB).parent.mkdir(parents=True)
    paths.progress(JOB).write_text("{")
    tell(paths, Job("train", "low", "quick", "Z", 0))
    assert running_jobs(study, paths) == []
    assert list(live_epochs([]).columns) == EPOCH_COLUMNS
