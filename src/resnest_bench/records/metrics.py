"""METRICS: the values that a record provides, by name, with unit, label and direction (floor 0).

Tables, tooltips and axis pickers use this mapping, so that a new entry appears everywhere. Values are not
rounded.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from resnest_bench.records import Record, unpack_bits
from resnest_bench.records.consumption import ConsumptionCell
from resnest_bench.records.imports import ImportedResults
from resnest_bench.records.latencies import (
    Timed,
    cell_setting,
    images_per_second,
    primary_cell,
    summarise_cell,
    summarise_samples,
)
from resnest_bench.records.observations import EpochObservation, LatencyCell, LatencyObservations
from resnest_bench.records.predictions import Predictions
from resnest_bench.records.scores import (
    balanced_accuracy,
    brier_score,
    calibration_error,
    cohen_kappa,
    macro_f1,
    roc_auc,
    top5_accuracy,
)

TRAINED = ("train", "finetune")
TIMED = ("latency",)
EVALUATED = (*TRAINED, "deploy")
COUNT_UNITS = frozenset({"parameters", "multiply-accumulates", "elements", "bytes"})


@dataclass(frozen=True)
class Metric:
    """One value of a record.

    Attributes:
        name: key in METRICS.
        unit: of the value.
        label: for tables and axes.
        better: the preferred direction, or None.
        kinds: the kinds of jobs that can have it.
        extract: returns a record's value in `unit`, or None if it has none.
        score: in place of `extract`, for a metric of the predictions in the file next to the record.
    """

    name: str
    unit: str
    label: str
    better: Literal["higher", "lower"] | None
    kinds: tuple[str, ...]
    extract: Callable[[Record], float | None] = lambda record: None
    score: Callable[[Predictions], float | None] | None = None

    def value(self, record: Record, predictions: Predictions | None) -> float | None:
        """Return the value in `unit`; None if record and predictions have none."""
        if self.score is not None and predictions is not None:
            return _finite(self.score(predictions))
        if record.imported is not None:
            return _imported_value(self.name, record.imported, predictions)
        return self.extract(record) if self.score is None else None

    @property
    def is_count(self) -> bool:
        """Whether values are integers."""
        return self.unit in COUNT_UNITS


def reference_drift(latency: LatencyObservations) -> float | None:
    """Return the relative change of the reference network's median latency, from before to after."""
    before, after = latency.reference.before_ms, latency.reference.after_ms
    if not before or not after or not np.median(before):
        return None
    return float(np.median(after) / np.median(before) - 1)


def paper_ms_per_image(latency: LatencyObservations) -> float | None:
    """Return the paper's time per image, total_ms / (num_batches * batch_size), a reciprocal throughput."""
    paper = latency.paper
    return paper.total_ms / (paper.num_batches * paper.batch_size) if paper else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _last_epoch(field: str) -> Callable[[Record], float | None]:
    return lambda r: getattr(r.train.epochs[-1], field) if r.train and r.train.epochs else None


def _test_accuracy(record: Record) -> float | None:
    deployed = record.deploy
    if deployed is None:
        return _last_epoch("test_accuracy")(record)
    return float(unpack_bits(deployed.test_correct, deployed.num_test).mean())


def _test_loss(record: Record) -> float | None:
    return record.deploy.test_loss if record.deploy else _last_epoch("test_loss")(record)


def _deploy(field: str) -> Callable[[Record], float | None]:
    return lambda r: getattr(r.deploy, field) if r.deploy else None


def _over_epochs(
    combine: Callable[[list[float]], Any], value: Callable[[EpochObservation], float]
) -> Callable[[Record], float | None]:
    def extract(record: Record) -> float | None:
        epochs = record.train.epochs if record.train else ()
        return float(combine([value(epoch) for epoch in epochs])) if epochs else None

    return extract


def _train(field: str) -> Callable[[Record], float | None]:
    return lambda r: getattr(r.train, field) if r.train else None


