"""A study that is still running: the states of its jobs, and trainings without a record yet."""

from collections.abc import Iterable

import pandas as pd

from resnest_bench.frames.rows import EPOCH_COLUMNS, column_types
from resnest_bench.frames.typed import make_frame
from resnest_bench.live.from_files import JobState, Training
from resnest_bench.specs import StudySpec

TRAINING_COLUMNS = [
    "kind",
    "dataset",
    "recipe",
    "variant",
    "seed",
    "state",
    "epoch",
    "num_epochs",
    "updated_at",
    "seconds_ago",
]


def list_states(study: StudySpec, runs: pd.DataFrame) -> list[JobState]:
    """The state of each job from the frame of runs, in the study's order, as `read_states` gives it."""
    started, finished = (
        pd.to_datetime(runs[c], utc=True, errors="coerce", format="ISO8601")
        for c in ("started_at", "finished_at")
    )
    seconds = runs["wall_seconds"].astype(float).fillna((finished - started).dt.total_seconds())
    columns = (
        runs["status"],
        runs["reason"],
        runs["to_do"],
        runs["finished_at"].fillna(""),
        seconds,
    )
    return [
        JobState(job, status, reason, bool(to_do), end, None if pd.isna(duration) else duration)
        for job, status, reason, to_do, end, duration in zip(study.jobs(), *columns, strict=True)
    ]


def trainings_frame(trainings: Iterable[Training]) -> pd.DataFrame:
    """One row per seed without a record: its state, its epochs and its last progress report."""
    rows = [
        {
            **vars(one.job),
            "state": "running" if one.runs else "stopped",
            "epoch": len(one.progress.epochs),
            "num_epochs": one.progress.num_epochs,
            "updated_at": one.progress.updated_at,
            "seconds_ago": one.silent_seconds,
        }
        for one in trainings
    ]
    return pd.DataFrame(rows, columns=TRAINING_COLUMNS)


def live_epochs(trainings: Iterable[Training]) -> pd.DataFrame:
    """One row per epoch of each seed without a record; the status is 'running'."""
    rows = [
        {
            **vars(one.job),
            "dataset_label": one.progress.dataset_label,
            "status": "running",
            "reason": "",
            **epoch.model_dump(),
            "device_kind": one.progress.device_kind,
            "device_name": one.progress.device_name,
        }
        for one in trainings
        for epoch in one.progress.epochs
    ]
    return make_frame(rows, column_types(EPOCH_COLUMNS))
