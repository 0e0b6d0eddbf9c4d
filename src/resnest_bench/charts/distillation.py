"""Distillation: what a teacher adds to each student, paired by seed."""

import altair as alt
import pandas as pd

from resnest_bench.charts.ablation import describe_trainings
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.style import (
    WIDTH,
    describe_missing,
    join_distinct,
    no_data_chart,
    stale_marks,
    title,
)

TITLE = "Distillation"
AXIS = "Gain of the teacher (points)"
LINE_HEIGHT, ROW_HEIGHT = 13, 48
COLUMNS = [
    "label",
    "variant",
    "recipe",
    "base_recipe",
    "teacher",
    "teacher_recipe",
    "teacher_accuracy_mean_percent",
    "accuracy_mean_percent",
    "gain_mean_points",
    "gain_low_points",
    "gain_high_points",
    "gain_n",
    "freshness",
    "status",
]


def distillation_chart(distillation: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """One row per row of `distillation_table`, of one dataset or of several: the gain of the teacher.

    Dots are means over paired seeds with their 95 % t-intervals, ticks single seeds. A student without
    a gain is named with the reason.
    """
    if not len(distillation):
        return no_data_chart(TITLE)
    text = f"{TITLE}: {join_distinct(distillation, 'dataset_label')}"
    drawn = distillation["gain_mean_points"].notna()
    named = distillation.assign(variant=distillation["variant"] + ", " + distillation["recipe"])
    gaps = describe_missing(named, drawn)
    if not drawn.any():
        return no_data_chart(text, [gaps])
    points = _with_labels(distillation[drawn])
    y = _y(points)
    x = alt.X("gain_mean_points:Q", title=AXIS)
    layers = [_zero(), _intervals(points, y), _seeds(points, y), _counts(points, y)]
    layers += [_means(points, x, y), *stale_marks(points[COLUMNS], x, y)]
    notes = [
        describe_trainings(distillation[drawn]),
        "Test accuracy with a teacher minus that by the same recipe without: mean over n paired seeds. Ticks: single seeds. Bars: 95 % t-interval, none below n=3",
        gaps,
    ]
    return alt.LayerChart(layer=layers).properties(
        title=title(text, notes), width=WIDTH, height=ROW_HEIGHT * len(points)
    )


def _with_labels(rows: pd.DataFrame) -> pd.DataFrame:
    """Add a label of two lines, the student's and the teacher's, and the shape of stale rows."""
    several = len(rows["dataset_label"].unique()) > 1
    data = " on " + rows["dataset_label"] if several else ""
    student = rows["variant"] + ", " + rows["recipe"] + data
    stale = rows["stale"].fillna(False).astype(bool)
    return rows.assign(
        label=student + "\ntaught by " + rows["teacher"],
        freshness=stale.map({True: "stale", False: "ok"}),
    )


def _y(points: pd.DataFrame) -> alt.Y:
    order = points["label"].tolist()
    axis = alt.Axis(
        labelExpr="split(datum.label, '\\n')",
        labelLimit=400,
        labelLineHeight=LINE_HEIGHT,
        labelOverlap=False,
        # A label of two lines is aligned at its first line.
        labelOffset=-LINE_HEIGHT // 2,
        labelPadding=8,
        ticks=False,
    )
    return alt.Y("label:N", sort=order, title=None, scale=alt.Scale(domain=order), axis=axis)


def _zero() -> alt.Chart:
    mark = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color=GREY, strokeDash=[4, 3])
    return mark.encode(x=alt.X("x:Q", title=AXIS))


def _intervals(points: pd.DataFrame, y: alt.Y) -> alt.Chart:
    bars = points[COLUMNS].dropna(subset=["gain_low_points"])
    mark = alt.Chart(bars).mark_rule(strokeWidth=2, color=PALETTE[0])
    return mark.encode(x=alt.X("gain_low_points:Q", title=AXIS), x2="gain_high_points:Q", y=y)


def _seeds(points: pd.DataFrame, y: alt.Y) -> alt.Chart:
    long = points[["label", "gain_seed_points"]].explode("gain_seed_points")
    long = long.dropna().astype({"gain_seed_points": float})
    tooltip = [alt.Tooltip("gain_seed_points:Q", title="gain of one seed (points)", format="+.2f")]
    mark = alt.Chart(long).mark_tick(thickness=1.5, size=14, color=GREY)
    return mark.encode(x=alt.X("gain_seed_points:Q", title=AXIS), y=y, tooltip=tooltip)


def _counts(points: pd.DataFrame, y: alt.Y) -> alt.Chart:
    texts = points[["label"]].assign(text=[f"n={n}" for n in points["gain_n"]])
    mark = alt.Chart(texts).mark_text(align="left", dx=8)
    return mark.encode(x=alt.value("width"), y=y, text="text:N")


def _means(points: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    tooltip = [
        alt.Tooltip("variant:N", title="student"),
        alt.Tooltip("recipe:N"),
        alt.Tooltip("base_recipe:N", title="recipe without the teacher"),
        alt.Tooltip("teacher:N"),
        alt.Tooltip("teacher_recipe:N", title="recipe of the teacher"),
        alt.Tooltip(
            "teacher_accuracy_mean_percent:Q", title="accuracy of the teacher (%)", format=".2f"
        ),
        alt.Tooltip("accuracy_mean_percent:Q", title="accuracy of the student (%)", format=".2f"),
        alt.Tooltip("gain_mean_points:Q", title="gain (points)", format="+.2f"),
        alt.Tooltip("gain_low_points:Q", title="95 % from", format="+.2f"),
        alt.Tooltip("gain_high_points:Q", title="95 % to", format="+.2f"),
        alt.Tooltip("gain_n:Q", title="paired seeds (n)"),
        alt.Tooltip("status:N"),
    ]
    mark = alt.Chart(points[COLUMNS]).mark_point(size=80, filled=True, opacity=1, color=PALETTE[0])
    return mark.encode(x=x, y=y, tooltip=tooltip)