def _latency(take: Callable[[LatencyObservations], float | None]) -> Callable[[Record], Any]:
    return lambda r: _finite(take(r.latency)) if r.latency else None


def _primary(figure: str) -> Callable[[Record], float | None]:
    return _latency(lambda latency: _primary_figure(latency, figure))


def _primary_figure(latency: Timed, figure: str) -> float | None:
    cell = primary_cell(latency)
    return summarise_cell(cell)[figure] if cell else None


def _imported_value(
    name: str, imported: ImportedResults, predictions: Predictions | None
) -> float | None:
    if name in imported.values:
        return imported.values[name]
    if name == "test_accuracy" and imported.images:
        images = imported.images
        return float(unpack_bits(images.test_correct, images.num_test).mean())
    if name == "test_loss" and predictions is not None:
        return _finite(-float(predictions.label_log_probability_N.mean()))
    if name == "throughput_images_per_second":
        return _best_throughput(imported)
    is_time = name.startswith("latency_") and name.endswith("_ms")
    return _finite(_primary_figure(imported, name[8:-3])) if is_time else None


def _device_p50(latency: LatencyObservations) -> float | None:
    cell = primary_cell(latency)
    samples = cell.device_samples_ms if isinstance(cell, LatencyCell) else None
    return summarise_samples(samples)["p50"] if samples else None


def _best_throughput(latency: Timed) -> float | None:
    first = latency.cells and cell_setting(latency.cells[0])
    rates = [images_per_second(c) for c in latency.cells if cell_setting(c) == first]
    return max((rate for rate in rates if rate is not None), default=None)


def _peak_memory(latency: LatencyObservations) -> int | None:
    return max(
        (c.peak_memory_bytes for c in latency.cells if c.peak_memory_bytes is not None),
        default=None,
    )


def _consumed(
    take: Callable[[ConsumptionCell], float | None],
) -> Callable[[Record], float | None]:
    """Of the primary cell of a latency."""

    def extract(record: Record) -> float | None:
        cell = primary_cell(record.latency) if record.latency else None
        if cell is None or record.consumption is None:
            return None
        found = record.consumption.find(*cell_setting(cell), cell.batch_size)
        return take(found) if found else None

    return extract


def _num_params(record: Record) -> int | None:
    observed = record.train or record.latency or record.deploy
    return observed.num_params if observed else None


def _score(
    name: str,
    unit: str,
    label: str,
    better: Literal["higher", "lower"],
    score: Callable[[Predictions], float | None],
) -> Metric:
    return Metric(name, unit, label, better, EVALUATED, score=score)


