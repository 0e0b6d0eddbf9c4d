"""Encodings that the latency charts share: rows, legends that filter, open dots for noise."""

import math
from collections.abc import Iterable

import altair as alt
from altair.typing import ChannelFill, ChannelOpacity

INK = "#333333"
FADED = 0.08
NUMBER = ",.4~r"  # four digits, never with an exponent
LABEL_LIMIT = 0  # complete names: shortened ones could look the same
LEGEND_ROWS = 24
MAX_TICKS = 8


def name_rows(field: str, names: Iterable[str]) -> alt.Y:
    """One row per name, in the given order, with lines between the rows."""
    order = list(dict.fromkeys(names))
    axis = alt.Axis(
        labelLimit=LABEL_LIMIT, tickBand="extent", grid=True, gridOpacity=0.5, ticks=False
    )
    return alt.Y(f"{field}:N", sort=order, title=None, scale=alt.Scale(domain=order), axis=axis)


def offsets(field: str, values: Iterable) -> alt.YOffset:
    """Rows within a row, one per value, in the given order."""
    order = list(dict.fromkeys(values))
    return alt.YOffset(f"{field}:N", sort=order, scale=alt.Scale(domain=order))


def row_height(num_offsets: int) -> alt.Step:
    """Height of a row in pixels, for its name and the rows within it."""
    return alt.Step(max(20, 10 * num_offsets + 6), **{"for": "position"})


def series_legend(title: str | None, count: int) -> alt.Legend:
    """A legend of all `count` entries, in as many columns as necessary."""
    return alt.Legend(
        title=title,
        orient="bottom",
        columns=-(-count // LEGEND_ROWS),
        symbolLimit=0,
        labelLimit=LABEL_LIMIT,
        symbolOpacity=1,
    )


def legend_filter(field: str) -> alt.Parameter:
    """A click on the legend of `field` selects a value, with shift several; a double click clears."""
    # With a name, since altair's numbering would make two charts of the same data differ.
    return alt.selection_point(name=f"picked_{field}", fields=[field], bind="legend")


def rounds_tooltip() -> list[alt.Tooltip]:
    """Tooltips for the range over rounds and their number, in a table of `over_rounds`."""
    return [
        alt.Tooltip("low:Q", title="lowest round", format=NUMBER),
        alt.Tooltip("high:Q", title="highest round", format=NUMBER),
        alt.Tooltip("rounds:Q", title="rounds (n)"),
    ]


def picked(selection: alt.Parameter) -> ChannelOpacity:
    """Opaque for entries selected in the legend, or for all without a selection; faded otherwise."""
    return alt.when(selection).then(alt.value(1)).otherwise(alt.value(FADED))


def open_if_noisy(fill: alt.Fill) -> ChannelFill:
    """Use `fill`, or white if the row has `noisy_rounds`."""
    return alt.when(alt.datum.noisy_rounds > 0).then(alt.value("white")).otherwise(fill)


def ratio_ticks(low: float, high: float) -> list[float]:
    """A handful of round ratios within the limits, evenly spread on a log scale: 0.5, 0.7, 1, 1.4, 2."""
    steps = (1.02, 1.05, 1.1, 1.2, 1.5, 2.0, 4.0, 10.0)
    span = math.log(high / low)
    step = next((one for one in steps if span / math.log(one) <= MAX_TICKS), steps[-1])
    first, last = (math.log(value) / math.log(step) for value in (low, high))
    powers = [step**k for k in range(math.ceil(first), math.floor(last) + 1)]
    return [float(f"{value:.2g}" if step > 1.05 else f"{value:.3g}") for value in powers]
