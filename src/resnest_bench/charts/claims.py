"""The hypotheses of a claim: the observed value of each with its interval, and the claimed band."""

import textwrap

import altair as alt
import numpy as np
import pandas as pd

from resnest_bench.charts.cut_bars import CUT_NOTE, arrowheads, cut_bars, ends_beyond
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.style import WIDTH, describe_missing, join_distinct, no_data_chart, title
from resnest_bench.records.metrics import METRICS
from resnest_bench.specs.scores import TRAINED_METRICS, metric_column

AXES = {
    "points": "Difference in test accuracy, first minus second (percentage points)",
    "%": "Test accuracy (%)",
    "ratio": "First over second (ratio)",
    "ms": "Latency, p50 (ms)",
    "parameters": "Parameters",
    "MACs": "Multiply-accumulates of one image",
}
FRESH, LEAD = "measured", "decides the verdict"
STALE = " (stale)"
# Shape and colour of a dot.
LOOKS = {
    FRESH: ("circle", PALETTE[0]),
    LEAD: ("diamond", PALETTE[1]),
    FRESH + STALE: ("cross", PALETTE[0]),
    LEAD + STALE: ("cross", PALETTE[1]),
}
MAX_NAMED = 4
MAX_ROWS = 40
ROW_HEIGHT, LABEL_COLUMNS = 34, 46


def claim_chart(rows: pd.DataFrame, claim: str) -> alt.LayerChart | alt.Chart:
    """One row per hypothesis of one claim (from `comparisons_table`): dot, interval, single seeds.

    The shaded band is the claim: the dots must be in it. Of more than 40 hypotheses those with the
    largest p for the claim are drawn.
    """
    if not len(rows):
        return no_data_chart(claim, ["There is nothing to compare"])
    drawn = rows["estimate"].notna()
    gaps = _gaps(rows, drawn)
    if not drawn.any():
        return no_data_chart(claim, [gaps])
    points = _select_rows(rows[drawn])
    low, high = _domain(points)
    x = alt.Scale(domain=[low, high], nice=False, zero=False)
    y = _y(points)
    axis = _axis_title(points)
    cut = ends_beyond(points, "low", "high", (low, high))
    layers = [
        _band(points, x, axis, low, high),
        _seeds(points, x, y, axis),
        _intervals(cut_bars(points, "low", "high", (low, high)), x, y, axis),
        *_arrowheads(cut, x, y, axis),
        _counts(points, y),
        _dots(points, x, y, axis),
    ]
    arrows = CUT_NOTE if len(cut) else ""
    notes = [*_notes(points), arrows, *_cut_note(int(drawn.sum())), gaps]
    return alt.LayerChart(layer=layers).properties(
        title=title(claim, notes), width=WIDTH, height=max(ROW_HEIGHT * len(points), 60)
    )


def _gaps(rows: pd.DataFrame, drawn: pd.Series) -> str:
    """Name what isn't drawn, with the reasons; or only the number of many, whose reasons are in the table."""
    missing = int((~drawn).sum())
    if missing > MAX_NAMED and drawn.any():
        return f"Not drawn: {missing} of {len(rows)} hypotheses, which have no records"
    return describe_missing(rows.assign(variant=rows["comparison"]), drawn)


def _select_rows(rows: pd.DataFrame) -> pd.DataFrame:
    if len(rows) > MAX_ROWS:
        keep = rows["p_for"].sort_values(ascending=False, kind="stable").index[:MAX_ROWS]
        rows = rows[rows.index.isin(keep)]
    labels = ["\n".join(textwrap.wrap(text, LABEL_COLUMNS)) for text in rows["comparison"]]
    # A single hypothesis needs no mark.
    leads = rows["lead"].to_numpy(dtype=bool) & (len(rows) > 1)
    stale = rows["stale"].to_numpy(dtype=bool, na_value=False)
    looks = [
        (LEAD if lead else FRESH) + (STALE if is_stale else "")
        for lead, is_stale in zip(leads, stale, strict=True)
    ]
    return rows.assign(label=labels, look=looks)


def _domain(points: pd.DataFrame) -> tuple[float, float]:
    """Limits of x: all seeds, the claim's limits, and as much of the intervals as stays readable."""
    seeds = points["seed_values"].explode().astype(float)
    edges = points[["claimed_low", "claimed_high"]].to_numpy().ravel()
    # exp(-inf) is the lower limit of a ratio without one.
    edges = edges[np.isfinite(edges) & ~((points["unit"].iloc[0] == "ratio") & (edges == 0))]
    shown = np.concatenate([points["estimate"], seeds.dropna(), edges])
    first, last = shown.min(), shown.max()
    room = max(last - first, 1e-3 * abs(last), 1e-9)
    low = np.nanmin([first, points["low"].min()])
    high = np.nanmax([last, points["high"].max()])
    low, high = max(low, first - room), min(high, last + room)
    margin = 0.05 * (high - low)
    return float(low - margin), float(high + margin)


