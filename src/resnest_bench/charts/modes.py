"""Latency by setting: precision, layout and mode side by side at one batch size."""

from typing import Any

import altair as alt
import pandas as pd

from resnest_bench.charts.marks import (
    NUMBER,
    legend_filter,
    name_rows,
    offsets,
    open_if_noisy,
    picked,
    rounds_tooltip,
    row_height,
    series_legend,
)
from resnest_bench.charts.rounds import (
    data_title,
    describe_gaps,
    describe_marks,
    describe_setting,
    distinct,
    explain_gaps,
    first_rows,
    name_stale,
    over_rounds,
    with_setting,
)
from resnest_bench.charts.style import WIDTH, no_data_chart, series_scales, title

LABEL = "Latency, p50 (ms)"
MARKS_PER_POINT = 2


def modes_chart(cells: pd.DataFrame, batch_size: int) -> alt.LayerChart | alt.Chart:
    """One row per variant with one dot per setting: mean p50 over rounds at `batch_size` images.

    `cells` is from `cells_frame`. x is logarithmic, in ms. Open dots are noisy in a round. Whatever
    can't be drawn is named with the reason.
    """
    text = f"Latency by setting, batch {batch_size}"
    if not len(cells):
        return no_data_chart(text)
    # A setting or job without a batch size is missing at all batch sizes.
    at_batch = (cells["batch_size"] == batch_size) | cells["batch_size"].isna()
    text, cells = data_title(text, cells), with_setting(cells[at_batch])
    why = explain_gaps(cells, "p50_ms")
    drawn, gaps = cells[why == ""], describe_gaps(cells, why)
    if not len(drawn):
        return no_data_chart(text, [gaps])
    means = over_rounds(drawn, ["variant", "setting"], "p50_ms")
    points, cut = first_rows(means, MARKS_PER_POINT)
    subtitle = [
        f"Median time of a call, {describe_setting(drawn)}",
        *(describe_marks(points, "Dot"), cut, name_stale(drawn), gaps),
    ]
    selection = legend_filter("setting")
    layered = alt.LayerChart(layer=_layers(points, selection)).add_params(selection)
    height = row_height(points["setting"].nunique())
    return layered.properties(title=title(text, subtitle), width=WIDTH, height=height)


def _layers(points: pd.DataFrame, selection: alt.Parameter) -> list[alt.Chart]:
    settings = distinct(points, "setting")
    colours, _ = series_scales(settings)
    # A single setting needs no legend: the subtitle names it.
    legend = series_legend("Setting", len(settings)) if len(settings) > 1 else None
    looks: dict[str, Any] = {"scale": colours, "sort": None, "legend": legend}
    scale = alt.Scale(type="log", nice=False, padding=12)
    base = alt.Chart(points).encode(
        y=name_rows("variant", points["variant"]),
        yOffset=offsets("setting", settings),
        opacity=picked(selection),
    )
    ranges = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=f"{LABEL}, log scale", scale=scale),
        x2="high:Q",
        color=alt.Color("setting:N", **looks),
    )
    dots = base.mark_point(size=45).encode(
        x=alt.X("mean:Q", title=f"{LABEL}, log scale", scale=scale, axis=alt.Axis(format=NUMBER)),
        stroke=alt.Stroke("setting:N", **looks),
        fill=open_if_noisy(alt.Fill("setting:N", **looks)),
        tooltip=[
            "variant:N",
            "setting:N",
            alt.Tooltip("mean:Q", title=LABEL, format=NUMBER),
            *rounds_tooltip(),
            alt.Tooltip("noisy_rounds:Q", title="noisy rounds"),
        ],
    )
    return [ranges, dots]
