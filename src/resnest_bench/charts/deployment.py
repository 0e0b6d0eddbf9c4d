"""Accuracy against latency, where a deployment mode of a network is a point."""

from typing import Any

import altair as alt
import pandas as pd

from resnest_bench.charts.identity import identity, network_legend
from resnest_bench.charts.marks import LABEL_LIMIT, NUMBER
from resnest_bench.charts.palette import GREY, SHAPES
from resnest_bench.charts.style import WIDTH, join_distinct, no_data_chart, title
from resnest_bench.specs.deploy import BASE_MODE
from resnest_bench.words import list_names

TITLE = "Accuracy against latency, by deployment mode"
X, Y = "Latency, p50 (ms)", "Test accuracy (%)"


def deployment_chart(
    table: pd.DataFrame, variants: list[str] | tuple[str, ...] = ()
) -> alt.LayerChart | alt.Chart:
    """One point per network (colour) and mode (shape), with both 95 % intervals.

    `table` is from `deployment_table`, `variants` the study's, in its order. A line joins each mode with
    eager mode, so that it shows what the mode costs and gains. Whatever can't be drawn is named.
    """
    known = table["accuracy_percent"].notna() & table["latency_ms"].notna()
    drawn = table[known]
    gaps = _describe_gaps(table[~known])
    if not len(drawn):
        return no_data_chart(TITLE, [gaps])
    subtitle = [
        f"{join_distinct(drawn, 'dataset_label')}, batch size {drawn['batch_size'].iloc[0]}, on "
        f"{join_distinct(drawn, 'device')}",
        "Shape: mode. Bars: 95 % intervals. A line joins the modes of the same weights with eager mode",
        gaps,
    ]
    return alt.LayerChart(layer=_make_layers(drawn, variants)).properties(
        title=title(TITLE, subtitle), width=WIDTH, height=360
    )


def _make_layers(drawn: pd.DataFrame, variants: list[str] | tuple[str, ...]) -> list[alt.Chart]:
    names = list(dict.fromkeys(drawn["variant"]))
    looks = identity(variants, names).encodings(names, network_legend(len(names)))
    modes = list(dict.fromkeys(drawn["mode"]))
    shape = alt.Shape(
        "mode:N",
        sort=modes,
        scale=alt.Scale(domain=modes, range=[SHAPES[i % len(SHAPES)] for i in range(len(modes))]),
        legend=alt.Legend(title="Mode", orient="bottom", labelLimit=LABEL_LIMIT, symbolLimit=0),
    )
    x_scale = alt.Scale(type="log", nice=False, padding=20)
    x = alt.X("latency_ms:Q", title=f"{X}, log scale", scale=x_scale)
    y = alt.Y("accuracy_percent:Q", title=Y, scale=alt.Scale(zero=False, padding=20))
    base = alt.Chart(drawn)
    points = base.mark_point(size=90, filled=True, opacity=1).encode(
        x=x, y=y, fill=looks["fill"], shape=shape, tooltip=_make_tooltip()
    )
    bars = [
        base.mark_rule(strokeWidth=1.5).encode(
            x=alt.X("latency_low_ms:Q", title=f"{X}, log scale", scale=x_scale),
            x2="latency_high_ms:Q",
            y=y,
            color=looks["color"],
        ),
        base.mark_rule(strokeWidth=1.5).encode(
            x=x,
            y=alt.Y("accuracy_low_percent:Q", title=Y),
            y2="accuracy_high_percent:Q",
            color=looks["color"],
        ),
    ]
    lines = _join_modes(drawn)
    joined = alt.Chart(lines).mark_rule(color=GREY, strokeDash=[2, 3], opacity=0.7)
    ends = joined.encode(x=x, y=y, x2="base_latency_ms:Q", y2="base_accuracy_percent:Q")
    return [*([ends] if len(lines) else []), *bars, points]


def _join_modes(drawn: pd.DataFrame) -> pd.DataFrame:
    """The rows of other modes with the point of eager mode."""
    keys = ["dataset", "recipe", "variant"]
    values = ["latency_ms", "accuracy_percent"]
    base = drawn.loc[drawn["mode"] == BASE_MODE, [*keys, *values]]
    base = base.rename(columns={name: f"base_{name}" for name in values})
    return drawn[drawn["mode"] != BASE_MODE].merge(base, on=keys)


def _make_tooltip() -> list[Any]:
    return [
        "variant:N",
        "mode:N",
        alt.Tooltip("accuracy_percent:Q", title=Y, format=".2f"),
        alt.Tooltip("difference_points:Q", title="against eager (points)", format="+.2f"),
        alt.Tooltip("difference_low_points:Q", title="95 % from", format="+.2f"),
        alt.Tooltip("difference_high_points:Q", title="95 % to", format="+.2f"),
        alt.Tooltip("latency_ms:Q", title=X, format=NUMBER),
        alt.Tooltip("speedup:Q", title="times as fast as eager", format=NUMBER),
        alt.Tooltip("n:Q", title="seeds (n)"),
        alt.Tooltip("rounds:Q", title="rounds (n)"),
    ]


def _describe_gaps(gaps: pd.DataFrame) -> str:
    names = [f"{row.variant} in {row.mode}" for row in gaps.itertuples()]
    return f"Not drawn: {list_names(names, 12)} (the table says why)" if names else ""
