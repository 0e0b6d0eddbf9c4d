"""All claims at a glance: the effect that decides each, with its interval and what the claim says of it."""

import math

import altair as alt
import pandas as pd

from resnest_bench.charts.cut_bars import CUT_NOTE, arrowheads, cut_bars, ends_beyond
from resnest_bench.charts.marks import ratio_ticks
from resnest_bench.charts.palette import BLUE, GREY, VERMILION
from resnest_bench.charts.style import WIDTH, no_data_chart, title
from resnest_bench.claims.verdicts import CONTRADICTED, SUPPORTED, UNDECIDED, UNTESTED, VERDICTS
from resnest_bench.formats import is_known

# Colour, shape and whether a mark is filled; the order is that of the legend.
LOOKS = {
    SUPPORTED: (BLUE, "circle", True),
    CONTRADICTED: (VERMILION, "diamond", True),
    UNDECIDED: (GREY, "square", True),
    UNTESTED: (GREY, "circle", False),
}
SYMBOLS = {
    SUPPORTED: "\N{CHECK MARK}",
    CONTRADICTED: "\N{MULTIPLICATION X}",
    UNDECIDED: "?",
    UNTESTED: "–",
}
HEADS = {
    "points": "Differences in accuracy (percentage points)",
    "%": "Accuracies (%)",
    "ratio": "Ratios, first over second (log scale)",
    "ms": "Latencies (ms)",
    "parameters": "Parameters",
    "MACs": "Multiply-accumulates of one image",
}
ROW_HEIGHT = 26
PICK = "pick_claim"


def claim_forests(
    claims: pd.DataFrame, hypotheses: pd.DataFrame
) -> dict[str, alt.LayerChart | alt.Chart]:
    """One chart per unit, by unit: a row per claim with a measurement, in the study's order.

    `claims` and `hypotheses` are the two tables of `claim_tables`. The dot is the deciding hypothesis, the
    bar its 95 % interval, and the band next to it the values that the claim says it has. A click on a row
    selects it (PICK).
    """
    drawn = claims[claims["estimate"].notna()]
    if not len(drawn):
        return {"": no_data_chart("All claims", ["No claim has a measurement yet"])}
    leads = hypotheses[hypotheses["estimate"].notna()].set_index(["name", "comparison"])
    bounds = leads[["claimed_low", "claimed_high"]]
    bounds = bounds[~bounds.index.duplicated()]
    rows = drawn.join(bounds, on=["name", "comparison"])
    return {
        str(unit): _forest(group, str(unit)) for unit, group in rows.groupby("unit", sort=False)
    }