_ENTRIES = (
    Metric(
        "test_accuracy",
        "fraction",
        "Test accuracy",
        "higher",
        EVALUATED,
        _test_accuracy,
    ),
    Metric(
        "train_accuracy",
        "fraction",
        "Training accuracy",
        "higher",
        TRAINED,
        _last_epoch("train_accuracy"),
    ),
    Metric(
        "validation_accuracy",
        "fraction",
        "Validation accuracy",
        "higher",
        TRAINED,
        _last_epoch("validation_accuracy"),
    ),
    Metric(
        "test_loss",
        "nats",
        "Test loss",
        "lower",
        EVALUATED,
        _test_loss,
    ),
    _score("balanced_accuracy", "fraction", "Balanced accuracy", "higher", balanced_accuracy),
    _score("macro_f1", "fraction", "Macro F1", "higher", macro_f1),
    _score("top5_accuracy", "fraction", "Top-5 accuracy", "higher", top5_accuracy),
    _score("roc_auc", "fraction", "ROC AUC (one against the rest)", "higher", roc_auc),
    _score("cohen_kappa", "kappa", "Cohen's kappa", "higher", cohen_kappa),
    _score("brier_score", "score", "Brier score", "lower", brier_score),
    _score(
        "calibration_error", "fraction", "Expected calibration error", "lower", calibration_error
    ),
    Metric("train_loss", "nats", "Training loss", "lower", TRAINED, _last_epoch("train_loss")),
    Metric(
        "train_images_per_second",
        "images/s",
        "Training throughput (median epoch)",
        "higher",
        TRAINED,
        _over_epochs(np.median, lambda epoch: epoch.images_per_second),
    ),
    Metric(
        "train_seconds",
        "s",
        "Training time without evaluation",
        "lower",
        TRAINED,
        _over_epochs(math.fsum, lambda epoch: epoch.train_seconds),
    ),
    Metric(
        "wall_seconds",
        "s",
        "Wall time of the training job",
        "lower",
        TRAINED,
        _train("wall_seconds"),
    ),
    Metric("file_bytes", "bytes", "Size on disk", "lower", ("deploy",), _deploy("file_bytes")),
    Metric("num_params", "parameters", "Parameters", "lower", (*EVALUATED, *TIMED), _num_params),
    Metric(
        "num_macs",
        "multiply-accumulates",
        "MACs of one image",
        "lower",
        TIMED,
        _latency(lambda x: x.num_macs),
    ),
    Metric(
        "num_activations",
        "elements",
        "Activations of one image",
        "lower",
        TIMED,
        _latency(lambda x: x.num_activations or None),
    ),
    Metric(
        "cold_start_ms", "ms", "Cold start", "lower", TIMED, _latency(lambda x: x.cold_start_ms)
    ),
    Metric(
        "build_ms", "ms", "Building the network", "lower", TIMED, _latency(lambda x: x.build_ms)
    ),
    Metric(
        "first_call_ms", "ms", "First call", "lower", TIMED, _latency(lambda x: x.first_call_ms)
    ),
    Metric("latency_p50_ms", "ms", "Latency, p50", "lower", TIMED, _primary("p50")),
    Metric("latency_p90_ms", "ms", "Latency, p90", "lower", TIMED, _primary("p90")),
    Metric("latency_p99_ms", "ms", "Latency, p99", "lower", TIMED, _primary("p99")),
    Metric("latency_mean_ms", "ms", "Latency, mean", "lower", TIMED, _primary("mean")),
    Metric("latency_iqr_ms", "ms", "Latency, interquartile range", "lower", TIMED, _primary("iqr")),
    Metric(
        "device_latency_p50_ms",
        "ms",
        "Latency by the device's clock, p50",
        "lower",
        TIMED,
        _latency(_device_p50),
    ),
    Metric(
        "throughput_images_per_second",
        "images/s",
        "Throughput (best batch size)",
        "higher",
        TIMED,
        _latency(_best_throughput),
    ),
    Metric(
        "paper_ms_per_image",
        "ms",
        "Time per image, the paper's protocol",
        "lower",
        TIMED,
        _latency(paper_ms_per_image),
    ),
    Metric(
        "reference_drift",
        "ratio",
        "Drift of the reference network",
        None,
        TIMED,
        _latency(reference_drift),
    ),
    Metric("peak_memory_bytes", "bytes", "Peak GPU memory", "lower", TIMED, _latency(_peak_memory)),
    Metric(
        "resident_bytes",
        "bytes",
        "Peak resident memory",
        "lower",
        TIMED,
        _consumed(lambda x: x.resident_bytes),
    ),
    Metric(
        "energy_joules_per_image",
        "J",
        "Energy per image",
        "lower",
        TIMED,
        _consumed(lambda x: x.joules_per_image),
    ),
    # From a price, which no record has: `frames.costs` adds it.
    Metric("cost_per_million_images", "price", "Cost of a million images", "lower", TIMED),
    Metric(
        "peak_rss_bytes",
        "bytes",
        "Peak memory of the process",
        "lower",
        TIMED,
        _latency(lambda x: x.peak_rss_bytes),
    ),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ENTRIES}
# Metrics that need the file of predictions, which older records don't have.
SCORES = tuple(metric.name for metric in _ENTRIES if metric.score)
