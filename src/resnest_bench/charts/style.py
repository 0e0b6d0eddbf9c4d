"""What all charts share: titles, marks, and the chart without data."""

import textwrap
from collections.abc import Iterable
from typing import Any

import altair as alt
import pandas as pd

from resnest_bench.charts.identity import identity
from resnest_bench.charts.palette import DARK_TEXT, DASHES, GREY, LIGHT_TEXT, TEXT_GREY
from resnest_bench.stats.intervals import IMAGES, ROUNDS, SEEDS, TWO_VALUES
from resnest_bench.words import list_names

WIDTH = 560
SUBTITLE_COLUMNS = 100
# Two strokes: the mark below stays visible.
CROSS = "M-1,-1L1,1M-1,1L1,-1"
MAX_NAMED = 12
# An invisible space of no width, which marks a wrapped line.
CONTINUED = "\u200b"
BINOMIAL = "Dashed (n=1): binomial 95 % interval of that one network on new test images"
# What a tooltip calls an interval, by its population.
BAR_KINDS = {
    SEEDS: "t, new seeds",
    ROUNDS: "t, new rounds",
    IMAGES: "binomial, new test images",
}


def title(text: str, subtitle: Iterable[str]) -> alt.TitleParams:
    """A left-aligned title with a wrapped subtitle; a line that continues ends in CONTINUED."""
    wrapped = [textwrap.wrap(part, SUBTITLE_COLUMNS) for part in subtitle if part]
    lines = [row for rows in wrapped for row in f"{CONTINUED}\n".join(rows).split("\n")]
    return alt.TitleParams(text, subtitle=lines, anchor="start", subtitleColor=TEXT_GREY)


def split_title(title: Any) -> tuple[str, list[str]]:
    """Split a title made by `title` into its head and its unwrapped lines, to show them as text."""
    if not isinstance(title, alt.TitleParams):
        return ("" if title is alt.Undefined else str(title)), []
    lines = title.subtitle if isinstance(title.subtitle, list | tuple) else []
    joined = "\n".join(lines).replace(f"{CONTINUED}\n", " ")
    return str(title.text), joined.split("\n") if joined else []


def no_data_chart(text: str, reasons: Iterable[str] = ()) -> alt.Chart:
    """A chart that says 'no data yet' and why, instead of an empty plot."""
    return (
        alt.Chart(alt.Data(values=[{}]))
        .mark_text(text="no data yet", size=16)
        .properties(title=title(text, reasons), width=WIDTH, height=120)
    )


def join_distinct(frame: pd.DataFrame, column: str) -> str:
    """Join the distinct known values of a column by ' and '; empty without any."""
    return " and ".join(dict.fromkeys(frame[column].dropna())) if column in frame else ""


def themed(chart: alt.TopLevelMixin, dark: bool) -> Any:
    """The chart with texts, axes and lines in colours that are legible on a light or dark page."""
    ink = LIGHT_TEXT if dark else DARK_TEXT
    texts: dict[str, Any] = {"labelColor": ink, "titleColor": ink}
    lines: dict[str, Any] = {"domainColor": GREY, "tickColor": GREY}
    out = chart.configure_axis(**texts, **lines).configure_legend(**texts)
    # The first label too is aligned with its row.
    out = out.configure_axisY(labelFlush=False)
    return out.configure_text(color=ink)


def on_devices(frame: pd.DataFrame) -> str:
    """'on CPU NAME' from the columns device_kind and device_name, with all devices."""
    devices = frame[["device_kind", "device_name"]].dropna().drop_duplicates()
    # Of imported results the kind is unknown.
    kinds = devices["device_kind"].map({"cpu": "CPU ", "cuda": "GPU "}).fillna("")
    names = [f"{kind}{name}" for kind, name in zip(kinds, devices["device_name"], strict=True)]
    return f"on {' and '.join(names)}" if names else ""


def with_marks(frame: pd.DataFrame) -> pd.DataFrame:
    """Add texts for tooltips and shapes: `freshness`, and the limits and kind of the interval."""
    stale = frame["stale"].fillna(False).astype(bool)
    if "latency_stale" in frame:
        stale |= frame["latency_stale"].fillna(False).astype(bool)
    return frame.assign(
        freshness=stale.map({True: "stale", False: "ok"}),
        low=frame["accuracy_low_percent"],
        high=frame["accuracy_high_percent"],
        interval=frame["accuracy_interval_about"].map(BAR_KINDS),
    )


def describe_intervals(abouts: pd.Series) -> str:
    """Explain the bars of accuracies, from `accuracy_interval_about` of the drawn rows."""
    parts = []
    if (abouts == SEEDS).any():
        parts.append("Bars: 95 % interval of the mean over seeds (t, on the logit scale)")
    if (abouts == IMAGES).any():
        parts.append(BINOMIAL)
    if (abouts == TWO_VALUES).any():
        parts.append("No bar for two seeds: ticks show both values")
    if not abouts.isin([SEEDS, IMAGES, TWO_VALUES]).all():
        parts.append("No bar if all seeds are equal")
    return ". ".join(parts)


def bar_dash(field: str) -> alt.StrokeDash:
    """Bars of one network on new images are dashed: they say nothing about the variant."""
    dashes = [DASHES[0], DASHES[0], DASHES[2]]
    scale = alt.Scale(domain=list(BAR_KINDS.values()), range=dashes)
    return alt.StrokeDash(f"{field}:N", scale=scale, legend=None)


def describe_missing(frame: pd.DataFrame, drawn: pd.Series) -> str:
    """Name the rows that a chart can't draw, with their status: no row disappears silently.

    Rows of one status are named together; of hundreds only the first few.
    """
    gaps = frame[~drawn]
    parts = []
    for status, rows in gaps.groupby("status", sort=False):
        names = rows["variant"].tolist()
        parts.append(f"{list_names(names, MAX_NAMED)} ({status})")
    return f"Not drawn: {'; '.join(parts)}" if parts else ""


def stale_marks(rows: pd.DataFrame, x: alt.X, y: alt.Y, **more: alt.YOffset) -> list[alt.Chart]:
    """A cross over the mark of each stale row, with a legend; no layer without stale rows.

    The mark itself keeps the colour and shape of its network.
    """
    stale = rows[rows["freshness"] == "stale"]
    if not len(stale):
        return []
    # The legend is that of an opacity: a scale of shapes would be joined with that of the networks, whose legend
    # then has their colours and their shapes apart.
    legend = alt.Legend(
        title=None, orient="bottom", symbolType=CROSS, symbolStrokeColor=GREY, symbolOpacity=1
    )
    shown = alt.Opacity("freshness:N", scale=alt.Scale(domain=["stale"], range=[1]), legend=legend)
    mark = alt.Chart(stale).mark_point(shape=CROSS, size=150, color=GREY, strokeWidth=2)
    return [mark.encode(x=x, y=y, opacity=shown, **more)]


def series_scales(names: list[str]) -> tuple[alt.Scale, alt.Scale]:
    """Colour and dash of series other than networks (settings, parts), by their order in `names`."""
    looks = identity(names)
    return looks.scale("colour", names), looks.scale("dash", names)
