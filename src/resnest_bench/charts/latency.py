"""Raw latency samples: what a median hides."""

import altair as alt
import numpy as np
import pandas as pd

from resnest_bench.charts.style import (
    PALETTE,
    WIDTH,
    distinct_text,
    no_data_chart,
    on_devices,
    title,
)

TITLE = "Latency samples"
MAX_MARKS = 4000
SETTING = ["precision", "layout", "mode"]
CELL = ["dataset", "recipe", "variant", "batch_size", *SETTING]


def latency_distribution_chart(samples: pd.DataFrame) -> alt.VConcatChart | alt.Chart:
    """A tick a sample and a dot at each median, one panel a batch size and setting.

    `samples` is from `samples_frame`. Above 4,000 samples each cell is thinned to evenly spaced
    order statistics, smallest and largest included; the medians are of all samples.
    """
    if not len(samples):
        return no_data_chart(TITLE)
    thin = thinned(samples)
    medians = (
        samples.groupby(CELL, sort=False)["wall_ms"].agg(p50="median", n="count").reset_index()
    )
    panels = [
        _panel(group, medians, key)
        for key, group in thin.groupby(["recipe", "batch_size", *SETTING], sort=False)
    ]
    dropped = len(thin) < len(samples)
    subtitle = [
        f"Wall clock of one call, synchronised at both ends, {on_devices(samples)}. "
        "Ticks: samples. Dot: median",
        f"Thinned evenly by rank from {len(samples):,} to {len(thin):,} samples" if dropped else "",
        _stale(samples),
    ]
    text = f"{TITLE}: {distinct_text(samples, 'dataset_label')}"
    return alt.vconcat(*panels).properties(title=title(text, subtitle))


def thinned(samples: pd.DataFrame, limit: int = MAX_MARKS) -> pd.DataFrame:
    """At most `limit` samples (at least two a cell): evenly spaced ranks of each cell."""
    if len(samples) <= limit:
        return samples
    count = max(2, limit // samples.groupby(CELL).ngroups)
    return samples.groupby(CELL, sort=False, group_keys=False)[samples.columns.tolist()].apply(
        _ranks, count
    )


def _ranks(cell: pd.DataFrame, count: int) -> pd.DataFrame:
    if len(cell) <= count:
        return cell
    ordered = cell.sort_values("wall_ms", kind="stable")
    return ordered.iloc[np.linspace(0, len(cell) - 1, count).round().astype(int)]


def _stale(samples: pd.DataFrame) -> str:
    names = dict.fromkeys(samples.loc[samples["status"] == "stale", "variant"])
    return f"Stale: {', '.join(names)}" if names else ""


def _panel(group: pd.DataFrame, medians: pd.DataFrame, key: tuple) -> alt.LayerChart:
    same = (medians[["recipe", "batch_size", *SETTING]] == list(key)).all(axis=1)
    order = list(dict.fromkeys(group["variant"]))
    y = alt.Y("variant:N", sort=order, title=None, scale=alt.Scale(domain=order))
    axis, scale = "Latency (ms, log scale)", alt.Scale(type="log", nice=False, padding=10)
    ticks = (
        alt.Chart(group[["variant", "wall_ms"]])
        .mark_tick(color=PALETTE[0], opacity=0.5, thickness=1)
        .encode(x=alt.X("wall_ms:Q", title=axis, scale=scale), y=y)
    )
    dots = (
        alt.Chart(medians.loc[same, ["variant", "p50", "n"]])
        .mark_point(filled=True, size=50, color=PALETTE[1], opacity=1)
        .encode(x=alt.X("p50:Q", title=axis, scale=scale), y=y,
                tooltip=["variant:N", alt.Tooltip("p50:Q", title="p50 (ms)", format=".4~g"), "n:Q"])
    )  # fmt: skip
    _, batch, *setting = key
    return alt.layer(ticks, dots).properties(
        title=f"Batch {batch}, {', '.join(setting)}", width=WIDTH
    )
