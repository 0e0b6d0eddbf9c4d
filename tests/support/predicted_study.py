"""A synthetic study whose records have predictions: `from support.predicted_study import write_predicted`."""

from collections.abc import Container
from typing import Any

import numpy as np

from resnest_bench import records
from resnest_bench.frames.predictions import ClassPredictions
from resnest_bench.paths import Job, StudyPaths
from resnest_bench.specs import StudySpec
from support.records_factory import (
    default_accuracy,
    make_record,
    make_study,
    with_counts,
    with_predictions,
)

# Of three classes: 70, 20 and 10 images.
LABELS = np.repeat([0, 1, 2], [70, 20, 10])
COUNTS = [70, 20, 10]
TEN_LABELS = np.repeat([0, 1, 2], [6, 3, 1])


def make_found(
    predicted: dict[str, list],
    labels: np.ndarray = TEN_LABELS,
    classes: tuple[str, ...] = ("a", "b", "c"),
) -> ClassPredictions:
    """Predictions of variants by their name; seeds count from 0."""
    arrays = {name: np.array(rows) for name, rows in predicted.items()}
    seeds = {name: tuple(range(len(rows))) for name, rows in arrays.items()}
    return ClassPredictions(tuple(arrays), classes, labels, arrays, seeds, "f", "Some data", ())


def predicted_study(*claims: dict, **changes: Any) -> StudySpec:
    """The synthetic study with four seeds, on data whose classes differ in size."""
    return make_study(**{"seeds": [0, 1, 2, 3], "claims": list(claims), **changes})


def write_predicted(
    study: StudySpec, paths: StudyPaths, jobs: Container[Job] | None = None
) -> None:
    """Records with predictions for `jobs`, or for all trainings and fine-tunings of the study."""
    for job in study.jobs():
        if job.kind == "latency" or (jobs is not None and job not in jobs):
            continue
        record = make_record(study, job, num_test=len(LABELS))
        accuracy = default_accuracy(study, job)
        record = with_predictions(record, paths.record(job), accuracy, LABELS)
        records.write(paths.record(job), with_counts(record, COUNTS, []))
