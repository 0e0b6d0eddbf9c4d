"""One row per variant: mean, interval and the single seeds."""

from collections.abc import Sequence

import altair as alt
import pandas as pd
from altair.typing import ChannelColor, ChannelShape

from resnest_bench.charts.identity import identity
from resnest_bench.charts.marks import name_rows
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.style import (
    WIDTH,
    bar_dash,
    describe_intervals,
    describe_missing,
    join_distinct,
    no_data_chart,
    stale_marks,
    title,
    with_marks,
)
from resnest_bench.tables.headline import metric_words, show_headline

TITLE = "Ablation"
COLUMNS = [
    "variant",
    "setting",
    "recipe",
    "num_params",
    "n",
    "accuracy_mean_percent",
    "low",
    "high",
    "interval",
    "freshness",
    "status",
    "seeds",
    "seed_accuracies_percent",
]
AXIS = "Test accuracy (%)"
ACCURACY = metric_words("accuracy")
PAPER = "paper (printed, T4, full CIFAR-10)"


def ablation_chart(
    ablation: pd.DataFrame, variants: Sequence[str] = ()
) -> alt.LayerChart | alt.Chart:
    """A dot with its interval and one tick per seed, for each row of `ablation_table`.

    Open diamonds mark the paper's printed accuracies, if the table has them. A variant without an
    accuracy keeps its row and is named with the reason. `variants` are all variants of the study, in its
    order; they determine each network's appearance.
    """
    if not len(ablation):
        return no_data_chart(TITLE)
    ablation, measure = show_headline(ablation)
    drawn = ablation["accuracy_mean_percent"].notna()
    text = f"{TITLE}: {join_distinct(ablation, 'dataset_label')}"
    subtitle = [
        describe_trainings(ablation),
        f"{describe_intervals(ablation.loc[drawn, 'accuracy_interval_about'])}. Ticks: single seeds",
        describe_missing(ablation, drawn),
    ]
    if not drawn.any():
        return no_data_chart(text, subtitle[2:])
    order = ablation["variant"].tolist()
    y = name_rows("variant", order)
    looks = identity(variants, order).encodings(order, None)
    rows = with_marks(ablation[drawn])[COLUMNS]
    layers = dots_with_intervals(rows, y, looks["color"], looks["shape"], measure)
    # What the paper prints is the accuracy.
    printed = _printed(ablation, y) if measure == ACCURACY else []
    chart = alt.LayerChart(layer=[*layers, *printed])
    # The diamond has a scale of its own, and a legend.
    return chart.resolve_scale(shape="independent").properties(
        title=title(text, subtitle), width=WIDTH
    )


def _printed(ablation: pd.DataFrame, y: alt.Y) -> list[alt.Chart]:
    """A layer of the paper's printed accuracies in %, or none without any."""
    column = "printed_accuracy_percent"
    if column not in ablation or ablation[column].isna().all():
        return []
    rows = ablation[["variant", column]].dropna().assign(source=PAPER)
    scale = alt.Scale(domain=[PAPER], range=["diamond"])
    legend = alt.Legend(title=None, orient="bottom", symbolStrokeColor=PALETTE[1], labelLimit=0)
    return [
        alt.Chart(rows)
        .mark_point(size=80, filled=False, opacity=1, strokeWidth=2, color=PALETTE[1])
        .encode(
            x=alt.X(f"{column}:Q", title=AXIS),
            y=y,
            shape=alt.Shape("source:N", scale=scale, legend=legend),
            tooltip=["variant:N", alt.Tooltip(f"{column}:Q", title="printed (%)", format=".2f")],
        )
    ]


def describe_trainings(table: pd.DataFrame) -> str:
    """Name recipe, number of test images and device, for a subtitle."""
    tests = " or ".join(f"{int(count):,}" for count in table["num_test"].dropna().unique())
    return (
        f"Recipe {join_distinct(table, 'recipe')}, {tests} test images, "
        f"on {join_distinct(table, 'train_device')}"
    )


def dots_with_intervals(
    rows: pd.DataFrame,
    y: alt.Y,
    colour: ChannelColor,
    shape: ChannelShape,
    measure: str = ACCURACY,
    **more: alt.YOffset,
) -> list[alt.Chart]:
    """Layers of intervals, seeds and means along x, all with the further encodings `more`.

    `measure` is in the columns of the accuracy: its name is that of the axis.
    """
    axis = f"{measure[0].upper()}{measure[1:]} (%)"
    x = alt.X("accuracy_mean_percent:Q", title=axis, scale=alt.Scale(zero=False))
    base = rows.drop(columns=["seeds", "seed_accuracies_percent"])
    intervals = (
        alt.Chart(base.dropna(subset=["low"]))
        .mark_rule(strokeWidth=2)
        .encode(
            x=alt.X("low:Q", title=axis),
            x2="high:Q",
            y=y,
            color=colour,
            strokeDash=bar_dash("interval"),
            **more,
        )
    )
    means = (
        alt.Chart(base)
        .mark_point(size=80, filled=True, opacity=1)
        .encode(x=x, y=y, color=colour, shape=shape, tooltip=_tooltip(base, measure), **more)
    )
    ticks = (
        alt.Chart(seed_rows(rows))
        .mark_tick(thickness=1.5, size=12, color=GREY)
        .encode(
            x=alt.X("accuracy_percent:Q", title=axis),
            y=y,
            tooltip=["variant:N", "seed:Q", alt.Tooltip("accuracy_percent:Q", format=".2f")],
            **more,
        )
    )
    return [intervals, ticks, means, *stale_marks(base, x, y, **more)]


def seed_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per variant, recipe and seed, with its accuracy in %."""
    long = rows[["variant", "recipe", "seeds", "seed_accuracies_percent"]].explode(
        ["seeds", "seed_accuracies_percent"]
    )
    names = {"seeds": "seed", "seed_accuracies_percent": "accuracy_percent"}
    return long.rename(columns=names).astype({"seed": "Int64", "accuracy_percent": float})


def _tooltip(rows: pd.DataFrame, measure: str) -> list[alt.Tooltip]:
    extra = [alt.Tooltip("gain_mean_points:Q", title="gain over scratch (points)", format="+.2f")]
    return [
        alt.Tooltip("variant:N"),
        alt.Tooltip("recipe:N"),
        alt.Tooltip("setting:N"),
        alt.Tooltip("num_params:Q", title="parameters", format=","),
        alt.Tooltip("accuracy_mean_percent:Q", title=f"{measure} (%)", format=".2f"),
        alt.Tooltip("n:Q", title="seeds (n)"),
        alt.Tooltip("low:Q", title="95 % from", format=".2f"),
        alt.Tooltip("high:Q", title="95 % to", format=".2f"),
        alt.Tooltip("interval:N", title="interval"),
        *(extra if "gain_mean_points" in rows else []),
        alt.Tooltip("status:N"),
    ]
