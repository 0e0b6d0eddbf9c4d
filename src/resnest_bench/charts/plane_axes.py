"""The two axes of a trade-off chart: their domains, titles and ticks."""

import math

import altair as alt
import numpy as np
import pandas as pd

from resnest_bench.charts.marks import NUMBER
from resnest_bench.tables.axes import Axis

# A log axis starts no lower than the lowest mean divided by this.
LOG_REACH = 10


def shared_domains(
    frames: list[pd.DataFrame], x: Axis, y: Axis, log_x: bool, log_y: bool
) -> tuple[list[float], list[float]]:
    """Domains of x and y that contain every point of all frames, with room for labels."""
    every = pd.concat(frames)
    return _domain(every, "x", log_x, (0.08, 0.25)), _domain(every, "y", log_y, (0.10, 0.10))


def _domain(points: pd.DataFrame, name: str, log: bool, room: tuple[float, float]) -> list[float]:
    """Limits of an axis that contain every point and every bar.

    Only the lower end of a bar on a log axis may be outside, since 0 is infinitely far away.
    """
    values = points[[name, f"{name}_low", f"{name}_high"]].to_numpy(dtype=float)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if log:
        least = float(points[name].min()) / LOG_REACH
        low, high = math.log(max(low, least)), math.log(high)
    size = (high - low) or abs(high) * 0.2 or 1.0
    low, high = low - room[0] * size, high + room[1] * size
    if not log:
        return [low, high]
    # A bar that continues beyond the limit ends at the border, without a margin.
    return [max(math.exp(low), least), math.exp(high)]


def axis_title(axis: Axis, log: bool, side: str) -> str:
    unit = ", ".join(part for part in (axis.unit, "log scale" if log else "") if part)
    text = f"{axis.label} ({unit})" if unit else axis.label
    if axis.better is None:
        return text
    return f"← better \u2003 {text}" if side == "left" else f"{text} \u2003 better →"


def tick_axis(log: bool, domain: list[float]) -> alt.Axis:
    # Over several decades a log axis labels only 1, 2 and 5: more labels would overlap.
    if not log or domain[1] < 10 * domain[0]:
        return alt.Axis(format=NUMBER, labelOverlap=True)
    expression = (
        "indexof(['1', '2', '5'], substring(replace(format(datum.value, 'e'), '.', ''), 0, 1)) >= 0"
    )
    return alt.Axis(format=NUMBER, labelExpr=f"{expression} ? datum.label : ''", labelOverlap=False)


def axis_share(value: float, domain: list[float], log: bool) -> float:
    """How far along its axis a value is, from 0 at the low end to 1 at the high one."""
    low, high = domain
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)
