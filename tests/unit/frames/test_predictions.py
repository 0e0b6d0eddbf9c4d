"""Predictions of an experiment: what is there, and what is said of the rest."""

import numpy as np
import pytest
from sklearn import metrics

from resnest_bench import records
from resnest_bench.frames.predictions import NOT_KEPT, build_class_predictions
from resnest_bench.paths import Job
from resnest_bench.status.outcomes import outcomes
from support.predicted_study import LABELS, predicted_study, write_predicted
from support.records_factory import make_record

JOBS = [Job("train", "low", "quick", name, seed) for name in "ABT" for seed in range(4)]


@pytest.fixture
def study():
    return predicted_study()


@pytest.fixture
def paths(study, tmp_path):
    return study.paths(tmp_path)


def build(study, paths):
    return build_class_predictions("ABT", outcomes(study, paths, jobs=JOBS))


def test_classes_of_all_seeds(study, paths):
    write_predicted(study, paths)
    found = build(study, paths)
    assert (found.variants, found.classes, found.notes) == (("A", "B", "T"), ("a", "b", "c"), ())
    assert found.labels_N.tolist() == LABELS.tolist()
    assert found.class_counts_K.tolist() == [70, 20, 10]
    assert found.seeds["B"] == (0, 1, 2, 3)
    for seed, matrix in enumerate(found.confusion("B")):
        wanted = metrics.confusion_matrix(LABELS, found.predicted["B"][seed])
        assert matrix.tolist() == wanted.tolist()
    hits = np.trace(found.confusion("B"), axis1=1, axis2=2)
    assert found.correct("B").sum(axis=1).tolist() == hits.tolist()


def test_what_is_missing_is_said_and_the_rest_counts(study, paths):
    write_predicted(study, paths, JOBS[:8])
    # Of before predictions were kept, without its file, and damaged.
    records.write(paths.record(JOBS[8]), make_record(study, JOBS[8]))
    paths.predictions(JOBS[0]).unlink()
    paths.predictions(JOBS[5]).write_bytes(b"?")
    found = build(study, paths)
    assert found.variants == ("A", "B")
    assert (found.seeds["A"], found.seeds["B"]) == ((1, 2, 3), (0, 2, 3))
    a, b, t = found.notes
    assert a.startswith("A, seed 0: ")
    assert "missing" in a
    assert b.startswith("B, seed 1: ")
    assert t == f"T, seed 0: {NOT_KEPT}"


def test_without_any_record(study, paths):
    found = build(study, paths)
    assert found.variants == ()
    assert [note.split(":")[0] for note in found.notes] == ["A", "B", "T"]
