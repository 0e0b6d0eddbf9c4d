"""The effect of one factor with the others held fixed: paired differences, next to the paper's."""

import altair as alt
import pandas as pd

from resnest_bench.charts.ablation import PAPER
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.style import WIDTH, describe_missing, join_distinct, no_data_chart, title

TITLES = {
    "radix": "Radix",
    "cardinality": "Cardinality",
    "width": "Width",
    "stem": "Stem and downsampling",
    "layers": "Depth",
    "channels": "Scale of all channels",
    "gate": "Weights of the splits",
    "kernels": "Kernel size of the splits",
    "attention": "Attention at the end of each block",
}
AXIS = "Test accuracy, second network minus first (percentage points)"
OURS, STALE = "ours", "ours (stale)"
ROW_HEIGHT, LINE_HEIGHT = 60, 13


def factor_chart(factor_rows: pd.DataFrame, factor: str) -> alt.LayerChart | alt.Chart:
    """One row per pair of `factor_table` that differs in `factor`: variant minus base.

    Dots are means over paired seeds with their 95 % t-intervals, ticks single seeds, and open diamonds
    the differences of the paper's printed accuracies. A pair without a value of ours is named with the
    reason.
    """
    text = f"{TITLES[factor]}, everything else held fixed"
    rows = factor_rows[factor_rows["factor"] == factor] if len(factor_rows) else factor_rows
    if not len(rows):
        return no_data_chart(text)
    text = f"{text}: {join_distinct(rows, 'dataset_label')}"
    drawn = rows["difference_mean_points"].notna()
    gaps = describe_missing(rows.assign(variant=_names(rows)), drawn)
    if not drawn.any():
        return no_data_chart(text, [gaps])
    points = _with_labels(rows[drawn], factor)
    low, high = _domain(points)
    x = alt.Scale(domain=[low, high], nice=False)
    y = _y(points)
    layers = [
        _zero(x),
        _intervals(points, x, y),
        _seeds(points, x, y),
        _counts(points, y),
        _means(points, x, y),
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(text, [*_subtitle(points), gaps]),
        width=WIDTH,
        height=ROW_HEIGHT * len(points),
    )


def _names(rows: pd.DataFrame) -> list[str]:
    return [name_pair(*pair) for pair in zip(rows["base"], rows["variant"], strict=True)]


def name_pair(base: str, variant: str) -> str:
    """'ResNeSt-14-1s1x64d → 2s1x64d': the common beginning of both names is written once."""
    *start, _ = base.split("-")
    *other, last = variant.split("-")
    return f"{base} → {last if start == other and start else variant}"


def _with_labels(rows: pd.DataFrame, factor: str) -> pd.DataFrame:
    """Add the limits of the interval, and a label of three lines: names, levels, other factors."""
    # A stem's level is its name, and a depth's level shows its layers.
    word = "" if factor in ("stem", "layers") else f"{factor} "
    changes = word + rows["base_level"] + " → " + rows["level"]
    lines = zip(_names(rows), changes, "held fixed: " + rows["held"], strict=True)
    return rows.assign(
        low=rows["difference_low_points"],
        high=rows["difference_high_points"],
        label=["\n".join(row) for row in lines],
    )


def _domain(points: pd.DataFrame) -> tuple[float, float]:
    """Limits of x: all points, 0 and all intervals. Two seeds have none."""
    seeds = points["seed_differences_points"].explode().astype(float)
    shown = pd.concat([points["printed_difference_points"], seeds, pd.Series([0.0])])
    first, last = shown.min(), shown.max()
    low = pd.Series([first, points["low"].min()]).min()
    high = pd.Series([last, points["high"].max()]).max()
    margin = 0.05 * max(high - low, 0.1)
    return float(low - margin), float(high + margin)


def _subtitle(points: pd.DataFrame) -> list[str]:
    tests = " or ".join(f"{int(count):,}" for count in points["num_test"].dropna().unique())
    lines = [
        f"Recipe {join_distinct(points, 'recipe')}, {tests} test images, "
        f"on {join_distinct(points, 'train_device')}",
        "Ours: mean over n paired seeds. Ticks: single seeds. Bars: 95 % t-interval, none below n=3",
    ]
    if points["printed_difference_points"].notna().any():
        lines.append("Paper: one printed figure per network, without a spread")
    return lines


def _x(field: str, scale: alt.Scale) -> alt.X:
    return alt.X(f"{field}:Q", title=AXIS, scale=scale, axis=alt.Axis(tickCount=8))


