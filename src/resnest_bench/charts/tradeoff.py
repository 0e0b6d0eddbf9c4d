"""Accuracy against latency, with the Pareto front."""

import altair as alt
import pandas as pd

from resnest_bench.charts.style import (
    GREY,
    INTERVAL,
    PALETTE,
    WIDTH,
    distinct_text,
    freshness_shape,
    left_out,
    no_data_chart,
    title,
    with_marks,
)
from resnest_bench.tables import pareto_front

TITLE = "Accuracy against latency"
# A front compares what was measured alike.
SAME_MEASUREMENT = ["latency_device", "latency_setting", "latency_batch_size"]
COLUMNS = [
    "variant", "family", "setting", "num_params", "n", "accuracy_mean_percent", "low", "high",
    "latency_p50_ms", "latency_iqr_ms", "latency_noisy", *SAME_MEASUREMENT, "freshness", "pareto",
    "status",
]  # fmt: skip
TOOLTIP = [
    alt.Tooltip("variant:N"),
    alt.Tooltip("setting:N"),
    alt.Tooltip("num_params:Q", title="parameters", format=","),
    alt.Tooltip("accuracy_mean_percent:Q", title="test accuracy (%)", format=".2f"),
    alt.Tooltip("n:Q", title="seeds (n)"),
    alt.Tooltip("latency_p50_ms:Q", title="latency p50 (ms)", format=".4~g"),
    alt.Tooltip("latency_iqr_ms:Q", title="latency IQR (ms)", format=".3~g"),
    alt.Tooltip("latency_noisy:N", title="noisy"),
    alt.Tooltip("latency_batch_size:Q", title="batch"),
    alt.Tooltip("latency_setting:N", title="measured in"),
    alt.Tooltip("latency_device:N", title="on"),
    alt.Tooltip("status:N"),
]


def accuracy_latency_chart(tradeoff: pd.DataFrame) -> alt.LayerChart | alt.Chart:
    """A point for each row of `tradeoff_table` that has both figures; the others are named.

    x: p50 of the primary cell in ms, logarithmic. y: mean test accuracy in %, with its interval.
    The stepped line is the Pareto front, one for each device and setting.
    """
    if not len(tradeoff) or "latency_p50_ms" not in tradeoff:
        return no_data_chart(TITLE)
    drawn = tradeoff["latency_p50_ms"].gt(0) & tradeoff["accuracy_mean_percent"].notna()
    gaps = left_out(tradeoff, drawn)
    if not drawn.any():
        return no_data_chart(_title(tradeoff), [gaps])
    points = _with_front(with_marks(tradeoff[drawn]))[COLUMNS]
    layers = [_front(points), _intervals(points), _points(points), _labels(points)]
    return alt.layer(*layers).properties(
        title=title(_title(points.join(tradeoff[["dataset_label"]])), _subtitle(points, gaps)),
        width=WIDTH,
        height=380,
    )


def _title(frame: pd.DataFrame) -> str:
    return f"{TITLE}: {distinct_text(frame, 'dataset_label')}"


def _subtitle(points: pd.DataFrame, gaps: str) -> list[str]:
    batches = " or ".join(str(b) for b in dict.fromkeys(points["latency_batch_size"]))
    return [
        f"Latency: median of batch {batches}, {distinct_text(points, 'latency_setting')}, "
        f"on {distinct_text(points, 'latency_device')}",
        f"{INTERVAL}. Line: Pareto front",
        gaps,
    ]


def _with_front(points: pd.DataFrame) -> pd.DataFrame:
    fronts = [
        pareto_front(group, x="latency_p50_ms", y="accuracy_mean_percent")
        for _, group in points.groupby(SAME_MEASUREMENT)
    ]
    return points.assign(pareto=pd.concat(fronts).reindex(points.index))


def _x(points: pd.DataFrame) -> alt.X:
    times = points["latency_p50_ms"]
    # Room for labels on both sides: a log scale has no padding of its own worth the name.
    scale = alt.Scale(type="log", domain=[times.min() / 1.3, times.max() * 1.6], nice=False)
    return alt.X("latency_p50_ms:Q", scale=scale, title="Latency, p50 (ms, log scale)")


def _y() -> alt.Y:
    return alt.Y("accuracy_mean_percent:Q", title="Test accuracy (%)", scale=alt.Scale(zero=False))


def _front(points: pd.DataFrame) -> alt.Chart:
    # The best accuracy within a time stays the same until the next point of the front.
    return (
        alt.Chart(points[points["pareto"]])
        .mark_line(interpolate="step-after", color=GREY, strokeDash=[4, 3])
        .encode(
            x=_x(points), y=_y(), detail=[f"{name}:N" for name in SAME_MEASUREMENT],
            order="latency_p50_ms:Q",
        )
    )  # fmt: skip


def _intervals(points: pd.DataFrame) -> alt.Chart:
    return (
        alt.Chart(points.dropna(subset=["low"]))
        .mark_rule(strokeWidth=1.5)
        .encode(x=_x(points), y=alt.Y("low:Q", title="Test accuracy (%)"), y2="high:Q",
                color=_colour(points))
    )  # fmt: skip


def _points(points: pd.DataFrame) -> alt.Chart:
    return (
        alt.Chart(points)
        .mark_point(size=70, filled=True, opacity=1)
        .encode(x=_x(points), y=_y(), color=_colour(points), shape=freshness_shape(), tooltip=TOOLTIP)
    )  # fmt: skip


def _colour(points: pd.DataFrame) -> alt.Color:
    # Points of several devices can't be compared: then the device is what must be seen.
    field = "latency_device" if len(points["latency_device"].unique()) > 1 else "family"
    return alt.Color(f"{field}:N", scale=alt.Scale(range=PALETTE), title=field.replace("_", " "))


def _labels(points: pd.DataFrame) -> alt.Chart:
    return (
        alt.Chart(points)
        .mark_text(align="left", dx=8, dy=-7, size=10)
        .encode(x=_x(points), y=_y(), text="variant:N")
    )
