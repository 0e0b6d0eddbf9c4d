"""The time to the first output: the cold start and its parts."""

from typing import Any

import altair as alt
import pandas as pd

from resnest_bench.charts.marks import (
    INK,
    NUMBER,
    legend_filter,
    name_rows,
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
    explain_gaps,
    first_rows,
    latency_jobs,
    name_stale,
    over_rounds,
)
from resnest_bench.charts.style import WIDTH, no_data_chart, series_scales, title

TITLE = "Cold start"
AXIS = "Time to the first output (ms)"
# Column to its name; `rest_ms` is the rest of the total.
PARTS = {"build_ms": "building", "first_call_ms": "first call", "rest_ms": "the rest"}


def startup_chart(runs: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """One bar per variant: its cold start in ms, split into building, first call and the rest.

    `runs` is from `collect`. Values are means over rounds; the line is the range of the total over rounds.
    """
    jobs = latency_jobs(runs)
    if not len(jobs):
        return no_data_chart(TITLE)
    why = explain_gaps(jobs, "cold_start_ms")
    drawn, text, gaps = jobs[why == ""], data_title(TITLE, jobs), describe_gaps(jobs, why)
    if not len(drawn):
        return no_data_chart(text, [gaps])
    wholes, cut = first_rows(over_rounds(drawn, ["row"], "cold_start_ms"), len(PARTS) + 1)
    subtitle = [
        "From the start of building the network to its first output at batch size 1, without imports",
        f"Measured {describe_setting(drawn)}",
        *(describe_marks(wholes, "Bar"), cut, name_stale(drawn), gaps),
    ]
    selection = legend_filter("part")
    parts = _parts(drawn[drawn["row"].isin(wholes["row"])])
    layers = [_bars(parts, selection), *_ranges(wholes)]
    return (
        alt.LayerChart(layer=layers)
        .add_params(selection)
        .properties(title=title(text, subtitle), width=WIDTH, height=row_height(1))
    )


def _parts(drawn: pd.DataFrame) -> pd.DataFrame:
    """One row per variant and part of its cold start: the mean over rounds, in ms."""
    rest = drawn["cold_start_ms"] - drawn["build_ms"] - drawn["first_call_ms"]
    # The parts are never longer than the total, unless a record was edited.
    drawn = drawn.assign(rest_ms=rest.clip(lower=0))
    means = [
        over_rounds(drawn, ["row"], column).assign(part=name, rank=rank)
        for rank, (column, name) in enumerate(PARTS.items())
    ]
    return pd.concat(means, ignore_index=True)


def _bars(parts: pd.DataFrame, selection: alt.Parameter) -> alt.Chart:
    names = list(PARTS.values())
    colours, _ = series_scales(names)
    legend = series_legend("Part", len(names))
    return (
        alt.Chart(parts)
        .mark_bar()
        .encode(
            x=alt.X("mean:Q", title=AXIS, stack="zero"),
            y=name_rows("row", parts["row"]),
            color=alt.Color("part:N", scale=colours, sort=None, legend=legend),
            order="rank:Q",
            opacity=picked(selection),
            tooltip=[
                alt.Tooltip("row:N", title="variant"),
                "part:N",
                alt.Tooltip("mean:Q", title="mean (ms)", format=NUMBER),
                *rounds_tooltip(),
            ],
        )
    )


def _ranges(wholes: pd.DataFrame) -> list[alt.Chart]:
    several = wholes[wholes["rounds"] > 1]
    # With a white edge, since no single colour is visible on all parts and in both themes.
    looks: list[dict[str, Any]] = [
        {"color": "white", "strokeWidth": 3},
        {"color": INK, "strokeWidth": 1.5},
    ]
    return [
        alt.Chart(several)
        .mark_rule(**look)
        .encode(
            x=alt.X("low:Q", title=AXIS),
            x2="high:Q",
            y=name_rows("row", wholes["row"]),
            tooltip=[
                alt.Tooltip("row:N", title="variant"),
                alt.Tooltip("mean:Q", title="cold start, mean (ms)", format=NUMBER),
                *rounds_tooltip(),
            ],
        )
        for look in looks
        if len(several)
    ]
