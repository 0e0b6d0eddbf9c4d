"""The measures of a trained network that a study can compare, by the name that a config uses (floor 1)."""

from typing import Literal, get_args

# Shares of 0 to 1, shown in %: a difference is in percentage points.
Share = Literal[
    "accuracy", "balanced_accuracy", "macro_f1", "top5_accuracy", "roc_auc", "calibration_error"
]
# Shares of which more is better.
HeadlineMetric = Literal["accuracy", "balanced_accuracy", "macro_f1", "top5_accuracy", "roc_auc"]
TrainedMetric = Literal[Share, "cohen_kappa", "nll", "brier_score"]

SHARES: tuple[str, ...] = get_args(Share)
TRAINED_METRICS: tuple[str, ...] = get_args(TrainedMetric)
# Names in METRICS, where they are others.
COLUMNS = {"accuracy": "test_accuracy", "nll": "test_loss"}
# Of those that are no shares: the unit of a value and of a difference.
UNITS = {"cohen_kappa": "kappa", "nll": "nats", "brier_score": "Brier"}


def metric_column(metric: str) -> str:
    """The name in METRICS, and so the column of the tables."""
    return COLUMNS.get(metric, metric)


def metric_factor(metric: str) -> float:
    """From a value in the tables to the unit for readers: % for a share."""
    return 100.0 if metric in SHARES else 1.0


def metric_units(metric: str) -> tuple[str, str]:
    """Units for readers of a value, and of the difference of two."""
    return ("%", "points") if metric in SHARES else (UNITS[metric], UNITS[metric])
