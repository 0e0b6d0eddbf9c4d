"""Each figure against scikit-learn or a formula written out, on random predictions of many shapes."""

import warnings

import numpy as np
import pytest
from sklearn import metrics

from resnest_bench.records import scores
from resnest_bench.records.metrics import METRICS, SCORES
from resnest_bench.records.predictions import summarise_rows
from support.records_factory import make_record, make_study, random_predictions

# (classes, images, accuracy, seed): few images, so that some classes are never predicted.
CASES = [
    (classes, images, accuracy, seed)
    for classes, images in ((2, 12), (2, 200), (3, 9), (7, 40), (12, 500))
    for accuracy in (0.0, 0.4, 0.95, 1.0)
    for seed in (0, 1)
]


def make_predictions(classes, images, accuracy, seed):
    draw = np.random.default_rng(seed)
    # Each class has an image at least; the first one has many.
    labels = np.concatenate([np.arange(classes), draw.integers(0, classes, images) // 2])
    predicted, logs = random_predictions(labels, accuracy, classes, seed)
    return labels, predicted, np.exp(logs), summarise_rows(labels, predicted, logs)


@pytest.mark.parametrize("case", CASES)
def test_figures_equal_those_of_scikit_learn(case):
    labels, predicted, probabilities, found = make_predictions(*case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = {
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
            "macro_f1": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
            "cohen_kappa": metrics.cohen_kappa_score(labels, predicted),
            "brier_score": metrics.brier_score_loss(
                labels, probabilities, labels=range(case[0]), scale_by_half=False
            )
            if case[0] > 2
            else 2 * metrics.brier_score_loss(labels, probabilities[:, 1]),
            "roc_auc": metrics.roc_auc_score(labels, probabilities, multi_class="ovr")
            if case[0] > 2
            else metrics.roc_auc_score(labels, probabilities[:, 1]),
        }
    if case[0] > 5:
        wanted["top5_accuracy"] = metrics.top_k_accuracy_score(
            labels, probabilities, k=5, labels=range(case[0])
        )
    for name, value in wanted.items():
        assert METRICS[name].score(found) == pytest.approx(value, abs=1e-9), name
    matrix = metrics.confusion_matrix(labels, predicted, labels=range(case[0]))
    assert scores.confusion_matrix(found).tolist() == matrix.tolist()
    nll = metrics.log_loss(labels, probabilities, labels=range(case[0]))
    assert -found.label_log_probability_N.mean() == pytest.approx(nll, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_calibration_error_is_guos_sum_over_bins(case):
    labels, predicted, probabilities, found = make_predictions(*case)
    confidence, total = probabilities.max(axis=1), 0.0
    for b in range(1, 16):
        inside = (confidence > (b - 1) / 15) & (confidence <= b / 15)
        if inside.any():
            accuracy = (labels == predicted)[inside].mean()
            total += inside.mean() * abs(accuracy - confidence[inside].mean())
    assert scores.calibration_error(found) == pytest.approx(total, abs=1e-12)


def test_a_network_that_is_right_in_80_of_100_and_sure_of_all_is_off_by_20_points():
    labels = np.zeros(100, int)
    predicted = (np.arange(100) >= 80).astype(int)
    with np.errstate(divide="ignore"):
        logs = np.log(np.eye(2)[predicted])
    found = summarise_rows(labels, predicted, np.maximum(logs, -1e4))
    assert scores.calibration_error(found) == pytest.approx(0.2)
    assert scores.brier_score(found) == pytest.approx(0.4)


def test_a_figure_that_is_not_defined_is_none():
    labels, predicted = np.zeros(4, int), np.zeros(4, int)
    found = summarise_rows(labels, predicted, np.log(np.full((4, 2), 0.5)))
    values = {name: METRICS[name].value(None, found) for name in SCORES}
    assert values["roc_auc"] is None, "no image of the other class"
    assert values["cohen_kappa"] is None
    assert values["top5_accuracy"] is None
    assert values["balanced_accuracy"] == 1
    study = make_study()
    record = make_record(study, study.jobs()[0])
    assert all(METRICS[name].value(record, None) is None for name in SCORES)


def test_a_class_without_an_image_is_left_out_of_the_balanced_accuracy():
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    found = summarise_rows(labels, predicted, np.log(np.full((4, 3), 1 / 3)))
    assert scores.balanced_accuracy(found) == 0.75
