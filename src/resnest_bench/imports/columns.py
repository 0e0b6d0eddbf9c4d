"""What a column is called, and what it means."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from resnest_bench.errors import UserError
from resnest_bench.records.metrics import METRICS
from resnest_bench.specs.scores import COLUMNS
from resnest_bench.words import list_names

# Roles, and what people call them; earlier names win.
PARTS: dict[str, tuple[str, ...]] = {
    "variant": (
        "variant",
        "model",
        "model_name",
        "network",
        "net",
        "architecture",
        "arch",
        "backbone",
        "method",
        "algorithm",
    ),
    "seed": ("seed", "random_seed", "trial", "repeat", "replicate", "rep", "fold", "run", "round"),
    "dataset": ("dataset", "dataset_name", "data_set", "benchmark"),
    "recipe": ("recipe", "training_recipe", "protocol"),
    "metric": ("metric", "metric_name", "measure"),
    "value": ("value", "metric_value", "score", "result"),
    "device": ("device", "device_name", "gpu", "gpu_name", "hardware"),
    "num_test": ("num_test", "n_test", "num_test_images", "test_images"),
    "batch_size": ("batch_size", "infer_batch_size", "batchsize", "batch", "bs"),
    "precision": ("precision", "dtype", "amp_dtype"),
}
# Names in METRICS, and what people call them.
METRIC_NAMES: dict[str, tuple[str, ...]] = {
    "test_accuracy": (
        "test_accuracy",
        "test_acc",
        "accuracy",
        "acc",
        "top1",
        "top_1",
        "acc1",
        "acc_1",
        "accuracy_top1",
        "accuracy_top_1",
        "top1_acc",
        "top_1_acc",
        "top1_accuracy",
        "top_1_accuracy",
        "test_top1",
        "test_acc1",
        "test_top1_acc",
        "eval_top1",
        "eval_acc",
        "eval_acc1",
        "eval_accuracy",
    ),
    "validation_accuracy": (
        "validation_accuracy",
        "val_accuracy",
        "val_acc",
        "valid_acc",
        "valid_accuracy",
        "val_top1",
        "val_acc1",
    ),
    "train_accuracy": ("train_accuracy", "train_acc", "training_accuracy", "train_top1"),
    "test_loss": ("test_loss", "nll", "eval_loss", "test_nll", "cross_entropy", "test_ce"),
    "train_loss": ("train_loss", "training_loss"),
    "balanced_accuracy": (
        "balanced_accuracy",
        "balanced_acc",
        "bal_acc",
        "bacc",
        "test_balanced_accuracy",
    ),
    "macro_f1": ("macro_f1", "f1_macro", "f1_score_macro", "macro_f1_score", "test_macro_f1"),
    "top5_accuracy": (
        "top5_accuracy",
        "top5",
        "top_5",
        "acc5",
        "acc_5",
        "top5_acc",
        "top_5_acc",
        "accuracy_top5",
        "test_top5",
        "eval_top5",
    ),
    "roc_auc": ("roc_auc", "auroc", "auc", "test_auc", "test_auroc"),
    "cohen_kappa": ("cohen_kappa", "cohens_kappa", "kappa"),
    "brier_score": ("brier_score", "brier"),
    "calibration_error": ("calibration_error", "ece", "expected_calibration_error", "test_ece"),
    "num_params": (
        "num_params",
        "params",
        "n_params",
        "parameters",
        "num_parameters",
        "param_count",
        "params_m",
        "params_millions",
        "param_count_m",
    ),
    "num_macs": ("num_macs", "macs", "infer_gmacs", "gmacs", "mmacs", "macs_g", "macs_m"),
    "num_activations": ("num_activations", "infer_macts", "macts"),
}
ERRORS = ("top1_err", "test_error", "error", "error_rate", "err", "top1_error", "test_err")
# A statistic of times to its names, each with a unit at its end or without one.
TIMES: dict[str, tuple[str, ...]] = {
    "sample": ("latency", "inference_time", "latency_samples", "time", "sample", "samples", "ms"),
    "mean": ("infer_step_time", "step_time", "mean", "latency_mean", "mean_latency", "avg_latency"),
    "p50": ("p50", "median", "latency_p50", "latency_median", "median_latency", "p50_latency"),
    "p90": ("p90", "latency_p90", "p90_latency"),
    "p99": ("p99", "latency_p99", "p99_latency"),
    "iqr": ("iqr", "latency_iqr"),
    "rate": (
        "infer_samples_per_sec",
        "samples_per_sec",
        "images_per_second",
        "images_per_sec",
        "throughput",
        "throughput_images_per_second",
        "img_per_sec",
    ),
}
# Words that are about times only if a unit follows.
NEEDS_UNIT = ("time", "sample", "samples", "mean", "median", "iqr")
TIME_UNITS = {"ms": 1.0, "s": 1000.0, "us": 0.001}
TIME_ENDINGS = {
    "_ms": "ms",
    "_milliseconds": "ms",
    "_s": "s",
    "_sec": "s",
    "_seconds": "s",
    "_us": "us",
}
# timm states them in milliseconds.
TIMM_MS = ("infer_step_time", "step_time")
PERCENT_ENDINGS = ("_percent", "_pct", "_percentage")
UNIT_CHOICES = ("percent", "fraction", "ms", "s", "us", "ones", "millions", "billions")


@dataclass(frozen=True)
class Choices:
    """What the user says of columns and rows.

    `columns` maps a role (a key of PARTS) or a metric to a column's name, and `units` a metric or a column to
    one of UNIT_CHOICES.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    dataset: str | None = None
    recipe: str | None = None
    device: str | None = None
    batch_size: int | None = None
    num_test: int | None = None


