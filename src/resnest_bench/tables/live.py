"""Trainings that still run: their epochs so far, in the columns of `epochs_frame`."""

from datetime import UTC, datetime

import pandas as pd

from resnest_bench.errors import UserError
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.progress import LiveProgress, read_progress
from resnest_bench.specs import StudySpec
from resnest_bench.tables.aggregate import EPOCH_COLUMNS, typed_frame

RUNNING_COLUMNS = [
    "kind", "dataset", "recipe", "variant", "seed", "epoch", "num_epochs", "updated_at", "seconds_ago",
]  # fmt: skip


def running_jobs(study: StudySpec, paths: StudyPaths) -> list[tuple[Job, LiveProgress]]:
    """Jobs that have told of an epoch and have no record yet. A damaged file is left out."""
    found_files = paths.progress_root.rglob("*.json")
    files = {path for path in found_files if not path.name.startswith(".")}
    if not files:
        return []
    found = []
    for job in study.jobs():
        path = paths.progress(job)
        if path not in files or paths.record(job).exists():
            continue
        try:
            found.append((job, read_progress(path, job)))
        except UserError:
            # Onlookers only: the training itself, and its record, don't depend on it.
            continue
    return found


def running_frame(
    running: list[tuple[Job, LiveProgress]], now: datetime | None = None
) -> pd.DataFrame:
    """One row for each running seed: epochs done, epochs in all, and when it was last heard of."""
    now = now or datetime.now(UTC)
    rows = [
        {**vars(job), "epoch": len(live.epochs), "num_epochs": live.num_epochs,
         "updated_at": live.updated_at, "seconds_ago": _seconds_between(live.updated_at, now)}
        for job, live in running
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=RUNNING_COLUMNS)


def _seconds_between(then: str, now: datetime) -> float:
    try:
        return (now - datetime.fromisoformat(then)).total_seconds()
    except (ValueError, TypeError):
        return float("nan")


def live_epochs(running: list[tuple[Job, LiveProgress]]) -> pd.DataFrame:
    """One row for each epoch of each running seed; status is 'running'."""
    rows = [
        {**vars(job), "dataset_label": live.dataset_label, "status": "running", "reason": "",
         **epoch.model_dump(), "device_kind": live.device_kind, "device_name": live.device_name}
        for job, live in running
        for epoch in live.epochs
    ]  # fmt: skip
    return typed_frame(rows, EPOCH_COLUMNS)
