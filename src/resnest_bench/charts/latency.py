"""Raw latency samples, which show what a median hides."""

from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from resnest_bench.charts.marks import NUMBER, name_rows, offsets, row_height
from resnest_bench.charts.palette import GREY, PALETTE
from resnest_bench.charts.rounds import (
    JOB_AXES,
    MAX_MARKS,
    NOISY,
    SETTING,
    data_title,
    describe_rounds,
    distinct,
    name_stale,
)
from resnest_bench.charts.style import WIDTH, no_data_chart, on_devices, title
from resnest_bench.records.latencies import summarise_samples

TITLE = "Latency samples"
AXIS = "Latency (ms, log scale)"
STEADY = "stable"
PANEL = [*JOB_AXES, "batch_size", *SETTING]
CELL = [*PANEL, "variant", "seed"]


class Panel(NamedTuple):
    """All samples of one batch size and setting, the drawn ones, and the medians of the cells."""

    name: str
    samples: pd.DataFrame
    ticks: pd.DataFrame
    medians: pd.DataFrame


def latency_distribution_chart(samples: pd.DataFrame) -> alt.VConcatChart | alt.Chart:
    """All `latency_distribution_panels` in a column, with one title."""
    panels = _panels(samples)
    if not panels:
        return no_data_chart(TITLE)
    noisy = any(_any_noisy(panel.medians) for panel in panels)
    charts = [_chart(panel, noisy).properties(title=panel.name) for panel in panels]
    num_drawn = sum(len(panel.ticks) for panel in panels)
    subtitle = _subtitle(samples, num_drawn)
    return alt.vconcat(*charts).properties(title=title(data_title(TITLE, samples), subtitle))


def latency_distribution_panels(samples: pd.DataFrame) -> list[alt.LayerChart | alt.Chart]:
    """One chart per batch size and setting, with a tick per sample and a dot at each median.

    `samples` is from `samples_frame`. Rounds are rows within the row of a variant; the dot of a noisy
    cell is open. Above 4,000 samples in total, each cell is thinned to evenly spaced order statistics,
    including the smallest and the largest. The medians are over all samples above 0 ms.
    """
    return [
        _chart(panel, _any_noisy(panel.medians)).properties(
            title=title(
                f"{data_title(TITLE, panel.samples)}. {panel.name}",
                _subtitle(panel.samples, len(panel.ticks)),
            )
        )
        for panel in _panels(samples)
    ] or [no_data_chart(TITLE)]


def thinned(samples: pd.DataFrame, limit: int = MAX_MARKS) -> pd.DataFrame:
    """Thin to at most `limit` samples (at least two per cell): evenly spaced ranks of each cell."""
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


def _panels(samples: pd.DataFrame) -> list[Panel]:
    # A logarithmic axis can't show zero.
    timed = samples[samples["wall_ms"] > 0] if len(samples) else samples
    if not len(timed):
        return []
    several = [axis for axis in JOB_AXES if len(distinct(timed, axis)) > 1]
    drawn = dict(list(thinned(timed).groupby(PANEL, sort=False)))
    return [
        Panel(_name(rows.iloc[0], several), rows, drawn[key], _medians(rows))
        for key, rows in timed.groupby(PANEL, sort=False)
    ]


def _name(row: pd.Series, several: list[str]) -> str:
    """'Batch 8, fp32, channels_last, eager', with dataset, protocol or device if they differ."""
    return ", ".join([f"Batch {row['batch_size']}", *row[SETTING], *row[several]])


def _medians(samples: pd.DataFrame) -> pd.DataFrame:
    """One row per variant and round: n, p50 and iqr in ms, and `noise` in words."""
    cells = samples.groupby(["variant", "seed"], sort=False)["wall_ms"]
    rows = [
        {"variant": variant, "seed": seed, **summarise_samples(values.tolist())}
        for (variant, seed), values in cells
    ]
    table = pd.DataFrame(rows)
    noise = table["noisy"].map({True: NOISY, False: STEADY})
    return table[["variant", "seed", "n", "p50", "iqr"]].assign(noise=noise)


def _any_noisy(medians: pd.DataFrame) -> bool:
    return bool((medians["noise"] == NOISY).any())


def _subtitle(samples: pd.DataFrame, num_drawn: int) -> list[str]:
    thin = f"Thinned evenly by rank from {len(samples):,} to {num_drawn:,} samples"
    return [
        f"Wall-clock time of one call, synchronised before and after, {on_devices(samples)}",
        ". ".join(filter(None, ["Ticks: samples", "Dot: median", describe_rounds(samples)])),
        thin if num_drawn < len(samples) else "",
        name_stale(samples),
    ]


def _chart(panel: Panel, with_legend: bool) -> alt.LayerChart:
    rounds = sorted(set(panel.samples["seed"]))
    rows: dict[str, Any] = {"y": name_rows("variant", panel.samples["variant"])}
    if len(rounds) > 1:
        rows["yOffset"] = offsets("seed", rounds)
    scale = alt.Scale(type="log", nice=False, padding=10)
    ticks = (
        alt.Chart(panel.ticks[["variant", "seed", "wall_ms"]])
        .mark_tick(color=GREY, opacity=1, thickness=1, size=14 if len(rounds) == 1 else 8)
        .encode(x=alt.X("wall_ms:Q", title=AXIS, scale=scale), tooltip=_tooltip("wall_ms"), **rows)
    )
    dots = (
        alt.Chart(panel.medians)
        .mark_point(size=40, stroke=PALETTE[1], strokeWidth=1.5, opacity=1)
        .encode(
            x=alt.X("p50:Q", title=AXIS, scale=scale),
            fill=_noise(with_legend),
            tooltip=_tooltip("p50"),
            **rows,
        )
    )
    layers = [ticks, dots]
    return alt.LayerChart(layer=layers).properties(width=WIDTH, height=row_height(len(rounds)))


def _noise(with_legend: bool) -> alt.Fill:
    legend = alt.Legend(
        title="Median",
        orient="bottom",
        symbolStrokeColor=PALETTE[1],
        symbolType="circle",
        labelLimit=0,
    )
    scale = alt.Scale(domain=[STEADY, NOISY], range=[PALETTE[1], "white"])
    return alt.Fill("noise:N", scale=scale, legend=legend if with_legend else None)


def _tooltip(field: str) -> list[alt.Tooltip]:
    figures = [
        alt.Tooltip("p50:Q", title="p50 (ms)", format=NUMBER),
        alt.Tooltip("iqr:Q", title="IQR (ms)", format=NUMBER),
        alt.Tooltip("n:Q", title="samples (n)"),
        alt.Tooltip("noise:N"),
    ]
    sample = [alt.Tooltip("wall_ms:Q", title="sample (ms)", format=NUMBER)]
    names = [alt.Tooltip("variant:N"), alt.Tooltip("seed:Q", title="round")]
    return names + (figures if field == "p50" else sample)
