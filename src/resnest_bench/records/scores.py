"""Scores of one network's predictions, by scikit-learn: balanced accuracy, macro F1, calibration (floor 0).

Each takes `Predictions` and returns a float, or None if it is undefined: without the probability of every
class, or if a class has no test images.
"""

from typing import Any

import numpy as np

from resnest_bench.records.predictions import Predictions

NUM_BINS = 15
TOP = 5


def _rank(values: np.ndarray, axis: int) -> np.ndarray:
    """Import scipy's `rankdata` late, since that takes half a second."""
    from scipy.stats import rankdata as rank

    ranks: np.ndarray = rank(values, axis=axis)
    return ranks


def _metrics() -> Any:
    # Import it late: that takes a second, and a study without predictions doesn't need it.
    from sklearn import metrics

    return metrics


def balanced_accuracy(found: Predictions) -> float:
    """Return the mean over classes of the share of correctly classified images."""
    # scikit-learn's function warns about predicted classes without images; the value is the same.
    present = np.unique(found.labels_N)
    recalls = _metrics().recall_score(
        found.labels_N, found.predicted_N, labels=present, average=None, zero_division=0.0
    )
    return float(np.mean(recalls))


def macro_f1(found: Predictions) -> float:
    """Return the unweighted mean over classes of F1 = 2 TP / (2 TP + FP + FN); 0 for a class without hits."""
    return float(
        _metrics().f1_score(found.labels_N, found.predicted_N, average="macro", zero_division=0.0)
    )


def cohen_kappa(found: Predictions) -> float:
    """Return (p_o - p_e) / (1 - p_e): the agreement beyond chance (Cohen 1960).

    NaN if all images and predictions are of one class.
    """
    if len(np.union1d(found.labels_N, found.predicted_N)) < 2:
        return float("nan")
    return float(_metrics().cohen_kappa_score(found.labels_N, found.predicted_N))


def top5_accuracy(found: Predictions) -> float | None:
    """Return the share of images whose label is among the five most probable classes; None up to five classes."""
    if found.num_classes <= TOP or (found.label_rank_N < 0).any():
        return None
    return float(np.mean(found.label_rank_N < TOP))


def roc_auc(found: Predictions) -> float | None:
    """Return the area under the ROC curve of the second of two classes, or the mean of one against the rest.

    The mean is unweighted (Provost and Domingos 2000). For a class with n images among N, the area is (sum of the ranks of its images - n (n + 1) / 2) / (n (N - n)), the
    Mann-Whitney statistic (Hanley and McNeil, Radiology 143 (1982) 29), with mean ranks for ties. It equals
    scikit-learn's roc_auc_score, which takes 40 times as long for 1,000 images of 10 classes. None if a
    class has no images, or without the probability of every class.
    """
    probabilities_NK, labels_N = found.probabilities_NK, found.labels_N
    counts_K = np.bincount(labels_N, minlength=found.num_classes)
    if probabilities_NK is None or found.num_classes < 2 or not counts_K.all():
        return None
    ranks_NK = _rank(probabilities_NK, axis=0)
    own_N = ranks_NK[np.arange(len(labels_N)), labels_N]
    sums_K = np.bincount(labels_N, weights=own_N, minlength=found.num_classes)
    others_K = len(labels_N) - counts_K
    areas_K = (sums_K - counts_K * (counts_K + 1) / 2) / (counts_K * others_K)
    return float(areas_K[1] if found.num_classes == 2 else areas_K.mean())


def brier_score(found: Predictions) -> float:
    """Return the mean over images of the sum over classes of (probability - 1 for the label, 0 else)^2: 0 to 2.

    Brier, Monthly Weather Review 78 (1950) 1. scikit-learn halves it for two classes.
    """
    label = np.exp(found.label_log_probability_N)
    return float(np.mean(found.squares_N - 2 * label + 1))


def calibration_error(found: Predictions) -> float | None:
    """Return the expected calibration error with 15 bins of equal width.

    sum_b |B_b| / N |acc(B_b) - conf(B_b)|, where bin b holds the images whose predicted class has a
    probability in ((b - 1) / 15, b / 15] (Guo et al., ICML 2017, eq. 3). scikit-learn has no such function.
    """
    confidence, correct = found.top_probability_N, found.correct_N
    if np.isnan(confidence).any():
        return None
    bins = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(correct))


def confusion_matrix(found: Predictions) -> np.ndarray:
    """Count images (K, K) by label and predicted class."""
    cells = found.labels_N * found.num_classes + found.predicted_N
    counts = np.bincount(cells, minlength=found.num_classes**2)
    matrix: np.ndarray = counts.reshape(found.num_classes, found.num_classes)
    return matrix
