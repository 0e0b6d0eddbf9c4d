"""What a chart's axis can show: each metric of the registry, and each cell metric at each batch size."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from resnest_bench.records.metrics import CELL_METRICS, METRICS, TRAINED, CellMetric, Metric
from resnest_bench.stats.summary import POSITIVE, UNBOUNDED, Bounds

# Units of the records to units that people read: (text, factor).
SHOWN_UNITS = {
    "fraction": ("%", 100.0),
    "ratio": ("%", 100.0),
    "bytes": ("MiB", 1 / 2**20),
    "parameters": ("million", 1e-6),
    "multiply-accumulates": ("million", 1e-6),
    "elements": ("million", 1e-6),
}
Source = Literal["training", "latency", "cell"]


@dataclass(frozen=True)
class Axis:
    """One choice of an axis picker.

    `key` stands in URLs. `column` of the frame of `source` (training and latency: `runs`; cell:
    `cells`, at `batch_size`) times `factor` is the value in `unit`.
    """

    key: str
    label: str
    unit: str
    better: Literal["higher", "lower"] | None
    source: Source
    column: str
    factor: float = 1.0
    batch_size: int | None = None

    @property
    def repeats(self) -> str:
        """What its values are means over: 'seed' or 'round'."""
        return "seed" if self.source == "training" else "round"

    @property
    def bounds(self) -> Bounds:
        """What a value can be, in `unit`: from 0 to 100 %, above 0, or anything (a drift)."""
        metric = METRICS.get(self.column) or CELL_METRICS.get(self.column)
        if metric is not None and metric.unit == "fraction":
            return Bounds(0.0, self.factor)
        return UNBOUNDED if metric is not None and metric.unit == "ratio" else POSITIVE

    @property
    def title(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label


def _axis(metric: Metric | CellMetric, source: Source, batch_size: int | None = None) -> Axis:
    unit, factor = SHOWN_UNITS.get(metric.unit, (metric.unit, 1.0))
    at = "" if batch_size is None else f".b{batch_size}"
    label = metric.label if batch_size is None else f"{metric.label}, batch {batch_size}"
    return Axis(
        metric.name + at, label, unit, metric.better, source, metric.name, factor, batch_size
    )


def metric_axis(name: str) -> Axis:
    """The axis of an entry of METRICS, whether or not any record has a value."""
    metric = METRICS[name]
    return _axis(metric, "training" if set(metric.kinds) & set(TRAINED) else "latency")


def _known(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    return [name for name in names if name in frame and frame[name].notna().any()]


def list_axes(runs: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Axis]:
    """By key every axis that has a value: trained metrics, latency metrics, cell metrics by batch.

    `runs` and `cells` are rows of the experiments that are shown.
    """
    trained = runs[runs["kind"].isin(TRAINED)]
    timed = runs[runs["kind"] == "latency"]
    found = [_axis(METRICS[name], "training") for name in _known(trained, METRICS)]
    names = {axis.key for axis in found}
    found += [
        _axis(METRICS[name], "latency") for name in _known(timed, METRICS) if name not in names
    ]
    for batch in sorted(cells["batch_size"].dropna().unique()):
        at_batch = cells[cells["batch_size"] == batch]
        found += [
            _axis(CELL_METRICS[name], "cell", int(batch)) for name in _known(at_batch, CELL_METRICS)
        ]
    return {axis.key: axis for axis in found}


def default_axes(axes: dict[str, Axis]) -> tuple[str | None, str | None]:
    """Keys of x and y: latency and test accuracy, or what comes next to them."""
    x = ("latency_p50_ms", "num_macs", "num_params", "train_seconds")
    y = ("test_accuracy", "throughput_images_per_second", "num_params")
    return _first(axes, x, None), _first(axes, y, _first(axes, x, None))


def _first(axes: dict[str, Axis], keys: tuple[str, ...], other: str | None) -> str | None:
    known = [key for key in keys if key in axes and key != other]
    return known[0] if known else next(iter(axes), None)
