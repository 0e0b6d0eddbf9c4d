"""What a larger batch costs: one figure of the latency cells over batch sizes."""

from typing import Any, NamedTuple

import altair as alt
import pandas as pd

from resnest_bench.charts.marks import (
    NUMBER,
    legend_filter,
    open_if_noisy,
    picked,
    rounds_tooltip,
    series_legend,
)
from resnest_bench.charts.rounds import (
    data_title,
    distinct,
    first_rows,
    marks_text,
    not_drawn,
    over_rounds,
    place_text,
    stale_text,
    why_not,
    with_setting,
)
from resnest_bench.charts.style import DASHES, PALETTE, WIDTH, no_data_chart, series_scales, title

SHAPES = ["circle", "square", "triangle-up", "diamond"]
MARKS_PER_POINT = 3


class SweepField(NamedTuple):
    """A column of the frame of cells as the chart shows it, in `unit`: its values over `divisor`."""

    name: str
    unit: str
    note: str
    divisor: int = 1


SWEEP_FIELDS = {
    "ms_per_image": SweepField("Time per image", "ms", "Median time of a call over batch size"),
    "p50_ms": SweepField("Latency, p50", "ms", "Median time of a call"),
    "p90_ms": SweepField("Latency, p90", "ms", "90th percentile of the times of a call"),
    "p99_ms": SweepField("Latency, p99", "ms", "99th percentile of the times of a call"),
    "throughput_images_per_second": SweepField(
        "Throughput", "images/s", "Batch size over median time of a call"
    ),
    "peak_memory_bytes": SweepField(
        "Peak GPU memory", "MiB", "The most that torch allocated, weights included", 2**20
    ),
}


def batch_sweep_chart(
    cells: pd.DataFrame, field: str = "ms_per_image"
) -> alt.LayerChart | alt.Chart:
    """A line a variant and setting: the mean of `field` over rounds against the batch size.

    `cells` is from `cells_frame`, `field` a key of SWEEP_FIELDS. Both axes are logarithmic. Open
    marks are noisy in a round. What can't be drawn is named with its reason.
    Raises ValueError for another field.
    """
    if field not in SWEEP_FIELDS:
        raise ValueError(f"field must be one of {', '.join(SWEEP_FIELDS)}, but is {field!r}")
    shown = SWEEP_FIELDS[field]
    text = f"{shown.name} by batch size"
    if not len(cells):
        return no_data_chart(text)
    cells = with_setting(cells)
    why = why_not(cells, field)
    drawn, text, gaps = cells[why == ""], data_title(text, cells), not_drawn(cells, why)
    if not len(drawn):
        return no_data_chart(text, [gaps])
    means = over_rounds(drawn, ["variant", "setting", "batch_size"], field)
    points, cut = first_rows(means, MARKS_PER_POINT)
    points[["mean", "low", "high"]] /= shown.divisor
    subtitle = [
        f"{shown.note}, {place_text(drawn)}",
        marks_text(points, "Mark"),
        *(cut, stale_text(drawn), gaps),
    ]
    selection = legend_filter("variant")
    layers = _layers(points, f"{shown.name} ({shown.unit})", selection)
    whole = alt.LayerChart(layer=layers).add_params(selection)
    return whole.properties(title=title(text, subtitle), width=WIDTH, height=380)


def _layers(points: pd.DataFrame, label: str, selection: alt.Parameter) -> list[alt.Chart]:
    names, settings = (distinct(points, column) for column in ("variant", "setting"))
    looks = {**_by_variant(names), "strokeDash": _dash(settings)}
    # Beyond the seven colours shape and dash change, unless the dash is for the setting.
    cycle = points["variant"].map({name: i // len(PALETTE) for i, name in enumerate(names)})
    points = points.assign(line=points["setting"] if len(settings) > 1 else cycle)
    scale = alt.Scale(type="log", nice=False, padding=12)
    axis = alt.Axis(format=NUMBER, gridOpacity=0.5)
    y = alt.Y("mean:Q", title=f"{label}, log scale", scale=scale, axis=axis)
    base = alt.Chart(points).encode(x=_batch_axis(points), opacity=picked(selection))
    lines = base.mark_line(strokeWidth=1.5).encode(
        y=y, color=looks["color"], strokeDash=looks["strokeDash"], detail="setting:N"
    )
    ranges = base.mark_rule(strokeWidth=1.5).encode(
        y=alt.Y("low:Q", title=""), y2="high:Q", color=looks["color"]
    )
    marks = base.mark_point(size=45).encode(
        y=y, shape=looks["shape"], stroke=looks["stroke"], fill=open_if_noisy(looks["fill"]),
        tooltip=_tooltip(label),
    )  # fmt: skip
    return [lines, ranges, marks]


def _by_variant(names: list[str]) -> dict[str, Any]:
    """Encodings of colour, stroke, fill and shape, which share one legend."""
    colours, _ = series_scales(names)
    shapes = [SHAPES[i // len(PALETTE) % len(SHAPES)] for i in range(len(names))]
    shape = alt.Scale(domain=names, range=shapes)
    shared: dict[str, Any] = {"sort": None, "legend": series_legend(None, len(names))}
    return {
        "color": alt.Color("variant:N", scale=colours, **shared),
        "stroke": alt.Stroke("variant:N", scale=colours, **shared),
        "fill": alt.Fill("variant:N", scale=colours, **shared),
        "shape": alt.Shape("variant:N", scale=shape, **shared),
    }


def _dash(settings: list[str]) -> alt.StrokeDash:
    """Of `line`: a setting, named by a legend, or which cycle of the colours it is, without one."""
    if len(settings) > 1:
        scale, legend = (
            alt.Scale(domain=settings, range=DASHES),
            series_legend("Setting", len(settings)),
        )
        return alt.StrokeDash("line:N", scale=scale, sort=None, legend=legend)
    scale = alt.Scale(domain=list(range(len(DASHES))), range=DASHES)
    return alt.StrokeDash("line:N", scale=scale, legend=None)


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
