"""What all charts share: palette, titles, and what an empty one shows."""

import textwrap
from collections.abc import Iterable
from typing import Any

import altair as alt
import pandas as pd

from resnest_bench.tables.intervals import IMAGES, ROUNDS, SEEDS

# Okabe and Ito's colours, told apart with any colour vision. Yellow can't be seen on white, and black
# not in the dashboard's dark theme: the last one is the grey that is often put in black's place.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999"]
DASHES = [[1, 0], [6, 3], [2, 2], [8, 2, 2, 2]]
GREY = "#767676"
WIDTH = 560
SUBTITLE_COLUMNS = 100
MAX_NAMED = 12
# Can't be seen (a space of no width), but tells a wrapped line from two.
CONTINUED = "\u200b"
BINOMIAL = "Dashed, n=1: binomial 95 % interval of that one network on new test images"
# What a tooltip calls an interval, by what it is about.
BAR_KINDS = {
    SEEDS: "t, new seeds",
    ROUNDS: "t, new rounds",
    IMAGES: "binomial, new test images",
}


def title(text: str, subtitle: Iterable[str]) -> alt.TitleParams:
    """A title with a subtitle of wrapped lines, left-aligned; a line that goes on ends in CONTINUED."""
    wrapped = [textwrap.wrap(part, SUBTITLE_COLUMNS) for part in subtitle if part]
    lines = [row for rows in wrapped for row in f"{CONTINUED}\n".join(rows).split("\n")]
    return alt.TitleParams(text, subtitle=lines, anchor="start", subtitleColor=GREY)


def title_text(title: Any) -> tuple[str, list[str]]:
    """Head and lines of a title made by `title`, for who shows them as text: what was wrapped is whole."""
    if not isinstance(title, alt.TitleParams):
        return ("" if title is alt.Undefined else str(title)), []
    lines = title.subtitle if isinstance(title.subtitle, list | tuple) else []
    joined = "\n".join(lines).replace(f"{CONTINUED}\n", " ")
    return str(title.text), joined.split("\n") if joined else []


def no_data_chart(text: str, reasons: Iterable[str] = ()) -> alt.Chart:
    """A chart that says so: 'no data yet' and why, in place of an empty plane."""
    return (
        alt.Chart(alt.Data(values=[{}]))
        .mark_text(text="no data yet", size=16, color=GREY)
        .properties(title=title(text, reasons), width=WIDTH, height=120)
    )


def distinct_text(frame: pd.DataFrame, column: str) -> str:
    """Known values of a column, joined by ' and '; empty without any."""
    return " and ".join(dict.fromkeys(frame[column].dropna())) if column in frame else ""


def on_devices(frame: pd.DataFrame) -> str:
    """'on CPU NAME' from the columns device_kind and device_name; several are all named."""
    known = frame[["device_kind", "device_name"]].dropna().drop_duplicates()
    kinds = known["device_kind"].map({"cpu": "CPU", "cuda": "GPU"})
    names = [f"{kind} {name}" for kind, name in zip(kinds, known["device_name"], strict=True)]
    return f"on {' and '.join(names)}" if names else ""


def with_marks(frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with texts for tooltips and shapes: `freshness`, and the ends of the interval."""
    stale = frame["stale"].fillna(False).astype(bool)
    if "latency_stale" in frame:
        stale |= frame["latency_stale"].fillna(False).astype(bool)
    return frame.assign(
        freshness=stale.map({True: "stale", False: "ok"}),
        low=frame["accuracy_low_percent"],
        high=frame["accuracy_high_percent"],
        interval=frame["accuracy_interval_about"].map(BAR_KINDS),
    )


def interval_text(abouts: pd.Series) -> str:
    """What the bars of accuracies are, from `accuracy_interval_about` of the rows drawn."""
    parts = []
    if (abouts == SEEDS).any():
        parts.append("Bars: 95 % t-interval of the mean over seeds, cut at 0 and 100 %")
    if (abouts == IMAGES).any():
        parts.append(BINOMIAL)
    if abouts.isin([SEEDS, IMAGES]).all():
        return ". ".join(parts)
    return ". ".join([*parts, "No bar where all seeds are alike"])


def bar_dash(field: str) -> alt.StrokeDash:
    """Bars of one network on new images are dashed: they are no statement on the variant."""
    dashes = [DASHES[0], DASHES[0], DASHES[2]]
    scale = alt.Scale(domain=list(BAR_KINDS.values()), range=dashes)
    return alt.StrokeDash(f"{field}:N", scale=scale, legend=None)


def left_out(frame: pd.DataFrame, drawn: pd.Series) -> str:
    """Names what a chart can't draw, with its status: no row disappears silently.

    Rows of one status are named together, and of hundreds the first few.
    """
    gaps = frame[~drawn]
    parts = []
    for status, rows in gaps.groupby("status", sort=False):
        names = rows["variant"].tolist()
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        parts.append(f"{', '.join(names[:MAX_NAMED])}{more} ({status})")
    return f"Not drawn: {'; '.join(parts)}" if parts else ""


def freshness_shape() -> alt.Shape:
    """Filled circles are fresh, crosses are stale."""
    scale = alt.Scale(domain=["ok", "stale"], range=["circle", "cross"])
    return alt.Shape("freshness:N", scale=scale, title="record")


def series_scales(names: list[str]) -> tuple[alt.Scale, alt.Scale]:
    """Colour and dash by name: after seven colours the dash changes, so that no two are alike."""
    colours = [PALETTE[i % len(PALETTE)] for i in range(len(names))]
    dashes = [DASHES[i // len(PALETTE) % len(DASHES)] for i in range(len(names))]
    return alt.Scale(domain=names, range=colours), alt.Scale(domain=names, range=dashes)