def _forest(rows: pd.DataFrame, unit: str) -> alt.LayerChart:
    ratio = unit == "ratio"
    low, high = _domain(rows, ratio)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False, type="log" if ratio else "linear")
    order = rows["name"].tolist()
    axis = alt.Axis(labelLimit=260, tickBand="extent", grid=True, gridOpacity=0.5, ticks=False)
    y = alt.Y("name:N", sort=order, title=None, scale=alt.Scale(domain=order), axis=axis)

    ticks = alt.Axis(values=ratio_ticks(low, high)) if ratio else alt.Axis(tickCount=7)

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=None, scale=scale, axis=ticks)

    verdicts = [verdict for verdict in VERDICTS if (rows["verdict"] == verdict).any()]
    colours = alt.Scale(domain=verdicts, range=[LOOKS[v][0] for v in verdicts])
    colour = alt.Color(
        "verdict:N",
        title=None,
        scale=colours,
        legend=alt.Legend(orient="top", labelLimit=0, columns=1),
    )
    shape = alt.Shape(
        "verdict:N",
        title=None,
        scale=alt.Scale(domain=verdicts, range=[LOOKS[v][1] for v in verdicts]),
        legend=alt.Legend(orient="top", labelLimit=0, columns=1),
    )
    columns = [
        "name",
        "claim",
        "comparison",
        "verdict",
        "estimate",
        "low",
        "high",
        "n",
        "corrected_p",
    ]
    points = rows[columns].astype({"n": "float64"})
    bands = rows[["name"]].assign(
        start=[max(value, low) if is_known(value) else low for value in rows["claimed_low"]],
        end=[min(value, high) if is_known(value) else high for value in rows["claimed_high"]],
    )
    bands = bands[bands["start"] < bands["end"]]
    edges = rows[["name", "claimed_low", "claimed_high"]].melt("name", value_name="edge")
    edges = edges[edges["edge"].between(low, high)][["name", "edge"]]
    cut = ends_beyond(points, "low", "high", (low, high))
    bars = cut_bars(points, "low", "high", (low, high)).dropna(subset=["low"])
    tooltip = [
        alt.Tooltip("claim:N"),
        alt.Tooltip("verdict:N"),
        alt.Tooltip("comparison:N", title="hypothesis"),
        alt.Tooltip("estimate:Q", title=unit, format=".4~g"),
        alt.Tooltip("low:Q", title="95 % from", format=".4~g"),
        alt.Tooltip("high:Q", title="95 % to", format=".4~g"),
        alt.Tooltip("n:Q", title="n"),
        alt.Tooltip("corrected_p:Q", title="corrected p", format=".2~g"),
    ]
    picked = alt.selection_point(name=PICK, fields=["name"], on="click", empty=False)
    hollow = [verdict for verdict in verdicts if not LOOKS[verdict][2]]
    fill = alt.condition(
        alt.FieldOneOfPredicate(field="verdict", oneOf=hollow or [""]),
        alt.value("transparent"),
        alt.Fill("verdict:N", scale=colours, legend=None),
    )
    layers = [
        alt.Chart(bands)
        .mark_bar(height=ROW_HEIGHT - 6, color=BLUE, opacity=0.13)
        .encode(x=x("start"), x2="end:Q", y=y),
        alt.Chart(edges)
        .mark_tick(thickness=2, size=ROW_HEIGHT - 6, color=GREY)
        .encode(x=x("edge"), y=y),
        alt.Chart(bars[["name", "from", "to", "verdict"]])
        .mark_rule(strokeWidth=3)
        .encode(x=x("from"), x2="to:Q", y=y, color=colour),
        *(
            head.encode(x=x("border"), y=y)
            for head in arrowheads(cut[["name", "border", "upper"]], "x", color=GREY)
        ),
        alt.Chart(points)
        .mark_point(size=110, opacity=1, strokeWidth=2)
        .encode(x=x("estimate"), y=y, color=colour, shape=shape, fill=fill, tooltip=tooltip)
        .add_params(picked),
    ]
    notes = [
        "Dot and bar: the deciding hypothesis with its 95 % interval. Band: what the claim says"
    ]
    notes += [CUT_NOTE] if len(cut) else []
    return alt.LayerChart(layer=layers).properties(
        title=title(HEADS.get(unit, unit), notes),
        width=WIDTH,
        height=max(ROW_HEIGHT * len(rows), 60),
    )


def _domain(rows: pd.DataFrame, ratio: bool) -> tuple[float, float]:
    """Limits of x: all estimates, finite limits of claims, and as much of the bars as stays readable."""
    edges = pd.concat([rows["claimed_low"], rows["claimed_high"]]).astype(float)
    known = [v for v in edges if is_known(v) and math.isfinite(v) and not (ratio and v <= 0)]
    shown = [*rows["estimate"].astype(float), *known, 1.0 if ratio else 0.0]
    shown = shown if ratio or rows["unit"].iloc[0] == "points" else shown[:-1]
    write, read = (math.log, math.exp) if ratio else (float, float)
    first, last = write(min(shown)), write(max(shown))
    room = max(last - first, 0.05 if ratio else 1e-3 * abs(last), 1e-9)
    lows, highs = (
        [write(float(v)) for v in rows[name] if is_known(v) and (v > 0 or not ratio)]
        for name in ("low", "high")
    )
    low = max(min([first, *lows]), first - room)
    high = min(max([last, *highs]), last + room)
    margin = 0.04 * (high - low)
    return float(read(low - margin)), float(read(high + margin))