def _y(points: pd.DataFrame) -> alt.Y:
    order = points["label"].tolist()
    axis = alt.Axis(
        labelExpr="split(datum.label, '\\n')",
        labelLimit=400,
        labelLineHeight=LINE_HEIGHT,
        # A label of three lines is aligned at its first line.
        labelOffset=-LINE_HEIGHT,
        labelPadding=8,
        ticks=False,
    )
    return alt.Y("label:N", sort=order, title=None, scale=alt.Scale(domain=order), axis=axis)


def _zero(x: alt.Scale) -> alt.Chart:
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]}))
    return zero.mark_rule(color=GREY, strokeDash=[4, 3]).encode(x=_x("zero", x))


def _intervals(points: pd.DataFrame, x: alt.Scale, y: alt.Y) -> alt.Chart:
    return (
        alt.Chart(points.dropna(subset=["low"])[["label", "low", "high"]])
        .mark_rule(strokeWidth=2, color=PALETTE[0])
        .encode(x=_x("low", x), x2="high:Q", y=y)
    )


def _seeds(points: pd.DataFrame, x: alt.Scale, y: alt.Y) -> alt.Chart:
    columns = ["seeds", "seed_differences_points"]
    long = points[["label", *columns]].explode(columns)
    long = long.rename(columns={"seeds": "seed", "seed_differences_points": "difference_points"})
    tooltip = ["seed:Q", alt.Tooltip("difference_points:Q", format="+.2f")]
    return (
        alt.Chart(long.astype({"seed": int, "difference_points": float}))
        .mark_tick(thickness=1.5, size=14, color=GREY)
        .encode(x=_x("difference_points", x), y=y, tooltip=tooltip)
    )


def _counts(points: pd.DataFrame, y: alt.Y) -> alt.Chart:
    """The number of paired seeds of each row, at the right of the plot."""
    texts = points[["label"]].assign(text=[f"n={n}" for n in points["n"]])
    mark = alt.Chart(texts).mark_text(align="left", dx=8)
    return mark.encode(x=alt.value("width"), y=y, text="text:N")


def _means(points: pd.DataFrame, x: alt.Scale, y: alt.Y) -> alt.Chart:
    """Means of ours and printed differences as marks of one legend."""
    shared = ["label", "base", "variant", "held", "base_level", "level", "params_ratio"]
    ours = points[[*shared, "n", "low", "high", "status"]].assign(
        points=points["difference_mean_points"],
        figure=points["stale"].map({True: STALE, False: OURS}),
    )
    printed = points[shared].assign(points=points["printed_difference_points"], figure=PAPER)
    marks = pd.concat([ours, printed.dropna(subset=["points"])], ignore_index=True)
    looks = {
        OURS: ("circle", PALETTE[0], PALETTE[0]),
        STALE: ("cross", PALETTE[0], PALETTE[0]),
        PAPER: ("diamond", PALETTE[1], "transparent"),
    }
    figures = [figure for figure in looks if (marks["figure"] == figure).any()]
    shapes, strokes, fills = zip(*(looks[figure] for figure in figures), strict=True)

    def by_figure(values: tuple[str, ...]) -> dict:
        legend = alt.Legend(orient="top", title=None, labelLimit=400, offset=8)
        scale = alt.Scale(domain=figures, range=list(values))
        return {"shorthand": "figure:N", "scale": scale, "legend": legend}

    return (
        alt.Chart(marks)
        .mark_point(size=90, opacity=1, strokeWidth=2)
        .encode(
            x=_x("points", x),
            y=y,
            shape=alt.Shape(**by_figure(shapes)),
            stroke=alt.Stroke(**by_figure(strokes)),
            fill=alt.Fill(**by_figure(fills)),
            tooltip=_tooltip(),
        )
    )


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("base:N"),
        alt.Tooltip("variant:N"),
        alt.Tooltip("held:N", title="held fixed"),
        alt.Tooltip("figure:N"),
        alt.Tooltip("points:Q", title="difference (points)", format="+.2f"),
        alt.Tooltip("low:Q", title="95 % from", format="+.2f"),
        alt.Tooltip("high:Q", title="95 % to", format="+.2f"),
        alt.Tooltip("n:Q", title="paired seeds (n)"),
        alt.Tooltip("params_ratio:Q", title="parameters, ratio", format=".3f"),
        alt.Tooltip("status:N"),
    ]
