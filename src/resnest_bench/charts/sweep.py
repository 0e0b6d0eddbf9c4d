"""The effect of the batch size: one metric of the latency cells over batch sizes."""

from collections.abc import Sequence
from typing import NamedTuple

import altair as alt
import pandas as pd

from resnest_bench.charts.identity import Identity, identity, network_legend
from resnest_bench.charts.marks import (
    NUMBER,
    legend_filter,
    open_if_noisy,
    picked,
    rounds_tooltip,
    series_legend,
)
from resnest_bench.charts.palette import DASHES
from resnest_bench.charts.rounds import (
    data_title,
    describe_gaps,
    describe_marks,
    describe_setting,
    distinct,
    explain_gaps,
    first_rows,
    name_stale,
    over_rounds,
    with_setting,
)
from resnest_bench.charts.style import WIDTH, no_data_chart, title

MARKS_PER_POINT = 3


class SweepField(NamedTuple):
    """A column of the frame of cells as the chart shows it: divided by `divisor`, in `unit`."""

    name: str
    unit: str
    note: str
    divisor: int = 1


SWEEP_FIELDS = {
    "ms_per_image": SweepField(
        "Time per image", "ms", "Median time of a call divided by the batch size"
    ),
    "p50_ms": SweepField("Latency, p50", "ms", "Median time of a call"),
    "p90_ms": SweepField("Latency, p90", "ms", "90th percentile of the times of a call"),
    "p99_ms": SweepField("Latency, p99", "ms", "99th percentile of the times of a call"),
    "throughput_images_per_second": SweepField(
        "Throughput", "images/s", "Batch size divided by the median time of a call"
    ),
    "energy_joules_per_image": SweepField(
        "Energy per image", "J", "Energy of all counters of the device, divided by the images"
    ),
    "cost_per_million_images": SweepField(
        "Cost of a million images", "at the price per hour", "Median time of a call times the price"
    ),
    "resident_bytes": SweepField(
        "Peak resident memory", "MiB", "Of a process that runs only this cell", 2**20
    ),
    "peak_memory_bytes": SweepField(
        "Peak GPU memory", "MiB", "Peak memory that torch allocated, including weights", 2**20
    ),
}


def batch_sweep_chart(
    cells: pd.DataFrame, field: str = "ms_per_image", variants: Sequence[str] = ()
) -> alt.LayerChart | alt.Chart:
    """One line per variant and setting: the mean of `field` over rounds against the batch size.

    `cells` is from `cells_frame`, `field` is a key of SWEEP_FIELDS. Both axes are logarithmic. Open
    marks are noisy in a round. Whatever can't be drawn is named with the reason. `variants` are all
    variants of the study, in its order; they determine each network's appearance. Raises ValueError for
    another field.
    """
    if field not in SWEEP_FIELDS:
        raise ValueError(f"field must be one of {', '.join(SWEEP_FIELDS)}, but is {field!r}")
    shown = SWEEP_FIELDS[field]
    text = f"{shown.name} by batch size"
    if not len(cells):
        return no_data_chart(text)
    cells = with_setting(cells)
    why = explain_gaps(cells, field)
    drawn, text, gaps = cells[why == ""], data_title(text, cells), describe_gaps(cells, why)
    if not len(drawn):
        return no_data_chart(text, [gaps])
    means = over_rounds(drawn, ["variant", "setting", "batch_size"], field)
    points, cut = first_rows(means, MARKS_PER_POINT)
    points[["mean", "low", "high"]] /= shown.divisor
    subtitle = [
        f"{shown.note}, {describe_setting(drawn)}",
        describe_marks(points, "Mark"),
        *(cut, name_stale(drawn), gaps),
    ]
    selection = legend_filter("variant")
    looks = identity(variants, points["variant"])
    layers = _layers(points, f"{shown.name} ({shown.unit})", selection, looks)
    layered = alt.LayerChart(layer=layers).add_params(selection)
    return layered.properties(title=title(text, subtitle), width=WIDTH, height=380)


def _layers(
    points: pd.DataFrame, label: str, selection: alt.Parameter, identities: Identity
) -> list[alt.Chart]:
    settings = distinct(points, "setting")
    names = [name for name in identities.looks if (points["variant"] == name).any()]
    looks = {
        **identities.encodings(names, network_legend(len(names))),
        "strokeDash": _dash(settings),
    }
    scale = alt.Scale(type="log", nice=False, padding=12)
    axis = alt.Axis(format=NUMBER, gridOpacity=0.5)
    y = alt.Y("mean:Q", title=f"{label}, log scale", scale=scale, axis=axis)
    # By number, since scales of the same names share a legend, and its symbols would get dashed outlines.
    lines_by_name = {name: DASHES.index(identities.looks[name].dash) for name in names}
    points = points.assign(line=points["variant"].map(lines_by_name))
    base = alt.Chart(points).encode(x=_batch_axis(points), opacity=picked(selection))
    lines = base.mark_line(strokeWidth=1.5).encode(
        y=y, color=looks["color"], strokeDash=looks["strokeDash"], detail="setting:N"
    )
    ranges = base.mark_rule(strokeWidth=1.5).encode(
        y=alt.Y("low:Q", title=""), y2="high:Q", color=looks["color"]
    )
    marks = base.mark_point(size=45).encode(
        y=y,
        shape=looks["shape"],
        stroke=looks["stroke"],
        fill=open_if_noisy(looks["fill"]),
        tooltip=_tooltip(label),
    )
    return [lines, ranges, marks]


def _dash(settings: list[str]) -> alt.StrokeDash:
    """Dashes by setting if there are several, else by network."""
    if len(settings) < 2:
        scale = alt.Scale(domain=list(range(len(DASHES))), range=DASHES)
        return alt.StrokeDash("line:N", scale=scale, legend=None)
    scale = alt.Scale(domain=settings, range=DASHES)
    legend = series_legend("Setting", len(settings))
    return alt.StrokeDash("setting:N", scale=scale, sort=None, legend=legend)


def _batch_axis(points: pd.DataFrame) -> alt.X:
    values = sorted(set(points["batch_size"]))
    scale = alt.Scale(type="log", base=2, nice=False, padding=16)
    axis = alt.Axis(values=values, format="d", gridOpacity=0.5)
    return alt.X("batch_size:Q", title="Batch size (images, log scale)", scale=scale, axis=axis)


def _tooltip(label: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("variant:N"),
        alt.Tooltip("setting:N"),
        alt.Tooltip("batch_size:Q", title="batch size (images)"),
        alt.Tooltip("mean:Q", title=label, format=NUMBER),
        *rounds_tooltip(),
        alt.Tooltip("noisy_rounds:Q", title="noisy rounds"),
    ]
