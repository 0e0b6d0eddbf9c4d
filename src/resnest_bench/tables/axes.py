"""The choices for a chart's axis: each metric of the registry, and each cell metric at each batch size."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from resnest_bench.records.cell_metrics import CELL_METRICS, CellMetric
from resnest_bench.records.metrics import METRICS, TRAINED, Metric
from resnest_bench.stats.summary import FRACTION, POSITIVE, UNBOUNDED, Bounds

# Unit in the records to unit for readers: (text, factor).
SHOWN_UNITS = {
    "fraction": ("%", 100.0),
    "ratio": ("%", 100.0),
    "bytes": ("MiB", 1 / 2**20),
    "parameters": ("million", 1e-6),
    "multiply-accumulates": ("million", 1e-6),
    "elements": ("million", 1e-6),
    "kappa": ("", 1.0),
    "price": ("", 1.0),
    "score": ("", 1.0),
}
# Units whose values have other bounds than 0 and infinity, before `factor`.
BOUNDS = {
    "fraction": FRACTION,
    "ratio": UNBOUNDED,
    "kappa": Bounds(-1.0, 1.0),
    "score": Bounds(0.0, 2.0),
}
Source = Literal["training", "latency", "cell"]


@dataclass(frozen=True)
class Axis:
    """One choice for an axis.

    `key` identifies it in URLs. `column` is in the frame of `source`: `runs` for training and latency,
    `cells` at `batch_size` for a cell. Times `factor` it gives the value in `unit`.
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
        """What its values are averaged over: 'seed' or 'round'."""
        return "seed" if self.source == "training" else "round"

    @property
    def bounds(self) -> Bounds:
        """Bounds of a value, in `unit`: 0 to 100 %, above 0, -1 to 1 (kappa), or none (a drift)."""
        metric = METRICS.get(self.column) or CELL_METRICS.get(self.column)
        bounds = BOUNDS.get(metric.unit, POSITIVE) if metric is not None else POSITIVE
        return Bounds(self.factor * bounds.low, self.factor * bounds.high)

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
    """The axis for an entry of METRICS, whether or not a record has a value."""
    metric = METRICS[name]
    return _axis(metric, "training" if set(metric.kinds) & set(TRAINED) else "latency")


def _with_values(frame: pd.DataFrame, names: Iterable[str]) -> list[str]:
    return [name for name in names if name in frame and frame[name].notna().any()]


def list_axes(runs: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Axis]:
    """Every axis with a value, by key: trained metrics, latency metrics, cell metrics by batch size.

    `runs` and `cells` are rows of the displayed experiments.
    """
    trained = runs[runs["kind"].isin(TRAINED)]
    timed = runs[runs["kind"] == "latency"]
    axes = [_axis(METRICS[name], "training") for name in _with_values(trained, METRICS)]
    names = {axis.key for axis in axes}
    axes += [
        _axis(METRICS[name], "latency")
        for name in _with_values(timed, METRICS)
        if name not in names
    ]
    for batch in sorted(cells["batch_size"].dropna().unique()):
        at_batch = cells[cells["batch_size"] == batch]
        axes += [
            _axis(CELL_METRICS[name], "cell", int(batch))
            for name in _with_values(at_batch, CELL_METRICS)
        ]
    return {axis.key: axis for axis in axes}


def default_axes(
    axes: dict[str, Axis], headline: str = "test_accuracy"
) -> tuple[str | None, str | None]:
    """Keys of x and y: latency and the column of the headline metric, or the closest alternatives."""
    x = ("latency_p50_ms", "num_macs", "num_params", "train_seconds")
    y = (headline, "test_accuracy", "throughput_images_per_second", "num_params")
    return _first(axes, x, None), _first(axes, y, _first(axes, x, None))


def _first(axes: dict[str, Axis], keys: tuple[str, ...], other: str | None) -> str | None:
    available = [key for key in keys if key in axes and key != other]
    return available[0] if available else next(iter(axes), None)
