"""Bars that are longer than the plot: the visible part, and an arrowhead where they continue."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

CUT_NOTE = "Arrowheads: the bar continues beyond the plot"
# By channel and by the side of the plot: an arrowhead, and pixels from the border to its middle.
ARROWS: dict[tuple[str, bool], dict[str, Any]] = {
    ("x", False): {"shape": "triangle-left", "xOffset": 4},
    ("x", True): {"shape": "triangle-right", "xOffset": -4},
    ("y", False): {"shape": "triangle-down", "yOffset": -4},
    ("y", True): {"shape": "triangle-up", "yOffset": 4},
}


def cut_bars(rows: pd.DataFrame, low: str, high: str, domain: Sequence[float]) -> pd.DataFrame:
    """`rows` with `from` and `to`: the part within `domain` of each bar from column `low` to `high`."""
    ends = {"from": rows[low].clip(lower=domain[0]), "to": rows[high].clip(upper=domain[1])}
    return rows.assign(**ends)


def ends_beyond(rows: pd.DataFrame, low: str, high: str, domain: Sequence[float]) -> pd.DataFrame:
    """One row per end of a bar that `domain` cuts off.

    `border` is the end of the domain that the bar crosses, and `upper` whether it is the upper one.
    """
    below = rows[rows[low] < domain[0]].assign(border=domain[0], upper=False)
    above = rows[rows[high] > domain[1]].assign(border=domain[1], upper=True)
    return pd.concat([below, above], ignore_index=True)


def arrowheads(
    ends: pd.DataFrame, channel: str, reverse: bool = False, **looks: Any
) -> list[alt.Chart]:
    """One arrowhead at the border of the plot per row of `ends_beyond`.

    `channel` is 'x' or 'y', the direction of the bars; `reverse` that of its scale. `looks` are
    properties of the mark.
    """
    parts = [(upper, ends[ends["upper"].eq(upper)]) for upper in (False, True)]
    return [
        alt.Chart(part).mark_point(
            size=40, filled=True, opacity=1, **ARROWS[channel, upper != reverse], **looks
        )
        for upper, part in parts
        if len(part)
    ]