def _notes(points: pd.DataFrame) -> list[str]:
    data, device = join_distinct(points, "dataset_label"), join_distinct(points, "device")
    images = " or ".join(f"{int(n):,}" for n in points["num_images"].dropna().unique())
    batches = points["batch_size"].dropna().unique()
    where = [
        data,
        f"{images} test images" if images else "",
        *(f"batch {int(size)}" for size in batches),
        f"on {device}" if device else "",
    ]
    if points["n"].isna().all():
        return [", ".join(filter(None, where)), "Shaded: the claim. Counts have no error"]
    what = "seeds" if points["metric"].isin(TRAINED_METRICS).all() else "rounds"
    no_images = what == "rounds" or points["only_seeds"].fillna(False).astype(bool).any()
    return [
        ", ".join(filter(None, where)),
        f"Shaded: the claim. Dots: mean over n {what}. Ticks: single {what}. Bars: 95 % "
        f"interval for new {what}{'' if no_images else ' and new test images'}, none below n=3",
    ]


def _cut_note(count: int) -> list[str]:
    return [f"The {MAX_ROWS} least clear of {count} hypotheses"] if count > MAX_ROWS else []


def _axis_title(points: pd.DataFrame) -> str:
    unit, metric = points["unit"].iloc[0], points["metric"].iloc[0]
    if metric not in TRAINED_METRICS or metric == "accuracy":
        return AXES[unit]
    label = METRICS[metric_column(metric)].label
    unit = "percentage points" if unit == "points" else unit
    if points["b"].notna().any():
        return f"Difference in {label}, first minus second ({unit})"
    return f"{label} ({unit})"


def _x(field: str, scale: alt.Scale, title: str) -> alt.X:
    return alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=8))


def _y(points: pd.DataFrame) -> alt.Y:
    order = points["label"].tolist()
    axis = alt.Axis(
        labelExpr="split(datum.label, '\\n')",
        labelLimit=400,
        labelPadding=8,
        ticks=False,
        grid=True,
    )
    return alt.Y("label:N", sort=order, title=None, scale=alt.Scale(domain=order), axis=axis)


def _band(points: pd.DataFrame, x: alt.Scale, axis: str, low: float, high: float) -> alt.Chart:
    first = points.iloc[0]
    ends = {"from": max(first["claimed_low"], low), "to": min(first["claimed_high"], high)}
    mark = alt.Chart(pd.DataFrame([ends])).mark_rect(color=PALETTE[2], opacity=0.15)
    return mark.encode(x=_x("from", x, axis), x2="to:Q")


def _intervals(points: pd.DataFrame, x: alt.Scale, y: alt.Y, axis: str) -> alt.Chart:
    return (
        alt.Chart(points.dropna(subset=["low"])[["label", "from", "to"]])
        .mark_rule(strokeWidth=2, color=PALETTE[0])
        .encode(x=_x("from", x, axis), x2="to:Q", y=y)
    )


def _arrowheads(cut: pd.DataFrame, x: alt.Scale, y: alt.Y, axis: str) -> list[alt.Chart]:
    heads = arrowheads(cut[["label", "border", "upper"]], "x", color=PALETTE[0])
    return [head.encode(x=_x("border", x, axis), y=y) for head in heads]


def _seeds(points: pd.DataFrame, x: alt.Scale, y: alt.Y, axis: str) -> alt.Chart:
    columns = ["seeds", "seed_values"]
    long = points[["label", *columns]].explode(columns).dropna(subset=columns)
    long = long.rename(columns={"seeds": "seed", "seed_values": "value"})
    return (
        alt.Chart(long.astype({"seed": int, "value": float}))
        .mark_tick(thickness=1.5, size=14, color=GREY)
        .encode(
            x=_x("value", x, axis), y=y, tooltip=["seed:Q", alt.Tooltip("value:Q", format=".4~g")]
        )
    )


def _counts(points: pd.DataFrame, y: alt.Y) -> alt.Chart:
    texts = points[["label"]].assign(text=["" if pd.isna(n) else f"n={n}" for n in points["n"]])
    mark = alt.Chart(texts).mark_text(align="left", dx=8)
    return mark.encode(x=alt.value("width"), y=y, text="text:N")


def _dots(points: pd.DataFrame, x: alt.Scale, y: alt.Y, axis: str) -> alt.Chart:
    looks = [look for look in LOOKS if (points["look"] == look).any()]
    shapes, colours = zip(*(LOOKS[look] for look in looks), strict=True)
    legend = alt.Legend(orient="top", title=None, labelLimit=400, offset=8)
    number = ".4~g"
    tooltip = [
        alt.Tooltip("comparison:N", title="hypothesis"),
        alt.Tooltip("estimate:Q", title=points["unit"].iloc[0], format=number),
        alt.Tooltip("low:Q", title="95 % from", format=number),
        alt.Tooltip("high:Q", title="95 % to", format=number),
        alt.Tooltip("n:Q", title="n"),
        alt.Tooltip("p_for:Q", title="p for", format=".2~g"),
        alt.Tooltip("p_against:Q", title="p against", format=".2~g"),
        alt.Tooltip("status:N"),
    ]
    columns = [
        "label",
        "look",
        "comparison",
        "estimate",
        "low",
        "high",
        "n",
        "p_for",
        "p_against",
        "status",
    ]
    return (
        alt.Chart(points[columns])
        .mark_point(size=90, opacity=1, filled=True)
        .encode(
            x=_x("estimate", x, axis),
            y=y,
            tooltip=tooltip,
            shape=alt.Shape(
                "look:N", legend=legend, scale=alt.Scale(domain=looks, range=list(shapes))
            ),
            color=alt.Color(
                "look:N", legend=legend, scale=alt.Scale(domain=looks, range=list(colours))
            ),
        )
    )
