"""The area of a point shows the number of parameters of its network."""

import math

import altair as alt
import pandas as pd
from altair.typing import ChannelSize

from resnest_bench.charts.palette import GREY


def size_by_params(points: pd.DataFrame, largest: float) -> ChannelSize:
    """The encoding; `largest` is the area in square pixels for the most parameters."""
    counts = points["num_params"].dropna().astype(float)
    if not len(counts):
        return alt.value(70)
    return alt.Size(
        "num_params:Q",
        title="parameters",
        scale=alt.Scale(type="sqrt", domain=[0, counts.max()], range=[largest / 11, largest]),
        legend=alt.Legend(
            format="~s", symbolFillColor=GREY, symbolStrokeWidth=0, values=_round_counts(counts)
        ),
    )


def _round_counts(counts: pd.Series) -> list[float]:
    """Two or three round numbers for the legend."""
    top = 10 ** math.floor(math.log10(max(counts.max(), 1)))
    return [v for v in (top / 5, top, 5 * top) if v <= counts.max() * 1.01] or [counts.max()]
