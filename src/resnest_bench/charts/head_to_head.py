"""Two networks head to head: seed by seed, image by image, and the ratio of their latencies."""

from collections.abc import Mapping
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from resnest_bench.charts.marks import NUMBER, ratio_ticks
from resnest_bench.charts.palette import CELL_TEXT, DIVERGING, GREY, PALETTE
from resnest_bench.charts.style import WIDTH, no_data_chart, title
from resnest_bench.comparisons.image_outcomes import BOTH, NEITHER, ONLY_ONE, ONLY_OTHER

ROW_HEIGHT = 24
MEAN = "mean"
# Colours of the first and of the second network on every chart of their page.
FIRST, SECOND = PALETTE[0], PALETTE[1]
SHAPES = ["circle", "diamond"]
BATCH = "batch {}"


def seeds_chart(
    values: pd.DataFrame, names: tuple[str, str], measure: str
) -> alt.LayerChart | alt.Chart:
    """The values of two networks seed by seed, and their means; lines join the values of a common seed.

    `values` is that of `HeadToHead`, in %. The means have no interval here: that of their difference is
    what counts, and `gaps_chart` has it.
    """
    head = "Seed by seed"
    if not len(values):
        return no_data_chart(head, ["Neither network has a finished training"])
    rows = values.assign(label=[f"seed {seed}" for seed in values["seed"]], kind="seed")
    means = values.groupby("row", sort=False, as_index=False)["percent"].mean()
    rows = pd.concat([rows, means.assign(label=MEAN, kind=MEAN)], ignore_index=True)
    rows = rows.astype({"percent": float})[["row", "label", "percent", "kind"]]
    order = [f"seed {seed}" for seed in sorted(values["seed"].unique())] + [MEAN]
    y = alt.Y("label:N", sort=order, scale=alt.Scale(domain=order), title=None)
    x = alt.X(
        "percent:Q", title=f"{measure[0].upper()}{measure[1:]} (%)", scale=alt.Scale(zero=False)
    )
    ends = rows.groupby("label", sort=False)["percent"].agg(["min", "max", "count"]).reset_index()
    joined = ends[ends["count"] == 2]
    rules = alt.Chart(joined).mark_rule(color=GREY).encode(x=alt.X("min:Q"), x2="max:Q", y=y)
    dots = (
        alt.Chart(rows)
        .mark_point(filled=True, opacity=1)
        .encode(
            x=x,
            y=y,
            size=alt.condition(f"datum.kind === '{MEAN}'", alt.value(170), alt.value(80)),
            **_looks(names),
            tooltip=[
                alt.Tooltip("row:N", title="network"),
                alt.Tooltip("label:N", title="seed"),
                alt.Tooltip("percent:Q", title=f"{measure} (%)", format=".2f"),
            ],
        )
    )
    note = "" if len(joined) == len(order) else "A single dot: the other network has no such seed"
    return alt.LayerChart(layer=[rules, dots]).properties(
        title=title(head, [note]), width=WIDTH, height=ROW_HEIGHT * len(order)
    )


def _looks(names: tuple[str, str]) -> dict[str, Any]:
    legend = alt.Legend(orient="top", title=None, labelLimit=0, columns=1)
    return {
        "color": alt.Color(
            "row:N", legend=legend, scale=alt.Scale(domain=list(names), range=[FIRST, SECOND])
        ),
        "shape": alt.Shape(
            "row:N", legend=legend, scale=alt.Scale(domain=list(names), range=SHAPES)
        ),
    }