@dataclass(frozen=True)
class Meaning:
    """What the columns of one table mean.

    `parts` and `metrics` map a role or a name in METRICS to the column; `errors` is the column of an error rate
    that stands for the accuracy; `times` maps a key of TIMES to the column; `unused` are the others.
    """

    parts: dict[str, str]
    metrics: dict[str, str]
    times: dict[str, str]
    errors: str | None
    unused: tuple[str, ...]


def simplify(name: str) -> str:
    """'metrics.Test Acc@1 (%)' -> 'test_acc_1_percent'."""
    plain = re.sub(r"^(metrics|params|summary|config|tags)[./]", "", name.strip())
    plain = re.sub(r"\(?%\)?", " percent", plain)
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", plain)
    return re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_")


def strip_percent(name: str) -> str:
    for ending in PERCENT_ENDINGS:
        name = name.removesuffix(ending)
    return name


def find_meaning(path: object, names: Iterable[str], choices: Choices) -> Meaning:
    """What each column means, by the user's choices, else by its name.

    Raises UserError for a chosen column that the table doesn't have, and where two columns would be the same
    metric.
    """
    left = {name: simplify(name) for name in names}
    parts: dict[str, str] = {}
    metrics: dict[str, str] = {}
    times: dict[str, str] = {}
    for role, column in choices.columns.items():
        if column not in left:
            raise UserError(
                f"{path} must have the column {column!r}, which was named for {role}, but has "
                f"{list_names(map(repr, left), 20)}{_suggest(column, left)}"
            )
        target = parts if role in PARTS else times if role in TIMES else metrics
        target[role] = column
        del left[column]
    for role, known in PARTS.items():
        if role not in parts and (found := _first(left, known)):
            parts[role] = found
            del left[found]
    for metric, known in METRIC_NAMES.items():
        if metric not in metrics and (found := _pick(path, metric, left, known)):
            metrics[metric] = found
            del left[found]
    for statistic, known in TIMES.items():
        if statistic not in times and (found := _first_time(left, known)):
            times[statistic] = found
            del left[found]
    errors = _first(left, ERRORS) if "test_accuracy" not in metrics else None
    left.pop(errors or "", None)
    return Meaning(parts, metrics, times, errors, tuple(left))


def _first(left: Mapping[str, str], known: tuple[str, ...]) -> str | None:
    """The column with the earliest of the known names."""
    plain = {strip_percent(simple): name for name, simple in reversed(list(left.items()))}
    return next((plain[name] for name in known if name in plain), None)


def _pick(path: object, metric: str, left: Mapping[str, str], known: tuple[str, ...]) -> str | None:
    found = [name for name, simple in left.items() if strip_percent(simple) in known]
    if len(found) > 1:
        raise UserError(
            f"{path}: {' and '.join(map(repr, found))} could both be the {METRICS[metric].label.lower()}: say "
            f"which is meant, like --metric {short_name(metric)}={found[0]}"
        )
    return found[0] if found else None


def _first_time(left: Mapping[str, str], known: tuple[str, ...]) -> str | None:
    plain = {
        _strip_time(simple): name
        for name, simple in reversed(list(left.items()))
        if simple not in NEEDS_UNIT
    }
    return next((plain[name] for name in known if name in plain), None)


def _strip_time(name: str) -> str:
    for ending in TIME_ENDINGS:
        name = name.removesuffix(ending)
    return name


def _suggest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f": did you mean {close[0]!r}?" if close else ": name one of them"


def short_name(metric: str) -> str:
    """What a user calls a metric: 'accuracy' for 'test_accuracy'."""
    return next((short for short, column in COLUMNS.items() if column == metric), metric)


def find_role(name: str) -> str:
    """A role or a name in METRICS from what a user calls it. Raises UserError for neither."""
    simple = simplify(name)
    if simple in TIMES or simple == "latency":
        return "sample" if simple == "latency" else simple
    for metric, known in METRIC_NAMES.items():
        if simple in (metric, short_name(metric), *known):
            return metric
    raise UserError(
        f"--metric takes NAME=COLUMN, where NAME is one of {', '.join(map(short_name, METRIC_NAMES))}, "
        f"latency, p50, mean, rate, but got {name!r}"
    )
