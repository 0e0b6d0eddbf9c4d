"""The measures of a trained network that a study can compare, by their name in a config (floor 1)."""

from typing import Literal, get_args

# Shares from 0 to 1, shown in %; differences are in percentage points.
Share = Literal[
    "accuracy", "balanced_accuracy", "macro_f1", "top5_accuracy", "roc_auc", "calibration_error"
]
# Shares for which higher is better.
HeadlineMetric = Literal["accuracy", "balanced_accuracy", "macro_f1", "top5_accuracy", "roc_auc"]
TrainedMetric = Literal[Share, "cohen_kappa", "nll", "brier_score"]

# The others are better the higher they are.
LOWER_IS_BETTER = ("calibration_error", "nll", "brier_score")
SHARES: tuple[str, ...] = get_args(Share)
TRAINED_METRICS: tuple[str, ...] = get_args(TrainedMetric)
# Names in METRICS, if they are different.
COLUMNS = {"accuracy": "test_accuracy", "nll": "test_loss"}
# Units of a value and of a difference, for measures that are not shares.
UNITS = {"cohen_kappa": "kappa", "nll": "nats", "brier_score": "Brier"}


def metric_column(metric: str) -> str:
    """Return the name in METRICS, which is also the column of the tables."""
    return COLUMNS.get(metric, metric)


def metric_factor(metric: str) -> float:
    """Return the factor from a value in the tables to the unit for readers: % for a share."""
    return 100.0 if metric in SHARES else 1.0


def metric_units(metric: str) -> tuple[str, str]:
    """Return the units for readers of a value and of a difference."""
    return ("%", "points") if metric in SHARES else (UNITS[metric], UNITS[metric])