def gaps_chart(
    pair: Mapping[str, Any], names: tuple[str, str], about: str
) -> alt.LayerChart | alt.Chart:
    """The difference of each common seed, and of the means with the interval of the verdict, in points.

    `pair` is a row of `show_population`, `about` the population that the interval is for.
    """
    one, other = names
    head = f"The difference: {one} minus {other}"
    if pd.isna(pair["difference_points"]):
        return no_data_chart(head, [str(pair["status"])])
    one_seed = pair["n"] == 1
    kind = "networks" if one_seed else "all"
    gaps = pd.DataFrame({"points": [float(v) for v in pair["seed_differences_points"] or []]})
    mean = pd.DataFrame(
        [
            {
                "points": float(pair["difference_points"]),
                "low": float(pair[f"{kind}_low_points"]),
                "high": float(pair[f"{kind}_high_points"]),
            }
        ]
    )
    order = ["seeds", MEAN]
    y = alt.Y("label:N", sort=order, scale=alt.Scale(domain=order), title=None)
    x = alt.X("points:Q", title="Difference (percentage points)")
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=GREY, strokeDash=[4, 3])
    mean = mean.assign(label=MEAN)
    bar = alt.Chart(mean.dropna(subset=["low"])).mark_rule(strokeWidth=3, color=PALETTE[2])
    dot = alt.Chart(mean).mark_point(
        filled=True, opacity=1, size=170, color=PALETTE[2], shape="square"
    )
    tooltip = [
        alt.Tooltip("points:Q", title="difference (points)", format="+.2f"),
        alt.Tooltip("low:Q", title="95 % from", format="+.2f"),
        alt.Tooltip("high:Q", title="95 % to", format="+.2f"),
    ]
    layers = [zero.encode(x="zero:Q"), bar.encode(x=alt.X("low:Q"), x2="high:Q", y=y)]
    if len(gaps):
        ticks = alt.Chart(gaps.assign(label="seeds")).mark_tick(thickness=2, size=18, color=GREY)
        seed_tip = [alt.Tooltip("points:Q", title="one seed (points)", format="+.2f")]
        layers.append(ticks.encode(x=x, y=y, tooltip=seed_tip))
    layers.append(dot.encode(x=x, y=y, tooltip=tooltip))
    if mean["low"].isna().all():
        note = "No interval: that takes three seeds of each"
    else:
        what = "these two networks on new test images" if one_seed else about
        note = f"Bar: 95 % interval for {what}"
    if not len(gaps):
        note += ". No common seed, so no tick"
    return alt.LayerChart(layer=layers).properties(
        title=title(head, [note]), width=WIDTH, height=3 * ROW_HEIGHT
    )


def quadrants_chart(
    quadrants: pd.DataFrame, names: tuple[str, str], num_images: int
) -> alt.LayerChart:
    """Two by two: the share of the test images that both, only one or neither gets right.

    `quadrants` is from `ImageOutcomes.quadrants`.
    """
    one, other = names
    rows = columns = ["right", "wrong"]
    places = {
        BOTH: (rows[0], columns[0]),
        ONLY_ONE: (rows[0], columns[1]),
        ONLY_OTHER: (rows[1], columns[0]),
        NEITHER: (rows[1], columns[1]),
    }
    cells = quadrants.assign(
        row=[places[outcome][0] for outcome in quadrants["outcome"]],
        column=[places[outcome][1] for outcome in quadrants["outcome"]],
        text=[f"{value:.1f} %" for value in quadrants["percent"]],
        note=[f"about {value:,.0f} images" for value in quadrants["images"]],
        lean=quadrants["outcome"].map({BOTH: 0.0, ONLY_ONE: 1.0, ONLY_OTHER: -1.0, NEITHER: 0.0}),
    )
    x = alt.X("column:N", sort=columns, title=other, axis=_plain_axis("top"))
    y = alt.Y("row:N", sort=rows, title=one, axis=_plain_axis("left"))
    base = alt.Chart(cells).encode(
        x=x,
        y=y,
        tooltip=[
            alt.Tooltip("percent:Q", title="share (%)", format=".2f"),
            alt.Tooltip("low_percent:Q", title="lowest pair of seeds (%)", format=".2f"),
            alt.Tooltip("high_percent:Q", title="highest pair of seeds (%)", format=".2f"),
            alt.Tooltip("images:Q", title="images (mean)", format=",.1f"),
        ],
    )
    colour = alt.Color("lean:Q", legend=None, scale=alt.Scale(domain=[-1, 0, 1], range=DIVERGING))
    layers = [
        base.mark_rect(stroke=GREY).encode(color=colour),
        base.mark_text(color=CELL_TEXT, fontSize=18, fontWeight="bold", dy=-8).encode(
            text="text:N"
        ),
        base.mark_text(color=CELL_TEXT, fontSize=11, dy=14).encode(text="note:N"),
    ]
    notes = [f"{num_images:,} test images: mean over all pairs of a seed of each"]
    return alt.LayerChart(layer=layers).properties(
        title=title("Which images are right", notes), width=WIDTH, height=190
    )


