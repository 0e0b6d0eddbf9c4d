"""CELL_METRICS: the values of a latency cell, by name, with unit, label and direction (floor 0)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CellMetric:
    """One value of a latency cell, a column of `frames.rows.cells_frame`. Attributes as in `Metric`."""

    name: str
    unit: str
    label: str
    better: Literal["higher", "lower"] | None


_CELL_ENTRIES = (
    CellMetric("p50_ms", "ms", "Latency, p50", "lower"),
    CellMetric("p90_ms", "ms", "Latency, p90", "lower"),
    CellMetric("p99_ms", "ms", "Latency, p99", "lower"),
    CellMetric("mean_ms", "ms", "Latency, mean", "lower"),
    CellMetric("iqr_ms", "ms", "Latency, interquartile range", "lower"),
    CellMetric("device_p50_ms", "ms", "Latency by the device's clock, p50", "lower"),
    CellMetric("ms_per_image", "ms", "Time per image", "lower"),
    CellMetric("throughput_images_per_second", "images/s", "Throughput", "higher"),
    CellMetric("first_call_ms", "ms", "First call", "lower"),
    CellMetric("peak_memory_bytes", "bytes", "Peak GPU memory", "lower"),
    CellMetric("resident_bytes", "bytes", "Peak resident memory", "lower"),
    CellMetric("added_bytes", "bytes", "Resident memory that the network adds", "lower"),
    CellMetric("energy_joules_per_image", "J", "Energy per image", "lower"),
    CellMetric("cost_per_million_images", "price", "Cost of a million images", "lower"),
)

CELL_METRICS: dict[str, CellMetric] = {metric.name: metric for metric in _CELL_ENTRIES}
