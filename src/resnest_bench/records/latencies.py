"""Summaries of the samples of a latency, and the cell that represents a variant (floor 0)."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from resnest_bench.records.imports import ImportedCell, ImportedResults
from resnest_bench.records.observations import LatencyCell, LatencyObservations

NOISY_IQR_SHARE = 0.10
Timed = LatencyObservations | ImportedResults


def summarise_samples(samples_ms: Sequence[float]) -> dict[str, Any]:
    """Return n, mean, p50, p90, p99 and iqr (in ms) of steady-state samples, and whether they are noisy.

    Percentiles are interpolated linearly between order statistics (Hyndman and Fan's type 7, numpy's
    default). iqr is p75 - p25, and noisy means iqr > 0.10 * p50. Without samples, all values are NaN and
    noisy is False.
    """
    return dict(_summary(tuple(samples_ms)))


# Cached, since several values of the same cell are usually extracted in a row.
@functools.lru_cache(maxsize=500)
def _summary(samples_ms: tuple[float, ...]) -> dict[str, Any]:
    samples = np.asarray(samples_ms, dtype=float)
    names = ("mean", "p50", "p90", "p99", "iqr")
    if not len(samples):
        return {"n": 0, **dict.fromkeys(names, math.nan), "noisy": False}
    p25, p50, p75, p90, p99 = np.percentile(samples, [25, 50, 75, 90, 99], method="linear").tolist()
    values = (float(samples.mean()), p50, p90, p99, p75 - p25)
    noisy = p75 - p25 > NOISY_IQR_SHARE * p50
    return {"n": len(samples), **dict(zip(names, values, strict=True)), "noisy": noisy}


def summarise_cell(cell: LatencyCell | ImportedCell) -> dict[str, Any]:
    """`summarise_samples`, or what is stated instead: a mean is p50 too. A single imported sample has no spread."""
    summary = summarise_samples(cell.samples_ms)
    if not isinstance(cell, ImportedCell):
        return summary
    if len(cell.samples_ms) == 1:
        return {**summary, **dict.fromkeys(("p90", "p99", "iqr"), math.nan)}
    stated = {str(name): value for name, value in cell.statistics_ms.items()}
    middle = stated.get("p50", stated.get("mean"))
    return summary if middle is None else {**summary, "p50": middle, **stated}


def cell_setting(cell: LatencyCell | ImportedCell) -> tuple[str, str, str]:
    """Return precision, layout and mode of a cell: everything but its batch size."""
    return cell.precision, cell.layout, cell.mode


def primary_cell(latency: Timed) -> LatencyCell | ImportedCell | None:
    """Return the cell that represents a variant: the first setting, with the smallest batch size.

    Returns None if no cell could be measured. Show its batch size and setting together with its latency:
    they differ between variants if the first ones were unavailable for some.
    """
    if not latency.cells:
        return None
    first = cell_setting(latency.cells[0])
    return min((c for c in latency.cells if cell_setting(c) == first), key=lambda c: c.batch_size)


def images_per_second(cell: LatencyCell | ImportedCell) -> float | None:
    """Return the images of one call divided by the median time of a call; None if that is 0."""
    p50 = summarise_cell(cell)["p50"]
    return 1000 * cell.batch_size / p50 if p50 > 0 else None