def _plain_axis(orient: Literal["top", "left"]) -> alt.Axis:
    return alt.Axis(orient=orient, labelAngle=0, labelLimit=190, ticks=False, domain=False)


def latency_ratio_chart(
    ratios: pd.DataFrame, names: tuple[str, str], floor_percent: float | None
) -> alt.LayerChart | alt.Chart:
    """The ratio of two latencies at each batch size, with its interval; the band is the noise floor.

    `ratios` has rows of `latency_ratios` and their `batch_size`.
    """
    one, other = names
    head = f"Latency: {one} divided by {other}"
    drawn = ratios.dropna(subset=["time_ratio"])
    if not len(drawn):
        reasons = list(dict.fromkeys(ratios["status"].dropna())) if len(ratios) else []
        return no_data_chart(head, reasons or ["This study measures no latency"])
    rows = drawn.assign(label=[BATCH.format(size) for size in drawn["batch_size"]])
    order = rows["label"].tolist()
    y = alt.Y("label:N", sort=order, scale=alt.Scale(domain=order), title=None)
    scale = alt.Scale(type="log", nice=False, padding=24)
    ends = rows[["time_ratio", "low_ratio", "high_ratio"]].to_numpy(dtype=float)
    ticks = ratio_ticks(
        min(float(np.nanmin(ends)), 1.0) * 0.95, max(float(np.nanmax(ends)), 1.0) * 1.05
    )
    axis = alt.Axis(values=ticks)
    x = alt.X("time_ratio:Q", scale=scale, axis=axis, title="Ratio of latencies (log scale)")
    layers = []
    if floor_percent is not None and not pd.isna(floor_percent):
        ratio = 1 + floor_percent / 100
        band = alt.Chart(pd.DataFrame([{"low": 1 / ratio, "high": ratio}]))
        layers.append(
            band.mark_rect(color=GREY, opacity=0.18).encode(
                x=alt.X("low:Q", scale=scale), x2="high:Q"
            )
        )
    columns = ["label", "time_ratio", "low_ratio", "high_ratio", "n", "noise"]
    shown = alt.Chart(rows[columns])
    bars = alt.Chart(rows[columns].dropna(subset=["low_ratio"])).mark_rule(
        strokeWidth=3, color=PALETTE[2]
    )
    dots = shown.mark_point(filled=True, opacity=1, size=120, color=PALETTE[2], shape="square")
    same = alt.Chart(pd.DataFrame({"same": [1.0]})).mark_rule(color=GREY, strokeDash=[4, 3])
    layers += [
        same.encode(x=alt.X("same:Q", scale=scale)),
        bars.encode(x=alt.X("low_ratio:Q", scale=scale), x2="high_ratio:Q", y=y),
        dots.encode(
            x=x,
            y=y,
            tooltip=[
                alt.Tooltip("label:N", title="setting"),
                alt.Tooltip("time_ratio:Q", title="ratio", format=NUMBER),
                alt.Tooltip("low_ratio:Q", title="95 % from", format=NUMBER),
                alt.Tooltip("high_ratio:Q", title="95 % to", format=NUMBER),
                alt.Tooltip("n:Q", title="rounds (n)"),
                alt.Tooltip("noise:N", title="compared with the noise floor"),
            ],
        ),
    ]
    device = " and ".join(dict.fromkeys(rows["device"].dropna()))
    where = f", {device}" if device else ""
    notes = [
        f"Left of 1: {one} is faster. Band: noise floor. Bars: 95 % interval over rounds{where}"
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(head, notes), width=WIDTH, height=max(30 * len(rows), 60)
    )
