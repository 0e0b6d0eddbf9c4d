"""The paper's study, with records that a test chooses, in memory: nothing is written."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from resnest_bench.frames.rows import build_cells, build_runs
from resnest_bench.paths import Job
from resnest_bench.records import Record
from resnest_bench.specs import StudySpec, read_yaml, study_from_config
from resnest_bench.status.outcomes import Outcome
from support.records_factory import FINGERPRINT, make_record

ROOT = Path(__file__).parents[2]
CIFAR = {
    "name": "cifar10",
    "label": "CIFAR-10",
    "fingerprint": FINGERPRINT,
    "num_train": 50_000,
    "num_validation": 0,
    "num_test": 10_000,
    "classes": [str(k) for k in range(10)],
}
T4 = {"device_kind": "cuda", "device_name": "Tesla T4", "device_index": 0}


def paper_study(**changes: Any) -> StudySpec:
    """config/config.yaml with three seeds and with top-level keys replaced."""
    config = read_yaml(ROOT / "config/config.yaml")
    for name in ("variants", "claims"):
        config[name] = read_yaml(ROOT / f"config/{name}.yaml")
    return study_from_config({**config, "seeds": [0, 1, 2], **changes}, "test")


def train_job(variant: str, seed: int) -> Job:
    return Job("train", "cifar10", "paper20", variant, seed)


def train_records(
    study: StudySpec, accuracies: Mapping[str, Sequence[float | None]], **fields: Any
) -> dict[Job, Record]:
    """A training on all of CIFAR-10 for each variant and seed 0, 1, ...; None for a missing one."""
    fields = {"dataset": CIFAR, "num_test": 10_000, **fields}
    return {
        train_job(name, seed): make_record(
            study, train_job(name, seed), accuracy=accuracy, **fields
        )
        for name, values in accuracies.items()
        for seed, accuracy in enumerate(values)
        if accuracy is not None
    }


def make_frames(
    study: StudySpec, made: Mapping[Job, Record], stale: Collection[Job] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs and cells of a study that has these records, some of them stale, and no other."""
    found = [
        Outcome(
            job,
            path=Path("unread"),
            status="stale" if job in stale else "ok" if job in made else "missing",
            reason="code changed since" if job in stale else "" if job in made else "no record yet",
            record=made.get(job),
        )
        for job in study.jobs()
    ]
    return build_runs(found), build_cells(found)
